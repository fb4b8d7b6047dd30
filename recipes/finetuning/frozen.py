"""The encoder as it was pretrained, with a head alone that learns (`--freeze all`): how much of a task its states hold already.

    python recipes/finetuning/frozen.py

Measured: –

That is on two cores. The head of parts of speech is linear; that of topics is Hugging Face's, a dense layer and a linear one.
"""

from __future__ import annotations

from dataclasses import replace

import parts_of_speech
import topics
from experiments import Results, main, minutes, score

FROZEN = {"freeze": "all"}
POS, TOPICS = "parts of speech, frozen", "topics, frozen"
EXPERIMENTS = (
    replace(parts_of_speech.EXPERIMENTS[0], name=POS, settings=FROZEN),
    replace(topics.EXPERIMENTS[0], name=TOPICS, settings=FROZEN),
)


def said(found: Results) -> str:
    """English and mean of both tasks."""
    pos = f"parts of speech: English {score(found, POS, parts_of_speech.XTREMES, 'en')}, mean {score(found, POS, parts_of_speech.XTREMES)}"
    of_topics = f"topics: English {score(found, TOPICS, topics.SIB, 'en')}, mean {score(found, TOPICS, topics.SIB)}"
    return f"{minutes(found, [POS, TOPICS])}; {pos}; {of_topics}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
