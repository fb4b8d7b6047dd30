"""LoRA beside full fine-tuning: parts of speech and topics with adapters of rank 8 in place of the encoder's own matrices.

    python recipes/finetuning/adapters.py

Measured: 19 minutes; parts of speech: English 89.0, mean 49.4; topics: English 63.0 ± 2.9, mean 40.3 ± 2.4

That is on two cores; the full runs are those of parts_of_speech.py and topics.py.
"""

from __future__ import annotations

import both
from experiments import main

EXPERIMENTS = both.experiments("LoRA", {"lora": 8})
said = both.said(EXPERIMENTS)

if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
