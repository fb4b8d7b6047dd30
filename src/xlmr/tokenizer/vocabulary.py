"""XLM-R's vocabulary as data: the pieces with their scores, the table that normalises text, and the `tokenizer.json` that holds both.

Ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then the SentencePiece pieces, `<mask>` last.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import Any

from xlmr.errors import BadCheckpoint

BOS, PAD, EOS, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
FIRST = (BOS, PAD, EOS, UNK)
SPECIAL = (*FIRST, MASK)
BOS_ID, PAD_ID, EOS_ID, UNK_ID = range(4)
SPACE = "▁"
SPACES = {"Regex": " {2,}"}
LONGEST_PIECE = 1_000  # characters; SentencePiece makes pieces of at most 16 unless told otherwise
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every piece with its score, in the order of the ids, and SentencePiece's normalisation table (empty: text is taken as it is)."""

    pieces: list[tuple[str, float]]
    charsmap: bytes = b""

    def __post_init__(self) -> None:
        names = [piece for piece, _ in self.pieces]
        for i, piece in enumerate(names):
            if len(piece) > LONGEST_PIECE:  # the tokenizers package frees pieces recursively, letter by letter
                raise BadCheckpoint(f"piece {i} has {len(piece):,} characters, at most {LONGEST_PIECE:,} are taken")
            if not piece.isascii() and SURROGATE.search(piece):
                raise BadCheckpoint(f"piece {i}, {shorten(piece)}, has a half of a surrogate pair without the other, so it is no text")
        if tuple(names[: len(FIRST)]) != FIRST:
            raise BadCheckpoint(f"its first pieces are {', '.join(names[:4]) or 'none'}; XLM-R's are {', '.join(FIRST)}")
        if len(set(names)) != len(names):
            twice, _ = Counter(names).most_common(1)[0]
            raise BadCheckpoint(f"the piece {twice!r} is there twice")
        if MASK not in names:
            raise BadCheckpoint(f"it has no piece {MASK!r}")
        if not all(map(math.isfinite, (score for _, score in self.pieces))):
            raise BadCheckpoint("a piece's score is not a finite number")


def dump(vocabulary: Vocabulary) -> str:
    """The `tokenizer.json` of a vocabulary, as the `tokenizers` and `transformers` packages load it."""
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    charsmap = base64.b64encode(vocabulary.charsmap).decode()
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_token(i, piece) for i, (piece, _) in enumerate(vocabulary.pieces) if piece in SPECIAL],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap} if charsmap else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special(BOS), _text("A"), _special(EOS)],
            "pair": [_special(BOS), _text("A"), _special(EOS), _special(EOS), _text("B"), _special(EOS)],
            "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in ((BOS_ID, BOS), (EOS_ID, EOS))},
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": UNK_ID, "vocab": vocabulary.pieces, "byte_fallback": False},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse(text: str) -> Vocabulary:
    """The vocabulary in a `tokenizer.json`.

    Only the pieces and the table are taken; truncation and padding stored beside them would act silently.
    Raises BadCheckpoint where it is not XLM-R's layout.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"not readable as JSON ({error})") from None
    content = _typed(content, dict, "its content")
    model = _typed(content.get("model"), dict, "its model")
    if model.get("byte_fallback"):
        raise BadCheckpoint("its model is with bytes for what it does not know, XLM-R's is Unigram without bytes")
    if model.get("type", "Unigram") != "Unigram":
        raise BadCheckpoint(f"its model is {shorten(model['type'])}, XLM-R's is 'Unigram' without bytes")
    if model.get("unk_id") != UNK_ID:
        raise BadCheckpoint(f"its unk_id is {shorten(model.get('unk_id'))}, XLM-R's is {UNK_ID}")
    _check_words(content.get("pre_tokenizer"))
    pieces = _pieces(model.get("vocab"))
    return Vocabulary(pieces + _added(content.get("added_tokens"), pieces), _charsmap(content.get("normalizer")))


def _pieces(vocab: object) -> list[tuple[str, float]]:
    rows = _typed(vocab, list, "its vocab")
    try:
        pieces = [(piece, float(score)) for piece, score in rows]
    except (TypeError, ValueError, OverflowError):
        raise BadCheckpoint("its vocab is not a list of [piece, score]") from None
    if not all(isinstance(piece, str) for piece, _ in pieces):
        raise BadCheckpoint("its vocab has a piece that is no text")
    return pieces


def _added(tokens: object, pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """The pieces that tokens added beyond the vocabulary amount to: the mask, in some files, or nothing."""
    beyond = []
    for token in _typed(tokens or [], list, "its added_tokens"):
        i, name = (_typed(token, dict, "an added token").get(key) for key in ("id", "content"))
        if type(i) is not int or not 0 <= i < len(pieces):
            beyond.append((i, name))
        elif name != pieces[i][0]:
            raise BadCheckpoint(f"it adds the token {shorten(name)} as id {i}, which is its piece {shorten(pieces[i][0])}")
    if not beyond or beyond == [(len(pieces), MASK)]:
        return [(MASK, 0.0)] * len(beyond)
    raise BadCheckpoint(f"it adds the token {shorten(beyond[0][1])} to its {len(pieces)} pieces; xlmr takes none but {MASK!r}")


def _check_words(pre_tokenizer: object) -> None:
    """Raises BadCheckpoint unless words are what stands between spaces, each with its mark before it."""
    marked = False
    for step in _steps(pre_tokenizer, "pre_tokenizer", "pretokenizers"):
        kind = step.get("type")
        # Older files say `add_prefix_space`, newer ones `prepend_scheme`.
        before = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
        if kind == "Metaspace" and (step.get("replacement"), before) == (SPACE, "always"):
            marked = True
        elif kind != "WhitespaceSplit":
            raise BadCheckpoint(f"it cuts text into words with {shorten(step)}, XLM-R at spaces, which {SPACE!r} marks before each word")
    if not marked:
        raise BadCheckpoint(f"its pre_tokenizer does not mark spaces with {SPACE!r}, XLM-R's does (Metaspace)")


def _charsmap(normalizer: object) -> bytes:
    """The precompiled table among the normalizers; beside it only what XLM-R checkpoints carry and what changes no id."""
    charsmap = b""
    for step in _steps(normalizer, "normalizer", "normalizers"):
        if step.get("type") == "Precompiled":
            charsmap = _bytes(step.get("precompiled_charsmap"))
        elif not _only_spaces(step):
            raise BadCheckpoint(f"it normalises text with {shorten(step)}, XLM-R with 'Precompiled'")
    return charsmap


def _only_spaces(step: dict[str, Any]) -> bool:
    """Whether a normaliser only makes one space of several, or none at an end: words are split at runs of spaces anyway.

    transformers writes such steps where it makes the file of a `sentencepiece.bpe.model`; which of them, its version decides.
    """
    if step.get("type") == "Strip":
        return True
    return step.get("type") == "Replace" and step.get("pattern") == SPACES and step.get("content") in (" ", SPACE)


def _steps(value: object, name: str, several: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer: none, itself, or, where it is a sequence, those in it."""
    if value is None:
        return []
    step = _typed(value, dict, f"its {name}")
    if step.get("type") != "Sequence":
        return [step]
    return [_typed(one, dict, f"one of its {several}") for one in _typed(step.get(several), list, f"its {several}")]


def _bytes(base: object) -> bytes:
    text = _typed(base, str, "its normalisation table")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadCheckpoint("its normalisation table is not base64") from None


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise BadCheckpoint(f"{name} is a {type(value).__name__}, wanted a {kind.__name__}")
    return value


def _token(i: int, piece: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": piece == MASK, "rstrip": False, "normalized": False, "special": True}
    return {"id": i, "content": piece, **flags}


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def _text(name: str) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": 0}}
