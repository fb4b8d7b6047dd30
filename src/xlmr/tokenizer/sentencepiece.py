"""A SentencePiece model file read without SentencePiece: pieces, scores and the normalisation table.

The file is a protocol buffer; its fields are those of `sentencepiece_model.proto`, the wire format that of
https://protobuf.dev/programming-guides/encoding. Every length is checked against what is left.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from reprlib import repr as shorten

from xlmr.errors import BadCheckpoint
from xlmr.tokenizer.vocabulary import FIRST, MASK, Vocabulary, dump

PIECES, TRAINER, NORMALIZER = 1, 2, 3
PIECE, SCORE, TYPE = 1, 2, 3
MODEL_TYPE, SUFFIX_SPACES, BYTE_FALLBACK = 3, 24, 35
CHARSMAP, DUMMY_PREFIX, TRIM_SPACES, ESCAPE_SPACES = 2, 3, 4, 5
UNIGRAM, NORMAL = 1, 1
MOST_PIECES = 4_000_000
OWN_SPECIAL = ("<unk>", "<s>", "</s>")

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# field, its value where it is not written, the only value under which ids are XLM-R's
TRAINER_RULES = (
    ("model_type", MODEL_TYPE, UNIGRAM, UNIGRAM),
    ("treat_whitespace_as_suffix", SUFFIX_SPACES, 0, 0),
    ("byte_fallback", BYTE_FALLBACK, 0, 0),
)
NORMALIZER_RULES = (
    ("add_dummy_prefix", DUMMY_PREFIX, 1, 1),
    ("remove_extra_whitespaces", TRIM_SPACES, 1, 1),
    ("escape_whitespaces", ESCAPE_SPACES, 1, 1),
)


def from_sentencepiece(model: bytes) -> str:
    """The `tokenizer.json` of a SentencePiece unigram model (the bytes of its `.model` file), in XLM-R's layout of ids.

    The model's own `<unk>`, `<s>`, `</s>` come first in it, as SentencePiece writes them; its piece n becomes id n + 1.
    Raises BadCheckpoint where it is not such a model.
    """
    return dump(read(model))


def read(model: bytes) -> Vocabulary:
    """The vocabulary of a SentencePiece unigram model, in XLM-R's layout of ids."""
    pieces: list[tuple[str, float]] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for field, value in _fields(memoryview(model)):
        if field == PIECES:
            if len(pieces) == MOST_PIECES:
                raise BadCheckpoint(f"SentencePiece model: has more than {MOST_PIECES:,} pieces")
            pieces.append(_piece(_message(value, (PIECE, SCORE, TYPE)), len(pieces)))
        elif field == TRAINER:
            trainer = _message(value, (MODEL_TYPE, SUFFIX_SPACES, BYTE_FALLBACK))
        elif field == NORMALIZER:
            normalizer = _message(value, (CHARSMAP, DUMMY_PREFIX, TRIM_SPACES, ESCAPE_SPACES))
    for rules, fields in ((TRAINER_RULES, trainer), (NORMALIZER_RULES, normalizer)):
        for name, field, default, wanted in rules:
            if fields.get(field, default) != wanted:
                raise BadCheckpoint(f"SentencePiece model: {name} is {shorten(fields[field])}, XLM-R's is {wanted}")
    if tuple(piece for piece, _ in pieces[:3]) != OWN_SPECIAL:
        raise BadCheckpoint(f"SentencePiece model: its first pieces are {[piece for piece, _ in pieces[:3]]}, wanted {list(OWN_SPECIAL)}")
    special = [(name, 0.0) for name in FIRST]
    return Vocabulary([*special, *pieces[3:], (MASK, 0.0)], bytes(_part(normalizer.get(CHARSMAP, b""))))


def _piece(fields: dict[int, int | bytes], place: int) -> tuple[str, float]:
    if place >= len(OWN_SPECIAL) and fields.get(TYPE, NORMAL) != NORMAL:
        raise BadCheckpoint(
            f"SentencePiece model: piece {place} is of type {shorten(fields[TYPE])}, wanted ordinary pieces after the first three"
        )
    try:
        score: float = struct.unpack("<f", _part(fields.get(SCORE, bytes(4))))[0]
        return str(_part(fields[PIECE]), "utf-8"), score
    except (KeyError, UnicodeDecodeError, struct.error):
        raise BadCheckpoint(f"SentencePiece model: piece {place} has no readable text and score") from None


def _part(value: int | bytes) -> memoryview:
    if isinstance(value, int):
        raise BadCheckpoint("SentencePiece model: found a number where a part was wanted")
    return memoryview(value)


def _message(value: int | bytes, wanted: Iterable[int]) -> dict[int, int | bytes]:
    """Those fields of a message that are wanted, the last of each: others may be millions."""
    return {field: found for field, found in _fields(_part(value)) if field in wanted}


def _fields(data: memoryview) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of one message: a number for a varint, the bytes of anything else."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == VARINT:
            number, at = _varint(data, at)
            yield field, number
            continue
        if wire == BYTES:
            length, at = _varint(data, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise BadCheckpoint(f"SentencePiece model: byte {at} begins a field of unknown kind {wire}; is it a .model file?")
        if length > len(data) - at:
            raise BadCheckpoint(f"SentencePiece model: ends too early, a field wants {length} bytes and {len(data) - at} are left")
        yield field, bytes(data[at : at + length])
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number written at a place, seven bits to a byte, and the place after it."""
    number = 0
    for i, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return number, at + i + 1
    raise BadCheckpoint("SentencePiece model: a number does not end; is it a .model file?")
