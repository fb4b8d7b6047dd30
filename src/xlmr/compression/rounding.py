"""Rounding weights so that what they compute changes least, not they themselves.

GPTQ (Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", algorithm 1): columns are
rounded one after another, and what is lost at one is made good by those that are still to come, as the second moments of what the matrix
reads have it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DAMPING = 0.1
"""Of the mean of the moments' diagonal, added to it: what is known of the inputs comes from a few texts. A table of pieces is also read
row by row, and needs its rows near their own places (tried: 0.01, 0.1, 1)."""
COLUMNS = 64
"""Rounded before the rest is told."""
ROWS = 1 << 14
"""Taken at a time: each is rounded for itself, and the work is done in float64."""

Round = Callable[[np.ndarray, float], np.ndarray]
"""Numbers in units of their scale, float32 `[out, in]`, and the largest integer, to integers (as floats)."""


def nearest(values: np.ndarray, most: float) -> np.ndarray:
    """Each to the nearest, ties to even."""
    return np.clip(np.rint(values), -most, most)


def rounder(moments: np.ndarray) -> Round:
    """Rounding for a matrix whose inputs `x` have the second moments E[x xᵀ], `[in, in]`."""
    width = len(moments)
    order = np.argsort(-np.diag(moments), kind="stable")  # the loudest first, while there are others to make it good
    damped = moments[np.ix_(order, order)].astype(np.float64)
    damped[np.diag_indices(width)] += DAMPING * np.mean(np.diag(damped)) + np.finfo(np.float32).tiny
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T

    def rounded(values: np.ndarray, most: float) -> np.ndarray:
        whole = np.empty_like(values)
        for begin in range(0, len(values), ROWS):
            whole[begin : begin + ROWS, order] = _rounded(values[begin : begin + ROWS, order].astype(np.float64), upper, most)
        return whole

    return rounded


def _rounded(left: np.ndarray, upper: np.ndarray, most: float) -> np.ndarray:
    whole = np.empty_like(left)
    for begin in range(0, left.shape[1], COLUMNS):
        end = min(begin + COLUMNS, left.shape[1])
        lost = np.empty((len(left), end - begin))
        for i in range(begin, end):
            whole[:, i] = nearest(left[:, i], most)
            lost[:, i - begin] = (left[:, i] - whole[:, i]) / upper[i, i]
            left[:, i:end] -= np.outer(lost[:, i - begin], upper[i, i:end])
        left[:, end:] -= lost @ upper[begin:end, end:]
    return whole
