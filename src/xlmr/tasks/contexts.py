"""The part of a text that the model sees, where the text is longer than the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

OVERLAP = 4
"""A window shares at least one part in so many with the next: every token has half of that on either side, and work grows by a third."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window over a text's tokens, and those of them that are taken from it."""

    begin: int
    end: int
    """It shows the tokens from `begin` to before `end` …"""
    first: int
    last: int
    """… and those from `first` to before `last` have their states from it."""


def around(first: int, last: int, tokens: int, room: int) -> tuple[int, int]:
    """Begin and end of a window over `tokens` tokens, `room` long or all of them, with the tokens `first` to `last` in its middle.

    At either end of the text the window ends with it, and reaches further on the other side. They must fit: `last - first < room`.
    """
    begin = max(0, min((first + last + 1 - room) // 2, tokens - room))
    return begin, min(begin + room, tokens)


def windows(tokens: int, room: int) -> list[Window]:
    """Windows over `tokens` tokens, `room` long, evenly spaced; one over all of them where they fit.

    Each token is taken once: from the window in which it has most context on the side where it has less.
    """
    if tokens <= room:
        return [Window(0, tokens, 0, tokens)]
    free = tokens - room
    gaps = -(-free // (room - room // OVERLAP))
    begins = [i * free // gaps for i in range(gaps + 1)]
    cuts = [0, *((before + room + after) // 2 for before, after in pairwise(begins)), tokens]
    return [Window(begin, begin + room, first, last) for begin, (first, last) in zip(begins, pairwise(cuts), strict=True)]
