"""Whether languages cluster and translations meet, as numbers: what lies nearest to each text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from xlmr.maps import Dot, Shares

NEAREST = 10
BLOCK = 500
"""Texts compared with all others at once."""


def shares(points: np.ndarray, dots: Sequence[Dot]) -> Shares:
    """Of points `[dots, size]`, by Euclidean distance: the shares of `NEAREST` neighbours, or of all where there are fewer."""
    if len(dots) < 2:
        return Shares(None, None)
    codes, groups = _numbers(dots)
    met = np.zeros(len(dots), bool)
    for some, far in _distances(points):
        far[codes[some, None] == codes] = np.inf
        met[some] = groups[far.argmin(1)] == groups[some]
    hits = met[_translations(codes, groups) > 0]
    return Shares(float(own(points, dots).mean()), float(hits.mean()) if len(hits) else None)


def own(points: np.ndarray, dots: Sequence[Dot]) -> np.ndarray:
    """Of the nearest neighbours of each dot, the share in its language: float64 `[dots]`; 1 for one that is alone."""
    codes, _ = _numbers(dots)
    most = min(NEAREST, len(dots) - 1)
    found = np.ones(len(dots))
    for some, far in _distances(points) if most else ():
        near = np.argpartition(far, most - 1, axis=1)[:, :most]
        found[some] = (codes[near] == codes[some, None]).mean(1)
    return found


def _distances(points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some dots at a time, and their squared distances from all, but for what is the same in a row; from themselves infinite."""
    points = points.astype(np.float32) - points.mean(0, dtype=np.float32)
    squares = np.square(points).sum(1)
    for begin in range(0, len(points), BLOCK):
        some = np.arange(begin, min(begin + BLOCK, len(points)))
        far = squares - 2 * points[some] @ points.T
        far[np.arange(len(some)), some] = np.inf
        yield some, far


def chance(dots: Sequence[Dot]) -> Shares:
    """The same where all of them lay anywhere."""
    if len(dots) < 2:
        return Shares(None, None)
    codes, groups = _numbers(dots)
    count = np.bincount(codes)
    translated = _translations(codes, groups)
    others = len(dots) - count[codes]
    found = (translated / np.maximum(others, 1))[translated > 0]
    return Shares(float(np.mean((count[codes] - 1) / (len(dots) - 1))), float(found.mean()) if len(found) else None)


def _numbers(dots: Sequence[Dot]) -> tuple[np.ndarray, np.ndarray]:
    """Language and group of each as whole numbers; without translations, a group of its own."""
    _, codes = np.unique([dot.language for dot in dots], return_inverse=True)
    groups = [-1 - i if dot.group is None else dot.group for i, dot in enumerate(dots)]
    return codes, np.array(groups)


def _translations(codes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How many texts of its group each has in other languages."""
    pairs = [*zip(codes.tolist(), groups.tolist(), strict=True)]
    of, within = Counter(groups.tolist()), Counter(pairs)
    return np.array([of[group] - within[code, group] for code, group in pairs])
