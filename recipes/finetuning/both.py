"""Parts of speech and topics once more, learnt in another way: what frozen.py and adapters.py share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import parts_of_speech
import topics
from experiments import Experiment, Results, minutes, score


def experiments(way: str, settings: Mapping[str, Any]) -> tuple[Experiment, ...]:
    """Both tasks with these settings, named after the way."""
    return tuple(
        replace(one, name=f"{one.name}, {way}", settings={**one.settings, **settings})
        for one in (parts_of_speech.EXPERIMENTS[0], topics.EXPERIMENTS[0])
    )


def said(of: tuple[Experiment, ...]) -> Callable[[Results], str]:
    """What tells English and mean of both tasks."""
    pos, topic = (one.name for one in of)

    def tell(found: Results) -> str:
        words = f"English {score(found, pos, parts_of_speech.XTREMES, 'en')}, mean {score(found, pos, parts_of_speech.XTREMES)}"
        texts = f"English {score(found, topic, topics.SIB, 'en')}, mean {score(found, topic, topics.SIB)}"
        return f"{minutes(found, [pos, topic])}; parts of speech: {words}; topics: {texts}"

    return tell
