"""The encoder as it was pretrained, with a head alone that learns (`--freeze all`): how much of a task its states hold already.

    python recipes/finetuning/frozen.py

Measured: 9.4 minutes; parts of speech: English 72.8, mean 50.9; topics: English 50.8 ± 1.2, mean 43.6 ± 0.4

That is on two cores. The head of parts of speech is linear; that of topics is Hugging Face's, a dense layer and a linear one.
"""

from __future__ import annotations

import both
from experiments import main

EXPERIMENTS = both.experiments("frozen", {"freeze": "all"})
said = both.said(EXPERIMENTS)

if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
