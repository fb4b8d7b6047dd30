"""Where several cuts of a word have the same score, as in a run of one sign: the one that SentencePiece's rounding chooses.

`!!!!!` can be `!!!` `!!` or `!!` `!!!`: the same scores in another order, so their sums differ in the last bit or not at all. SentencePiece
keeps its sums in float32, the `tokenizers` package in float64. So a text with such a run is cut here, with
SentencePiece's arithmetic (Kudo 2018, "Subword Regularization", section 3.2, has the method, Viterbi's). And so is a long text: its
sums leave float32 no digits for what is nearly a tie.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from xlmr.tokenizer.vocabulary import SPACE, SPECIAL, UNK_ID

RUN = re.compile(rf"([^{SPACE}]{{1,4}}?)\1\1", re.DOTALL)
"""What can be cut into the same pieces in another order: something three times or more."""
LONG = 10_000
"""Characters from which on a text is cut here: ten times as slow, and a few in a hundred such texts have a word with such near ties.
Of texts of 512 tokens none in 600 had one; what is looked at of a text for that many is shorter than this."""
LONGEST = 64
"""Characters of a piece. A vocabulary with longer ones is cut by `tokenizers` alone: each of them would be looked for at every place."""
UNKNOWN = 10.0
"""An unknown character scores so much less than the worst piece."""

Cut = tuple[int, int, int]
"""A piece's id, where it begins and where it ends."""


class Cutter:
    """A vocabulary's pieces by their text, with their scores as SentencePiece holds them."""

    def __init__(self, pieces: Iterable[tuple[str, float]]) -> None:
        self._pieces = {piece: (i, _single(score)) for i, (piece, score) in enumerate(pieces) if piece and piece not in SPECIAL}
        self._longest = max(map(len, self._pieces), default=0)
        self.bounded = self._longest <= LONGEST
        """Whether it can be used: no piece is too long."""
        self._unknown = _single(min((score for _, score in self._pieces.values()), default=0.0) - UNKNOWN)

    def cut(self, text: str) -> list[Cut]:
        """The pieces of a normalised text; neighbours that are unknown are one."""
        best: list[tuple[float, int, int] | None] = [(0.0, 0, UNK_ID), *[None] * len(text)]  # to each place: sum, begin and id of the last
        for begin in range(len(text)):
            here = best[begin]
            if here is None:
                continue
            for end, i, score in self._at(text, begin):
                total, found = _single(here[0] + score), best[end]
                if found is None or total > found[0]:
                    best[end] = total, begin, i
        return list(_back(best))

    def _at(self, text: str, begin: int) -> Iterator[tuple[int, int, float]]:
        """End, id and score of each piece that begins at a place; of the unknown one where none has that character alone."""
        if text[begin] not in self._pieces:
            yield begin + 1, UNK_ID, self._unknown
        for end in range(begin + 1, min(len(text), begin + self._longest) + 1):
            if found := self._pieces.get(text[begin:end]):
                yield end, *found


def _back(best: list[tuple[float, int, int] | None]) -> Iterator[Cut]:
    cuts: list[Cut] = []
    end = len(best) - 1
    while end and (found := best[end]):
        _, begin, i = found
        if i == UNK_ID and cuts and cuts[-1][0] == UNK_ID:
            cuts[-1] = i, begin, cuts[-1][2]
        else:
            cuts.append((i, begin, end))
        end = begin
    return reversed(cuts)


def _single(number: float) -> float:
    """The nearest number that float32 has; a score beyond its range stays as it is."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return number
    return rounded
