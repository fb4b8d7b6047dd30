"""What the pieces of a vocabulary can be in a word: its beginning, its going on, its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from xlmr import scripts
from xlmr.tasks.spelling import UNSPACED, begins_word, in_word
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.ties import Cutter
from xlmr.tokenizer.vocabulary import SPACE, UNK_ID, Vocabulary

INNER = "'’ʼ·-\u200c\u200d"
"""Signs that a word may have inside, not at its ends: l’eau is two words, п'ять and aujourd’hui are one; the last are joiners."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which pieces may take which place in a word: ids, int64, rising."""

    every: np.ndarray
    """All but the special ones; in the scripts that were asked for, where some were."""
    lone: np.ndarray
    """`▁`, a space before a word that has no piece with its space."""
    spaced: np.ndarray
    """Begin a word after a space."""
    joined: np.ndarray
    """Begin a word right after a sign."""
    unspaced: np.ndarray
    """Begin a word in a script without spaces, wherever it stands."""
    inside: np.ndarray
    """Go on with a word."""
    closing: np.ndarray
    """May be a word's last piece."""


class Lexicon:
    """The pieces of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, special: frozenset[int]) -> None:
        self.pieces = [piece for piece, _ in vocabulary.pieces]
        self._vocabulary = vocabulary
        self._special = special
        self._roles: dict[frozenset[str] | None, Roles] = {}

    @cached_property
    def every(self) -> np.ndarray:
        """The ids of all pieces but the special ones."""
        return np.setdiff1d(np.arange(len(self.pieces)), list(self._special))

    def roles(self, allowed: frozenset[str] | None = None) -> Roles:
        """Which pieces may take which place in a word; with `allowed`, only pieces in these scripts."""
        if allowed not in self._roles:
            self._roles[allowed] = self._sorted(allowed)
        return self._roles[allowed]

    def text(self, i: int) -> str:
        """What a piece writes, without the space before it."""
        return self.pieces[i].removeprefix(SPACE)

    def spaced(self, i: int) -> bool:
        """Whether a piece has a space before it."""
        return self.pieces[i].startswith(SPACE)

    def joined(self, cut: tuple[int, ...]) -> tuple[int, ...]:
        """The pieces of a word that stands right after something, from those it has after a space; the same where there are no others.

        They may be quite different ones: XLM-R has `▁o`, `is`, `eau` after a space, and `oise`, `au` right after a letter or a sign.
        """
        found = tuple(i for i, _, _ in self._cutter.cut("".join(map(self.pieces.__getitem__, cut)).removeprefix(SPACE)))
        return cut if not found or UNK_ID in found else found

    @cached_property
    def _cutter(self) -> Cutter:
        """Only words right after something are cut by it: to make it takes a quarter of a second for XLM-R's pieces."""
        return Cutter(self._vocabulary.pieces)

    def _sorted(self, allowed: frozenset[str] | None) -> Roles:
        wanted = [(i, self.text(i), self.spaced(i)) for i in self.every.tolist()]
        if allowed is not None:
            wanted = [row for row in wanted if scripts.fits(row[1], allowed)]
        words = [row for row in wanted if row[1] and all(in_word(char) or char in INNER for char in row[1])]

        def those(fit: Callable[[str, bool], bool]) -> np.ndarray:
            return np.array([i for i, text, space in words if fit(text, space)], np.int64)

        return Roles(
            every=np.array([i for i, *_ in wanted], np.int64),
            lone=np.array([i for i, piece in enumerate(self.pieces) if piece == SPACE], np.int64),
            spaced=those(lambda text, space: space and begins_word(text[0])),
            joined=those(lambda text, space: not space and begins_word(text[0])),
            unspaced=those(lambda text, space: not space and bool(UNSPACED.match(text)) and begins_word(text[0])),
            inside=those(lambda text, space: not space),
            closing=those(lambda text, space: in_word(text[-1])),
        )


KNOWN: WeakKeyDictionary[Tokenizer, Lexicon] = WeakKeyDictionary()
"""A vocabulary of 250,002 pieces takes a second to sort, so it is done once."""


def of(tokenizer: Tokenizer) -> Lexicon:
    """The lexicon of a tokenizer."""
    if tokenizer not in KNOWN:
        special = (tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id)
        KNOWN[tokenizer] = Lexicon(tokenizer.vocabulary, frozenset(special))
    return KNOWN[tokenizer]
