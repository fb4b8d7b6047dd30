"""How good answers are. NumPy in, plain numbers out."""

from __future__ import annotations

import numpy as np

HELD = 1 << 24
"""Numbers of a table that are worked out at a time, about."""


def accuracy(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of answers that are right; not a number where there are none."""
    return float(np.mean(found == wanted)) if len(wanted) else float("nan")


def ranks(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How many choices come before the wanted one: int64 `[rows]` from scores `[rows, choices]`. Equals come in their order."""
    own = scores[np.arange(len(wanted)), wanted][:, None]
    before = np.arange(scores.shape[1]) < wanted[:, None]
    ahead: np.ndarray = np.sum((scores > own) | ((scores == own) & before), axis=1)
    return ahead


def retrieval(a: np.ndarray, b: np.ndarray, *, held: int = HELD) -> tuple[float, float]:
    """Share of rows whose nearest row of the other side, by cosine, is their own: from `a` to `b`, and from `b` to `a`.

    Row i of `a` belongs to row i of `b`, `[rows, width]` each (Artetxe and Schwenk 2019, section 4.3). There is one right answer, as in
    XTREME (Hu et al. 2020): of equally near rows the first is taken, so a row that has come before, the same in every number, is never
    found. About `held` cosines are worked out at a time.
    """
    a, b = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (a, b))
    there, back, best = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64), np.full(len(b), -np.inf)
    rows = max(1, held // max(1, len(b)))
    for begin in range(0, len(a), rows):
        near = a[begin : begin + rows] @ b.T
        there[begin : begin + rows] = near.argmax(1)
        nearest = near.argmax(0)
        cosine = near[nearest, np.arange(len(b))]
        back[cosine > best] = begin + nearest[cosine > best]
        best = np.maximum(best, cosine)
    own = np.arange(len(a))
    return accuracy(_first(b)[there], own), accuracy(_first(a)[back], own)


def _first(rows: np.ndarray) -> np.ndarray:
    """For each row the number of the first that is the same, int64. Cosines of equal rows may differ by a rounding, so they cannot tell."""
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, of = np.unique(whole, return_index=True, return_inverse=True)
    found: np.ndarray = first[of]
    return found


def f1(found: np.ndarray, wanted: np.ndarray, label: object) -> float:
    """The harmonic mean of precision and recall of one label; 0 where it is neither found nor wanted."""
    hits = np.sum((found == label) & (wanted == label))
    return float(2 * hits / max(1, np.sum(found == label) + np.sum(wanted == label)))


def macro_f1(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean of the F1 of every label that is wanted."""
    labels = np.unique(wanted)
    return float(np.mean([f1(found, wanted, label) for label in labels])) if len(labels) else float("nan")


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """In bins of confidence of the same width, by how much it differs from the share of right answers: the mean over all answers.

    The expected calibration error of Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float(np.sum(confidence[place == i] - right[place == i]))) for i in range(bins)]
    return sum(gaps) / max(1, len(confidence))


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """The area under the ROC curve: how often a positive's score is above a negative's, equals counting half."""
    both = np.concatenate([positive, negative])
    _, place, count = np.unique(both, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    pairs = len(positive) * len(negative)
    return float((rank[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2) / pairs) if pairs else float("nan")
