"""A vocabulary of fewer pieces, which cuts text as the whole one does wherever that uses none but these.

Why: the best path to a place in a text is chosen among those over the pieces that end there. Where some pieces are gone the others come in
the same order, and no path to any place scores more than before, rounding included, since a sum of less is not more. So a best path that
lost no piece is still the best, and still the first of those that tie. A character whose own piece is gone can be unknown now, which scores
less than that piece did, as long as the unknown costs what it did: 10 more than the worst piece, which therefore stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from xlmr.errors import BadInput
from xlmr.tokenizer.ties import LONGEST
from xlmr.tokenizer.vocabulary import MASK, SPACE, SPECIAL, Vocabulary


def essential(vocabulary: Vocabulary) -> set[int]:
    """The ids that stay in any case: the special pieces and `▁`; the worst, from which the cost of an unknown character is counted; and,
    where some pieces are too long for `ties`, one of these, since such a vocabulary is cut in another way."""
    rest = [i for i, (piece, _) in enumerate(vocabulary.pieces) if piece not in SPECIAL]
    special = {i for i, (piece, _) in enumerate(vocabulary.pieces) if piece in (*SPECIAL, SPACE)}
    worst = {min(rest, key=lambda i: vocabulary.pieces[i][1])} if rest else set()
    return special | worst | set([i for i in rest if len(vocabulary.pieces[i][0]) > LONGEST][:1])


def characters(vocabulary: Vocabulary) -> dict[int, str]:
    """The pieces of one character, or of none, with a space before it or not: their ids, and the character or nothing.

    A character that has such a piece of its own is never unknown.
    """
    found = {i: piece.removeprefix(SPACE) for i, (piece, _) in enumerate(vocabulary.pieces)}
    return {i: char for i, char in found.items() if len(char) <= 1}


def trim(vocabulary: Vocabulary, kept: Iterable[int]) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary of some pieces, and the id that each of them has in the whole one, int64 `[pieces]`.

    `<s>`, `<pad>`, `</s>`, `<unk>` are 0 to 3 and `<mask>` is the last, as XLM-R has it; the others keep their order. Raises BadInput where
    one of the `essential` is missing, or an id is none of the vocabulary's.
    """
    wanted, names = set(kept), [piece for piece, _ in vocabulary.pieces]
    if lost := sorted(essential(vocabulary) - wanted):
        raise BadInput(f"the piece {names[lost[0]]!r} cannot be left out: {_reason(names[lost[0]])}")
    if outside := [i for i in wanted if not 0 <= i < len(names)]:
        raise BadInput(f"the piece {outside[0]} is wanted, and there are {len(names):,}, counted from 0")
    mask = names.index(MASK)
    ids = np.array([*sorted(wanted - {mask}), mask], np.int64)
    return replace(vocabulary, pieces=[vocabulary.pieces[i] for i in ids.tolist()]), ids


def renumbered(ids: np.ndarray, size: int) -> np.ndarray:
    """The other way round: the new id of each of `size` old ones, int64, -1 of those that are gone; `ids` is what `trim` gives."""
    found = np.full(size, -1, np.int64)
    found[ids] = np.arange(len(ids))
    return found


def _reason(piece: str) -> str:
    if piece in (*SPECIAL, SPACE):
        return "every text is built with it, or may be"
    return "how other text is cut depends on it"
