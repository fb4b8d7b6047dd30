"""The part of a text that the model sees, where the text is longer than the model takes."""

from __future__ import annotations


def around(first: int, last: int, tokens: int, room: int) -> tuple[int, int]:
    """Begin and end of a window over `tokens` tokens, `room` long or all of them, with the tokens `first` to `last` in its middle.

    At either end of the text the window ends with it, and reaches further on the other side. They must fit: `last - first < room`.
    """
    begin = max(0, min((first + last + 1 - room) // 2, tokens - room))
    return begin, min(begin + room, tokens)
