"""What may stand for a mask: any one piece, a whole word, or one of some candidates. The search over them is one, in `joint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from xlmr.tasks.lexicon import Lexicon


class Choices(Protocol):
    """The fillings of one mask, as sequences of pieces."""

    @property
    def lengths(self) -> Sequence[int]:
        """How many pieces a filling can have, rising."""

    @property
    def least(self) -> int:
        """Partial fillings that a search must keep at least, so that none of few is lost."""

    def following(self, length: int, pieces: tuple[int, ...]) -> np.ndarray:
        """The ids, rising, that may come next after these pieces of a filling which has `length` of them in the end."""
        ...

    def word(self, pieces: tuple[int, ...]) -> tuple[str, bool] | None:
        """What the pieces write, and whether a space belongs before it where words would meet. None where they are no filling after all."""
        ...


class OnePiece:
    """Any piece of the vocabulary but the special ones, or those in some scripts."""

    lengths = (1,)
    least = 1

    def __init__(self, lexicon: Lexicon, allowed: frozenset[str] | None = None) -> None:
        self._lexicon = lexicon
        self._every = lexicon.every if allowed is None else lexicon.roles(allowed).every

    def following(self, length: int, pieces: tuple[int, ...]) -> np.ndarray:
        """Every piece; see `Choices`."""
        return self._every

    def word(self, pieces: tuple[int, ...]) -> tuple[str, bool] | None:
        """The piece without its space; see `Choices`."""
        (piece,) = pieces
        return self._lexicon.text(piece), self._lexicon.spaced(piece)
