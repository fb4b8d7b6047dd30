"""How good answers are. NumPy in, plain numbers out."""

from __future__ import annotations

import numpy as np


def accuracy(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of answers that are right; not a number where there are none."""
    return float(np.mean(found == wanted)) if len(wanted) else float("nan")


def ranks(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many choices come before the wanted one: int64 `[rows]` from scores `[rows, choices]`. Equals come in their order."""
    own = scores[np.arange(len(wanted)), wanted][:, None]
    before = np.arange(scores.shape[1]) < wanted[:, None]
    ahead: np.ndarray = np.sum((scores > own) | ((scores == own) & before), axis=1)
    return ahead


def retrieval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Share of rows whose nearest row of the other side, by cosine, is their own: from `a` to `b`, and from `b` to `a`.

    Row i of `a` belongs to row i of `b`, `[rows, width]` each (Artetxe and Schwenk 2019, section 4.3).
    Of equally near rows the first is taken.
    """
    a, b = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (a, b))
    near = a @ b.T
    own = np.arange(len(near))
    return accuracy(near.argmax(1), own), accuracy(near.argmax(0), own)
