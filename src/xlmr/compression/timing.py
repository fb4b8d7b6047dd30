"""How long two models take for the same texts: asked in turns in one run, so that a busy machine slows both alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.compression import agreement
from xlmr.compression.agreement import Masked, Sentence, Sides
from xlmr.compression.parts import Step
from xlmr.compression.progress import Progress
from xlmr.encoder import Encoder

LEAST = 3
"""Rounds, however long they take."""
ENOUGH = 60.0
"""Seconds after which there are no more."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """For all texts once: the median of some rounds."""

    before: float
    after: float
    ratio: float
    """What the second model takes of the first one's time: the median of the rounds' ratios."""
    rounds: int
    of: str
    """What was timed: `fill-mask` or `hidden states`."""

    def as_json(self) -> dict[str, Any]:
        """As `compression.json` has it."""
        return {"of": self.of, "before": self.before, "after": self.after, "ratio": self.ratio, "rounds": self.rounds}


def measure(sides: Sides, every: Sequence[Sentence], *, fills: bool, rounds: int, step: Step = lambda _: None) -> Seconds:
    """Seconds of both for the sentences, batch by batch in turns, the one first and then the other. With `fills` a seventh of the pieces is
    hidden and asked for; else, and where both cut no piece alike, it is the states alone.
    """
    asked = agreement.masked(every, (0,)) if fills else []
    fills, asked = bool(asked), asked or [Masked(of, []) for of in every]
    batches = [[asked[i] for i in batch] for batch in batching.group([of.of.length for of in asked])]
    for side, encoder in enumerate(sides):  # nothing is started or read from the disk in the first round
        _ask(encoder, batches[0], side, fills)
    progress, found = Progress(step, "rounds timed", rounds), list[list[float]]()
    began = time.perf_counter()
    while len(found) < rounds and (len(found) < LEAST or time.perf_counter() < began + ENOUGH):
        found.append(_round(sides, batches, fills, first=len(found) % 2))
        progress.add(1)
    before, after = (median(of[side] for of in found) for side in (0, 1))
    return Seconds(before, after, median(of[1] / of[0] for of in found), len(found), "fill-mask" if fills else "hidden states")


def _round(sides: Sides, batches: Sequence[Sequence[Masked]], fills: bool, first: int) -> list[float]:
    took = [0.0, 0.0]
    for number, batch in enumerate(batches):
        for turn in (0, 1):
            side = (first + number + turn) % 2
            begin = time.perf_counter()
            _ask(sides[side], batch, side, fills)
            took[side] += time.perf_counter() - begin
    return took


def _ask(encoder: Encoder, batch: Sequence[Masked], side: int, fills: bool) -> None:
    rows, picks = agreement.question(encoder, batch, side)
    if fills:
        encoders.mlm_logits(encoder, rows, picks)
    else:
        encoder.runtime.hidden_states(encoders.pad(rows, encoder.config.pad_id))
