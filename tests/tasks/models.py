"""Models that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class Fixed:
    """A runtime that gives every mask the same logits."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits.astype(np.float32)

    def hidden_states(self, ids, layers=(-1,)):
        raise AssertionError("not asked for")

    def mlm_logits(self, ids, picks):
        return np.tile(self.logits, (len(picks), 1))


class Said(Fixed):
    """A runtime whose logits at a place are a function of the row, without its padding, and of the place."""

    def __init__(self, says: Callable[[list[int], int], np.ndarray]) -> None:
        self.says = says

    def mlm_logits(self, ids, picks):
        return np.array([self.says([i for i in ids[row].tolist() if i != 1], place) for row, place in picks.tolist()], np.float32)


def chain(encoder, row: list[int], places: list[int], pieces: list[int]) -> float:
    """The logarithm of the score of pieces at places of a row that has masks there: one run for each, one row in it, left to right."""
    total, row = 0.0, list(row)
    for place, piece in zip(places, pieces, strict=True):
        logits = encoder.runtime.mlm_logits(np.array([row]), np.array([[0, place]]))[0].astype(np.float64)
        total += float(logits[piece] - np.log(np.exp(logits).sum()))
        row[place] = piece
    return total
