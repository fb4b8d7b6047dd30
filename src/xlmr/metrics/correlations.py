"""How well numbers that were found go with those that were wanted."""

from __future__ import annotations

import numpy as np


def pearson(found: np.ndarray, wanted: np.ndarray) -> float:
    """The linear correlation, -1 to 1; not a number where either side is the same throughout, or has fewer than two."""
    if len(found) < 2 or not (np.ptp(found) and np.ptp(wanted)):  # told from the numbers: less their mean, equal ones may differ from 0
        return float("nan")
    a, b = (np.asarray(side, np.float64) - np.mean(side, dtype=np.float64) for side in (found, wanted))
    return float(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))


def spearman(found: np.ndarray, wanted: np.ndarray) -> float:
    """The correlation of their ranks, equals sharing theirs; likewise."""
    return pearson(_ranks(found), _ranks(wanted))


def squared_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean of the squares of the differences; not a number where there are none."""
    return float(np.mean(np.square(np.subtract(found, wanted, dtype=np.float64)))) if len(found) else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    shared: np.ndarray = (np.cumsum(count) - (count - 1) / 2)[place]
    return shared
