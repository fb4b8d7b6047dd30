"""Rounding weights so that what they compute changes least, not they themselves.

GPTQ (Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", algorithm 1): columns are
rounded one after another, and what is lost at one is made good by those that are still to come, as the second moments of what the matrix
reads have it.
"""

from __future__ import annotations

import numpy as np

from xlmr.checkpoint.integers import Rounding

DAMPING = 0.1
"""Of the mean of the moments' diagonal, added to it: what is known of the inputs comes from a few texts. A table of pieces is also read
row by row, and needs its rows near their own places (tried: 0.01, 0.1, 1)."""
COLUMNS = 64
"""Rounded before the rest is told."""
ROWS = 1 << 14
"""Taken at a time: each is rounded for itself, and the work is done in float64."""


def rounding(inputs: np.ndarray) -> Rounding:
    """Rounding for a matrix that reads rows like these, float32 `[rows, in]`."""
    moments = (inputs.T @ inputs).astype(np.float64) / max(len(inputs), 1)
    order = np.argsort(-np.diag(moments), kind="stable")  # the loudest first, while there are others to make it good
    moments = moments[np.ix_(order, order)]
    moments[np.diag_indices(len(moments))] += DAMPING * np.mean(np.diag(moments)) + np.finfo(np.float32).tiny
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T

    def rounded(values: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
        scale = np.broadcast_to(scale, values.shape)
        whole = np.empty_like(values)
        for begin in range(0, len(values), ROWS):
            some = slice(begin, begin + ROWS)
            whole[some, order] = _rounded(values[some, order].astype(np.float64), scale[some, order], upper, most)
        return whole

    return rounded


def _rounded(left: np.ndarray, scale: np.ndarray, upper: np.ndarray, most: int) -> np.ndarray:
    whole = np.empty_like(left)
    for begin in range(0, left.shape[1], COLUMNS):
        end = min(begin + COLUMNS, left.shape[1])
        lost = np.empty((len(left), end - begin))
        for i in range(begin, end):
            whole[:, i] = np.clip(np.rint(left[:, i] / scale[:, i]), -most, most)
            lost[:, i - begin] = (left[:, i] - whole[:, i] * scale[:, i]) / upper[i, i]
            left[:, i:end] -= np.outer(lost[:, i - begin], upper[i, i:end])
        left[:, end:] -= lost @ upper[begin:end, end:]
    return whole
