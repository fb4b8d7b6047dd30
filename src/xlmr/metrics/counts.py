"""F1 and what it is made of: how many were right, found and wanted, which add up over sentences, labels and languages.

Counts are whole numbers `[…, 3]`: right, found, wanted. Precision is right / found, recall right / wanted, F1 their harmonic mean,
2 right / (found + wanted); where there is nothing to divide by they are 0, as in scikit-learn and seqeval.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Protocol

import numpy as np


class Labelled(Protocol):
    """Something found that has a label, such as an entity. Equal ones are the same: label, first and last word."""

    @property
    def label(self) -> str:
        """What it is called."""

    def __hash__(self) -> int:
        """Equal where all is equal."""


def precision(counts: np.ndarray) -> np.ndarray:
    """Float64 `[…]` of counts `[…, 3]`."""
    return _share(counts[..., 0], counts[..., 1])


def recall(counts: np.ndarray) -> np.ndarray:
    """Float64 `[…]` of counts `[…, 3]`."""
    return _share(counts[..., 0], counts[..., 2])


def f1(counts: np.ndarray) -> np.ndarray:
    """Float64 `[…]` of counts `[…, 3]`."""
    return _share(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def micro_f1(counts: np.ndarray) -> float:
    """Of all together, from counts `[…, 3]` of sentences or labels."""
    return float(f1(counts.reshape(-1, 3).sum(0)))


def macro_f1(counts: np.ndarray) -> float:
    """The mean of the F1 of labels, from counts `[labels, 3]`, over those found or wanted at least once; not a number where none is.

    For one label to each item, scikit-learn's. Where any number of labels may hold, it takes in labels that are neither, with 0:
    `f1(counts).mean()`.
    """
    there = counts[:, 1:].any(1)
    return float(f1(counts[there]).mean()) if there.any() else float("nan")


def of_items(found: Collection[Hashable], wanted: Collection[Hashable]) -> np.ndarray:
    """Counts int64 `[3]` of one sentence, of whatever is found and wanted in it, each once."""
    return np.array([len({*found} & {*wanted}), len({*found}), len({*wanted})], np.int64)


def of_labels(found: Iterable[Collection[Labelled]], wanted: Iterable[Collection[Labelled]]) -> dict[str, np.ndarray]:
    """Counts int64 `[3]` of each label that is found or wanted, in their order, from what is found and wanted in each sentence."""
    totals: dict[str, np.ndarray] = {}
    for ours, theirs in zip(found, wanted, strict=True):
        mine, right = {*ours}, {*theirs}
        for place, items in enumerate((mine & right, mine, right)):
            for item in items:
                totals.setdefault(item.label, np.zeros(3, np.int64))[place] += 1
    return dict(sorted(totals.items()))


def confusions(found: np.ndarray, wanted: np.ndarray, labels: int) -> np.ndarray:
    """How often each label was found where each was wanted: int64 `[wanted, found]` from the labels' numbers, int `[items]` each."""
    return np.bincount(wanted * labels + found, minlength=labels * labels).reshape(labels, labels)


def of_confusions(table: np.ndarray) -> np.ndarray:
    """Counts int64 `[labels, 3]` from a table of confusions `[wanted, found]`."""
    return np.stack([table.diagonal(), table.sum(0), table.sum(1)], 1)


def of_choices(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Counts int64 `[labels, 3]` where any number of labels may hold, from bool `[items, labels]` each."""
    return np.stack([(found & wanted).sum(0), found.sum(0), wanted.sum(0)], 1)


def numbered(labels: Sequence[str], names: Iterable[str]) -> np.ndarray:
    """The places of names among `labels`, int64 `[names]`. Raises KeyError for one that is not there."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place[name] for name in names], np.int64)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)
    return shares
