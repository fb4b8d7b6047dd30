"""XLM-R's vocabulary as data: the pieces with their scores, the table that normalises text, and the `tokenizer.json` that holds both.

Ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then the SentencePiece pieces, `<mask>` last.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xlmr.errors import BadCheckpoint

BOS, PAD, EOS, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
FIRST = (BOS, PAD, EOS, UNK)
BOS_ID, PAD_ID, EOS_ID, UNK_ID = range(4)
SPACE = "▁"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every piece with its score, in the order of the ids, and SentencePiece's normalisation table (empty: text is taken as it is)."""

    pieces: list[tuple[str, float]]
    charsmap: bytes = b""

    def __post_init__(self) -> None:
        names = [piece for piece, _ in self.pieces]
        if tuple(names[: len(FIRST)]) != FIRST:
            raise BadCheckpoint(f"its first pieces are {', '.join(names[:4]) or 'none'}; XLM-R's are {', '.join(FIRST)}")
        if names[-1] != MASK:
            raise BadCheckpoint(f"its last piece is {names[-1]!r}; XLM-R's is {MASK!r}")
        if len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise BadCheckpoint(f"the piece {twice!r} is there twice")
        if not all(math.isfinite(score) for _, score in self.pieces):
            raise BadCheckpoint("a piece's score is not a finite number")


def dump(vocabulary: Vocabulary) -> str:
    """The `tokenizer.json` of a vocabulary, as the `tokenizers` and `transformers` packages load it."""
    size = len(vocabulary.pieces)
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    charsmap = base64.b64encode(vocabulary.charsmap).decode()
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, name) for i, name in enumerate(FIRST)] + [_added(size - 1, MASK, lstrip=True)],
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

    Stored truncation and padding are left out: they would act silently. Raises BadCheckpoint where it is not XLM-R's layout.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"not readable as JSON ({error})") from None
    model = _object(content, "model", _object({"": content}, ""))
    if model.get("type", "Unigram") != "Unigram" or "merges" in model or model.get("byte_fallback"):
        raise BadCheckpoint(f"its model is {model.get('type', 'of another kind')}, XLM-R's is Unigram without bytes")
    if model.get("unk_id") != UNK_ID:
        raise BadCheckpoint(f"its unk_id is {model.get('unk_id')!r}, XLM-R's is {UNK_ID}")
    return Vocabulary(_pieces(model.get("vocab")), _charsmap(content.get("normalizer")))


def _pieces(vocab: object) -> list[tuple[str, float]]:
    if not isinstance(vocab, list):
        raise BadCheckpoint(f"its vocab is a {type(vocab).__name__}, wanted a list of [piece, score]")
    try:
        return [(_string(piece), float(score)) for piece, score in vocab]
    except (TypeError, ValueError):
        raise BadCheckpoint("its vocab is not a list of [piece, score]") from None


def _charsmap(normalizer: object) -> bytes:
    """The precompiled table among the normalizers; beside it only what XLM-R checkpoints carry and what changes no id."""
    if normalizer is None:
        return b""
    steps = [normalizer]
    if isinstance(normalizer, Mapping) and normalizer.get("type") == "Sequence":
        steps = normalizer.get("normalizers") or []
    charsmap = b""
    for step in steps:
        kind = step.get("type") if isinstance(step, Mapping) else None
        if kind == "Precompiled":
            charsmap = base64.b64decode(step["precompiled_charsmap"])
        elif kind != "Replace" or step.get("content") != " ":  # runs of spaces to one: words are split at them anyway
            raise BadCheckpoint(f"it normalises text with {kind!r}, XLM-R with 'Precompiled'")
    return charsmap


def _object(content: Any, key: str, default: Any = None) -> Mapping[str, Any]:
    found = content.get(key, default)
    if not isinstance(found, Mapping):
        raise BadCheckpoint(f"{key or 'its content'} is a {type(found).__name__}, wanted a JSON object")
    return found


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _added(i: int, name: str, lstrip: bool = False) -> dict[str, Any]:
    return {"id": i, "content": name, "single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False, "special": True}


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def _text(name: str) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": 0}}
