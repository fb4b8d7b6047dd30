"""Characters of texts as numbers: runs of one to five within words, and whole words, hashed; all of many texts at once.

Words are letters, marks and apostrophes, small, in Unicode's form NFKC; anything else only parts them. A space before and after a word
belongs to its runs, so that beginnings and ends are told from the middle. No run reaches from one word into the next: those of a text are
those of its words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

LONGEST = 5
"""Characters of a run."""
WHOLE = 4
"""Characters from which on a word is hashed as a whole: shorter ones are, between their spaces, runs."""
SPACE = ord(" ")

# Odd constants whose products spread over 32 bits: those of xxHash, in which all arithmetic is modulo 2³².
STEP, FIRST, SECOND = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
PLACES = 64
POWERS = np.cumprod(np.full(PLACES, STEP, np.uint32), dtype=np.uint32)


class _Folded(dict[int, str | None]):
    """For `str.translate`, filled as characters come: what parts words is a space, what is not seen (joiners) is nothing."""

    def __missing__(self, code: int) -> str | None:
        kind = unicodedata.category(chr(code))
        self[code] = chr(code) if kind[0] in "LM" else None if kind == "Cf" else " "
        return self[code]


FOLDED = _Folded({ord("'"): "'", ord("’"): "'"})


def fold(text: str) -> str:
    """The words of a text, a space before and after each."""
    words = unicodedata.normalize("NFKC", text).lower().translate(FOLDED).split()
    return f" {' '.join(words)} "


def hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The runs and words of some texts: uint32 `[found]`, text after text, and int64 `[texts + 1]`, where those of each begin."""
    folded = [fold(text) for text in texts]
    codes = np.frombuffer("".join(folded).encode("utf-32-le"), np.uint32)
    owner = np.repeat(np.arange(len(folded)), [len(text) for text in folded])
    parts = [*_runs(codes), _words(codes)]
    found = np.concatenate([values for _, values in parts])
    of = owner[np.concatenate([places for places, _ in parts])]
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(folded)))])
    return found[np.argsort(of, kind="stable")], starts


def of_parts(parts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The runs of some parts of words, as `hashes` of whole ones. A part begins a word where it begins with a space; of its end nothing is
    known, and so a run ends with a space only within it. What is no part of a word has none."""
    folded = [fold(part) for part in parts]
    inner = [text[0 if part.startswith(" ") else 1 : -1] if text.strip() else "" for part, text in zip(parts, folded, strict=True)]
    codes = np.frombuffer("\0".join(inner).encode("utf-32-le"), np.uint32)
    between = np.concatenate([[0], np.cumsum(codes == 0)])  # so a run's part is the number of those before it
    values, owners = [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
    for size, (places, found) in enumerate(_runs(codes), start=1):
        within = between[places] == between[places + size]
        values.append(found[within])
        owners.append(between[places[within]])
    of = np.concatenate(owners)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(parts)))])
    return np.concatenate(values)[np.argsort(of, kind="stable")], starts


def _runs(codes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where the runs of each length begin, and their hashes: those with a letter in them, and spaces at their ends only."""
    space = codes == SPACE
    before = np.concatenate([[0], np.cumsum(space)])
    rolling = np.zeros(len(codes), np.uint32)
    parts = []
    for size in range(1, min(LONGEST, len(codes)) + 1):
        rolling = rolling[: len(codes) - size + 1] * STEP + _mixed(codes[size - 1 :])
        first = np.arange(len(rolling))
        inner = before[first + max(1, size - 1)] - before[first + min(1, size - 1)]  # spaces in the middle; of one character, itself
        places = np.flatnonzero((inner == 0) & ~(space[first] & space[first + size - 1]) if size < 3 else inner == 0)
        parts.append((places, _mixed(rolling[places] + np.uint32(size))))
    return parts


def _words(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the longer words begin, and their hashes."""
    space = codes == SPACE
    begins = np.flatnonzero(space[:-1] & ~space[1:]) + 1
    if not len(begins):
        return begins, np.empty(0, np.uint32)
    at = np.arange(len(codes))
    place = np.minimum(at - np.maximum.accumulate(np.where(space, at, 0)), PLACES - 1)
    values = np.where(space, np.uint32(0), _mixed(codes) * POWERS[place])
    sums = np.add.reduceat(values, begins, dtype=np.uint32)
    ends = np.flatnonzero(~space[:-1] & space[1:]) + 1
    long = ends - begins >= WHOLE
    return begins[long], _mixed(sums[long])


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of a number in every bit of its hash (the last steps of xxHash)."""
    values = (values ^ (values >> np.uint32(15))) * FIRST
    values = (values ^ (values >> np.uint32(13))) * SECOND
    mixed: np.ndarray = values ^ (values >> np.uint32(16))
    return mixed
