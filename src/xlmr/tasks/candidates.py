"""Candidates for a mask: words and phrases of any number of pieces, all of them scored, none lost to a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from xlmr.errors import BadInput
from xlmr.limits import CANDIDATE, CANDIDATES, PIECES
from xlmr.tasks.lexicon import Lexicon
from xlmr.tokenizer import Tokenizer, check
from xlmr.tokenizer.vocabulary import MASK

Cut = tuple[int, ...]


class Candidates:
    """Some candidates, each in its pieces. Two that have the same pieces, as the tokenizer normalises them, are one: the first."""

    def __init__(self, spelled: dict[Cut, str]) -> None:
        self.least = len(spelled)
        self.lengths = sorted({len(cut) for cut in spelled})
        self._spelled = spelled
        following: dict[tuple[int, Cut], set[int]] = {}
        for cut in spelled:
            for i, piece in enumerate(cut):
                following.setdefault((len(cut), cut[:i]), set()).add(piece)
        self._following = {start: np.array(sorted(pieces), np.int64) for start, pieces in following.items()}

    def following(self, length: int, pieces: Cut) -> np.ndarray:
        """The next pieces of the candidates that begin so; see `Choices`."""
        return self._following[length, pieces]

    def word(self, pieces: Cut) -> tuple[str, bool] | None:
        """The candidate as it was given, with no space added; see `Choices`."""
        return self._spelled[pieces], False

    def joined(self, lexicon: Lexicon) -> Candidates:
        """The same, for a mask right after something, from those for a mask after a space."""
        spelled: dict[Cut, str] = {}
        for pieces, candidate in self._spelled.items():
            spelled.setdefault(lexicon.joined(pieces), candidate)
        return Candidates(spelled)


def read(candidates: object) -> list[str]:
    """The candidates, without the spaces around them. Raises BadInput where there are none, too many, or one is empty or no text."""
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise BadInput(f"candidates are a {type(candidates).__name__}, wanted a list of words or phrases")
    found = list(islice(candidates, CANDIDATES + 1))
    if len(found) > CANDIDATES:
        raise BadInput(f"there are more than {CANDIDATES:,} candidates; at most {CANDIDATES:,} are taken, so ask in several goes")
    if not found:
        raise BadInput("there are no candidates; wanted at least one word or phrase")
    return [_checked(number, candidate) for number, candidate in enumerate(found, start=1)]


def cut(tokenizer: Tokenizer, candidates: Sequence[str]) -> Candidates:
    """Candidates for a mask after a space. Raises BadInput where the vocabulary cannot spell one."""
    spelled: dict[Cut, str] = {}
    for number, candidate in enumerate(candidates, start=1):
        encoding = tokenizer.encode(candidate)
        pieces = tuple(encoding.ids[1:-1])
        if not pieces:
            raise BadInput(f"candidate {number}, {candidate!r}, is nothing to the vocabulary: it has no piece for it")
        if tokenizer.unk_id in pieces:
            start, end = encoding.offsets[encoding.ids.index(tokenizer.unk_id)]
            raise BadInput(
                f"candidate {number}, {candidate!r}, cannot be spelled: the vocabulary has no piece for {candidate[start:end]!r}"
            )
        if len(pieces) > PIECES:
            raise BadInput(f"candidate {number}, {candidate!r}, has {len(pieces)} pieces, and at most {PIECES} are taken")
        spelled.setdefault(pieces, candidate)
    return Candidates(spelled)


def _checked(number: int, candidate: object) -> str:
    if not isinstance(candidate, str):
        raise BadInput(f"candidate {number} is a {type(candidate).__name__}, wanted a word or a phrase")
    if len(candidate) > CANDIDATE:
        raise BadInput(f"candidate {number} has {len(candidate):,} characters, and at most {CANDIDATE:,} are taken")
    try:
        check(candidate)
    except BadInput as error:
        raise BadInput(f"candidate {number}: {error}") from None
    if not candidate.strip():
        raise BadInput(f"candidate {number} is empty; wanted a word or a phrase")
    if MASK in candidate:
        raise BadInput(f"candidate {number}, {candidate!r}, has a {MASK} of its own; wanted a word or a phrase")
    return candidate.strip()
