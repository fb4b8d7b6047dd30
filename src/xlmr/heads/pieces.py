"""From the states of a text's pieces to the vectors of its words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Slice = tuple[int, int]
"""Start and end in the text."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the pieces it is made of."""

    place: Slice
    pieces: list[int]
    """Their numbers, in order."""
    shares: list[float]
    """How much of each piece lies in the word: 1 but for a piece that spans several words."""


def match(words: Sequence[Slice], pieces: Sequence[Slice]) -> list[Word]:
    """The words that pieces were made of, with those pieces, as `each`; a word that no piece was made of is left out."""
    return [word for word in each(words, pieces) if word.pieces]


def each(words: Sequence[Slice], pieces: Sequence[Slice]) -> list[Word]:
    """Every word with the pieces that were made of it; `words` in order and apart, `pieces` in whatever order.

    A word such as a character of no width has none. A piece of no width, such as a lone `▁`, is of no word.
    """
    ends = [end for _, end in words]
    found = [Word(place, [], []) for place in words]
    for number, (start, end) in enumerate(pieces):
        at = bisect_right(ends, start)
        while start < end and at < len(words) and words[at][0] < end:
            found[at].pieces.append(number)
            found[at].shares.append((min(end, words[at][1]) - max(start, words[at][0])) / (end - start))
            at += 1
    return found


def _mean(states: np.ndarray, shares: np.ndarray) -> np.ndarray:
    mean: np.ndarray = shares @ states / shares.sum()
    return mean


POOLS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean": _mean,
    "first": lambda states, shares: states[0],
    "max": lambda states, shares: states.max(0),
}
"""`[pieces, width]` and the shares `[pieces]` of a word to `[width]`. A mean weighs each piece by its share."""


def pool(mode: str, words: Sequence[Word], states: np.ndarray) -> np.ndarray:
    """The words' vectors, float32 `[words, width]`, from the pieces' states `[pieces, width]`; zeros for a word without pieces."""
    made = np.zeros((len(words), states.shape[-1]), np.float32)
    for i, word in enumerate(words):
        if word.pieces:
            made[i] = POOLS[mode](states[word.pieces], np.array(word.shares, np.float32))
    return made
