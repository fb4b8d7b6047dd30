"""Which parts of a model it can do without, measured on texts.

Heads and inner units. Either is some columns of a matrix that takes what the parts say to the states. Of least importance is the part
without which the matrix's output changes least, once what is left has taken over what it can of it: with H the second moments of what the
parts say and W the columns of part p, by tr(Wᵀ ((H⁻¹)ₚₚ)⁻¹ W). This is the optimal brain surgeon (Hassibi and Stork 1993), of a layer's
output (Frantar and Alistarh 2022, "Optimal brain compression", section 3), by whole parts (Kurtic et al. 2023, "ZipLM", section 3). It
needs no gradient, and no labels.

Layers. Of least importance is the one without which the last states change least, found anew after each that is left out (Song et al.
2024, "SLEB", who ask for the probability of texts, for which there must be a head).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xlmr.compression import arithmetic
from xlmr.compression.arithmetic import Rows
from xlmr.compression.parts import Step
from xlmr.config import Config

DAMPING = 0.1
"""Of the mean variance, is added to each. Some thousand tokens are few: of 0.001, 0.01 and 0.1 this one was best on other texts."""
ROUNDS = 32
"""In which inner units are left out: one after another, as many at a time as that makes."""
SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Choice:
    """What is left of the columns of a matrix."""

    kept: np.ndarray
    """int64 `[kept]`, ascending: the parts."""
    weight: np.ndarray
    """float32 `[out, kept x size]`: their columns, refitted."""
    shift: np.ndarray
    """float32 `[out]`: what is added to the bias; with it the mean of the output is what it was."""
    lost: float
    """Of the output's variance, the share that is not there any more."""


def choose(said: np.ndarray, weight: np.ndarray, size: int, keep: int, *, refit: bool = True) -> Choice:
    """The parts to keep of a matrix, float32 `[out, parts x size]`, by what they say, float32 `[tokens, parts x size]`.

    Without `refit` their columns are as they were.
    """
    mean = said.mean(0)
    centred = said - mean
    second = (centred.T @ centred).astype(np.float64) / len(said)
    damped = second + np.eye(len(second)) * (DAMPING * np.trace(second) / len(second) + SMALLEST)
    before = weight.T.astype(np.float64)
    kept, after = _left(np.linalg.inv(damped), before, size, keep)
    places = columns(kept, size)
    if not refit:
        after = before[places]
    gone = before.copy()
    gone[places] -= after
    whole, lost = (float(np.sum(of * (second @ of))) for of in (before, gone))
    shift = mean @ gone if refit else np.zeros(len(weight))
    return Choice(kept, after.T.astype(np.float32), shift.astype(np.float32), lost / max(whole, SMALLEST))


def columns(parts: np.ndarray, size: int) -> np.ndarray:
    """Where the numbers of some parts lie, int64 `[parts x size]`."""
    places: np.ndarray = (parts[:, None] * size + np.arange(size)).ravel()
    return places


def _left(inverse: np.ndarray, outgoing: np.ndarray, size: int, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Leave out parts, from the inverse of their second moments and their columns, `[parts x size, out]`: those that are kept, and their
    columns, which have taken over what they can."""
    alive = np.arange(len(outgoing) // size)
    a_round = max(1, -(-(len(alive) - keep) // ROUNDS)) if size == 1 else 1
    while len(alive) > keep:
        blocks = inverse.reshape(len(alive), size, len(alive), size)[np.arange(len(alive)), :, np.arange(len(alive))]
        each = outgoing.reshape(len(alive), size, -1)
        changes = (each * np.linalg.solve(blocks, each)).sum((1, 2))
        worst = np.sort(np.argsort(changes, kind="stable")[: min(a_round, len(alive) - keep)])
        rest = np.setdiff1d(np.arange(len(alive)), worst)
        out, left = columns(worst, size), columns(rest, size)
        taken = np.linalg.solve(inverse[np.ix_(out, out)], inverse[np.ix_(out, left)])
        outgoing = outgoing[left] - taken.T @ outgoing[out]
        inverse = inverse[np.ix_(left, left)] - inverse[np.ix_(left, out)] @ taken
        alive = alive[rest]
    return alive, outgoing


def layers(weights: Mapping[str, np.ndarray], config: Config, rows: Rows, keep: int, step: Step) -> list[int]:
    """The layers to keep, in their order."""
    left = list(range(config.layers))
    wanted = _through(weights, config, left, arithmetic.embed(weights, config, rows), rows)
    while len(left) > keep:
        x, changes = arithmetic.embed(weights, config, rows), []
        step(f"trying without each of {len(left)} layers")
        for place, layer in enumerate(left):
            found = _through(weights, config, left[place + 1 :], x, rows)
            changes.append(float(np.square(found - wanted).sum()))
            x = arithmetic.block(weights, config, layer, x, rows)
        left.pop(int(np.argmin(changes)))
    return left


def _through(weights: Mapping[str, np.ndarray], config: Config, these: list[int], x: np.ndarray, rows: Rows) -> np.ndarray:
    for layer in these:
        x = arithmetic.block(weights, config, layer, x, rows)
    return x
