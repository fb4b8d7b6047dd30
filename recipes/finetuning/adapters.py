"""LoRA beside full fine-tuning: parts of speech and topics with adapters of rank 8 in place of the encoder's own matrices.

    python recipes/finetuning/adapters.py

Measured: –

That is on two cores; the full runs are those of parts_of_speech.py and topics.py.
"""

from __future__ import annotations

from dataclasses import replace

import parts_of_speech
import topics
from experiments import Results, main, minutes, score

LORA = {"lora": 8}
POS, TOPICS = "parts of speech, LoRA", "topics, LoRA"
EXPERIMENTS = (
    replace(parts_of_speech.EXPERIMENTS[0], name=POS, settings=LORA),
    replace(topics.EXPERIMENTS[0], name=TOPICS, settings=LORA),
)


def said(found: Results) -> str:
    """English and mean of both tasks."""
    pos = f"parts of speech: English {score(found, POS, parts_of_speech.XTREMES, 'en')}, mean {score(found, POS, parts_of_speech.XTREMES)}"
    of_topics = f"topics: English {score(found, TOPICS, topics.SIB, 'en')}, mean {score(found, TOPICS, topics.SIB)}"
    return f"{minutes(found, [POS, TOPICS])}; {pos}; {of_topics}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
