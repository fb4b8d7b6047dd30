"""Calibrated vectors of texts, in NumPy: texts that mean the same lie near each other, in whatever language.

    v = unit((Σ rows of the pieces + Σ rows of sequences of pieces) / number of pieces + (mean of the states − centre) W)

Either part may be missing; which are worth having is measured when it is fitted. Rows lie as int8, all in one scale. Sequences are of two
and three pieces, hashed, and only the commonest have a row: a vocabulary for a hundred languages cuts most words into pieces that mean
little alone. The mean of vectors of words, learnt on translations, is the model of Hermann and Blunsom (2014), "Multilingual models for
compositional distributed semantics", section 3; hashed sequences beside words are those of Joulin et al. (2017), "Bag of tricks for
efficient text classification", section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlmr.heads.vectors import normalize

LONGEST = 3
"""Pieces of a sequence."""
# Odd constants whose products spread over 32 bits: those of xxHash, in which all arithmetic is modulo 2³².
STEP, MIXED = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)


@dataclass(frozen=True, slots=True)
class Table:
    """What pieces and their sequences add."""

    pieces: np.ndarray
    """int8 `[vocabulary, size]`."""
    keys: np.ndarray
    """uint32 `[sequences]`, ascending: the hashes that have a row."""
    sequences: np.ndarray
    """int8 `[sequences, size]`."""
    scale: float
    """What a row is multiplied by."""
    numbers: np.ndarray | None = None
    """uint32 `[vocabulary]`: as which number each piece is hashed. None: as its id; in a trimmed vocabulary as the id that it had."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What the states of one layer add."""

    layer: int
    """0 is the embeddings."""
    centre: np.ndarray
    """float32 `[width]`: the mean over texts."""
    weight: np.ndarray
    """float32 `[width, size]`."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the vector of a text is made; at least one of the two is there."""

    size: int
    """Numbers of a vector."""
    table: Table | None
    states: Projection | None


def vector(of: Calibration, ids: np.ndarray, states: np.ndarray | None) -> np.ndarray:
    """The vector of one text, float32 `[size]`, of length 1; zeros where nothing of it is known.

    `ids` are its pieces, int64 `[pieces]`, without `<s>` and `</s>`; `states` are theirs, `[pieces, width]`, where the calibration
    has a use for them.
    """
    found = np.zeros(of.size, np.float32)
    if of.table is not None and len(ids):
        found += summed(of.table, ids) * np.float32(of.table.scale / len(ids))
    if of.states is not None and states is not None and len(states):
        found += (states.mean(0) - of.states.centre) @ of.states.weight
    return normalize(found)


def summed(of: Table, ids: np.ndarray) -> np.ndarray:
    """The rows of a text's pieces and sequences, added: float32 `[size]`."""
    keys = np.concatenate(hashes(numbered(of, ids), np.zeros(len(ids), np.int64)))
    places = found_in(of.keys, keys)
    total: np.ndarray = of.pieces[ids].sum(0, dtype=np.int32) + of.sequences[places[places >= 0]].sum(0, dtype=np.int32)
    return total.astype(np.float32)


def numbered(of: Table, ids: np.ndarray) -> np.ndarray:
    """As which number each piece is known, in a trimmed vocabulary too."""
    return ids if of.numbers is None else of.numbers[ids]


def hashes(ids: np.ndarray, owner: np.ndarray) -> list[np.ndarray]:
    """The sequences of two pieces, of three … in texts laid end to end, as uint32; `owner[i]` is the text of piece i.

    Those of n pieces begin, in their order, where `owner` is the same n - 1 places on.
    """
    mixed = _mix(ids.astype(np.uint32) + np.uint32(1))
    rolling, found = mixed, []
    for length in range(2, LONGEST + 1):
        rolling = _mix(rolling[: max(0, len(ids) - length + 1)] * STEP + mixed[length - 1 :])
        found.append(rolling[same(owner, length)])
    return found


def same(owner: np.ndarray, length: int) -> np.ndarray:
    """Where a sequence of that many pieces lies within one text: bool `[pieces - length + 1]`."""
    inside: np.ndarray = owner[: max(0, len(owner) - length + 1)] == owner[length - 1 :]
    return inside


def found_in(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each wanted number among ascending keys, -1 where it is not there: int64."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _mix(values: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = (values ^ (values >> np.uint32(15))) * MIXED
    mixed ^= mixed >> np.uint32(13)
    return mixed
