"""Whole words for a mask, of one piece or of several.

A word is a first piece that begins one and others that go on with it: letters, digits and marks, the first of them no mark, between
them perhaps an apostrophe or a hyphen. Its first piece brings a space along, but not right after an opening sign or an apostrophe, and not
in scripts without spaces, where a word is any run of pieces. A word counts in the pieces its tokenizer cuts it into, and in no others: the
model has seen no others.
"""

from __future__ import annotations

import numpy as np

from xlmr.tasks.lexicon import Lexicon
from xlmr.tasks.spelling import needs_space
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.vocabulary import MASK


class WholeWords:
    """Words of 1 to `longest` pieces, for masks where a word stands `apart` from the text before it, or for those where it does not."""

    least = 1

    def __init__(self, tokenizer: Tokenizer, lexicon: Lexicon, longest: int, apart: bool, allowed: frozenset[str] | None) -> None:
        self.lengths = range(1, longest + 1)
        self._tokenizer, self._lexicon = tokenizer, lexicon
        roles = lexicon.roles(allowed)
        self._apart = apart
        first = np.union1d(roles.spaced, roles.unspaced) if apart else roles.joined
        self._first = {False: np.union1d(first, roles.lone) if apart else first, True: np.intersect1d(first, roles.closing)}
        self._second = {False: roles.joined, True: np.intersect1d(roles.joined, roles.closing)}
        self._next = {False: roles.inside, True: np.intersect1d(roles.inside, roles.closing)}
        self._lone = frozenset(roles.lone.tolist())

    def following(self, length: int, pieces: tuple[int, ...]) -> np.ndarray:
        """What begins a word, then what goes on with it, at last what can end it; see `Choices`."""
        last = len(pieces) + 1 == length
        if not pieces:
            return self._first[last]
        return (self._second if pieces[-1] in self._lone else self._next)[last]

    def word(self, pieces: tuple[int, ...]) -> tuple[str, bool] | None:
        """The word, where the tokenizer cuts it so; see `Choices`."""
        word = "".join(map(self._lexicon.text, pieces))
        cut = tuple(self._tokenizer.encode(word).ids[1:-1])
        if not self._lexicon.spaced(pieces[0]):
            cut = self._lexicon.joined(cut)
        return (word, self._apart) if cut == pieces else None


def stands_apart(before: str) -> bool:
    """Whether a word after this text has a space before it, or gets one, as after the word of another mask."""
    return not before[-1:].strip() or before.endswith(MASK) or needs_space(before)
