"""How far a score may be chance: intervals by the bootstrap (Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13).

Items are drawn again, with replacement, as many as there are, and scored again; between the percentiles lies the interval.

    samples = resample(len(right), lambda rows: right[rows].mean())
    low, high = interval(samples)

Samples of several languages, each drawn with a seed of its own, are averaged round by round for the interval of their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 1000
LEVEL = 0.95


def resample(items: int, statistic: Callable[[np.ndarray], float], *, rounds: int = ROUNDS, seed: int | Sequence[int] = 0) -> np.ndarray:
    """The statistic of each drawing, float64 `[rounds]`; it is given the numbers of the items drawn, int64 `[items]`.

    Without items, not a number.
    """
    if not items:
        return np.full(rounds, np.nan)
    dice = np.random.default_rng(seed)
    return np.array([statistic(dice.integers(items, size=items)) for _ in range(rounds)], np.float64)


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Between which two numbers `level` of the samples lie, as many below as above."""
    outside = (1 - level) / 2
    low, high = np.quantile(samples, [outside, 1 - outside])
    return float(low), float(high)


def bootstrap(values: np.ndarray, *, rounds: int = ROUNDS, seed: int | Sequence[int] = 0, level: float = LEVEL) -> tuple[float, float]:
    """The interval of the mean of `values`, `[items]`."""
    return interval(resample(len(values), lambda rows: float(values[rows].mean()), rounds=rounds, seed=seed), level)
