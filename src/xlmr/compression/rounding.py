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
"""Taken at a time: each is rounded for itself."""


def rounding(inputs: np.ndarray) -> Rounding:
    """Rounding for a matrix that reads rows like these, float32 `[rows, in]`."""
    moments = (inputs.T @ inputs).astype(np.float64) / max(len(inputs), 1)
    order = np.argsort(-np.diag(moments), kind="stable")  # the loudest first, while there are others to make it good
    moments = moments[np.ix_(order, order)]
    moments[np.diag_indices(len(moments))] += DAMPING * np.mean(np.diag(moments)) + np.finfo(np.float32).tiny
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T.astype(np.float32)

    def rounded(values: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
        scale = np.broadcast_to(scale, values.shape)
        whole = np.empty_like(values)
        for begin in range(0, len(values), ROWS):
            some = slice(begin, begin + ROWS)
            left, steps = (np.ascontiguousarray(of[some, order].T) for of in (values, scale))
            whole[some, order] = _rounded(left, steps, upper, most).T
        return whole

    return rounded


def _rounded(left: np.ndarray, scale: np.ndarray, upper: np.ndarray, most: int) -> np.ndarray:
    """Turned, `[in, out]`: what is rounded together lies together."""
    whole = np.empty_like(left)
    for begin in range(0, len(left), COLUMNS):
        end = min(begin + COLUMNS, len(left))
        lost = np.empty((end - begin, left.shape[1]), left.dtype)
        for i in range(begin, end):
            whole[i] = np.clip(np.rint(left[i] / scale[i]), -most, most)
            lost[i - begin] = (left[i] - whole[i] * scale[i]) / upper[i, i]
            left[i + 1 : end] -= np.outer(upper[i, i + 1 : end], lost[i - begin])
        left[end:] -= upper[begin:end, end:].T @ lost
    return whole
