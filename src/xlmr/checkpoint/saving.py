"""Writing a checkpoint folder that Hugging Face's classes load; it appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import config as configs
from xlmr import tensors
from xlmr.checkpoint import attachments, floats, header
from xlmr.checkpoint import folder as folders
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.checkpoint.folder import BIAS, CONFIG, DECODER, DECODER_BIAS, TOKENIZER, WEIGHTS
from xlmr.checkpoint.replacing import TOKENIZER_CONFIG, replacing
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tensors import Tensor

SPECIAL_TOKENS = {
    "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
    "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip


def save(
    folder: str | os.PathLike[str],
    config: Config,
    weights: Mapping[str, np.ndarray],
    *,
    tokenizer: str | os.PathLike[str],
    dtype: str = "float32",
    head: SavedHead | None = None,
) -> None:
    """Write `config.json`, `model.safetensors`, and the `tokenizer.json` at `tokenizer`, with what transformers wants beside it.

    `weights` holds float32 arrays by our names: the encoder's, and all or none of the MLM head's. `dtype` is `float32`, `float16` or
    `bfloat16`, rounded to the nearest, ties to even. Tensors are taken and written one by one.

    `head` is that of a fine-tuned model: its tensors, labels and class are written, and its attachments beside them; the MLM head is left
    out then. Without it, what is saved of a fine-tuned model is its encoder. The files of sentence-transformers are not written.

    The folder is written beside its place and renamed, so it is never there in part. One that is there already is replaced if it is
    empty or holds a checkpoint, perhaps with the attachments of a head, and nothing else.

    Raises BadCheckpoint where weights and config disagree or a number cannot be stored, BadInput where the folder may not be replaced or
    an argument is wrong, OSError where the disk refuses.
    """
    if dtype not in floats.HELD:
        raise BadInput(f"dtype {dtype!r} is not known; wanted one of {', '.join(floats.HELD)}")
    _check_tokenizer(Path(tokenizer))
    wanted = table(config, weights, head)
    with replacing(Path(os.path.realpath(folder))) as new:
        describe(new, named(config, weights, head), dtype)
        shutil.copyfile(tokenizer, new / TOKENIZER)
        _write_weights(new / WEIGHTS, wanted, weights if head is None else Both(weights, head.weights), dtype)
        if head is not None and head.attachments:
            of = attachments.fingerprint(folders.open(new))
            for name, attachment in head.attachments.items():
                attachments.write(new, name, attachment, of)


def describe(folder: Path, config: Config, dtype: str) -> None:
    """Write what says of weights and a tokenizer, which lie beside it, what they are."""
    write_json(folder / CONFIG, configs.dump(config, dtype))
    write_json(folder / TOKENIZER_CONFIG, tokenizer_config(config))


def named(config: Config, weights: Mapping[str, np.ndarray], head: SavedHead | None) -> Config:
    """The config, naming the class of the heads that are written and no other: transformers would invent those that are missing."""
    if head is not None:
        return replace(config, architectures=(head.architecture,), labels=head.labels, problem=head.problem)
    return replace(config, architectures=("XLMRobertaForMaskedLM" if "head.bias" in weights else "XLMRobertaModel",), labels=(), problem="")


def write_weights(path: Path, config: Config, weights: Mapping[str, np.ndarray], dtype: str, head: SavedHead | None = None) -> None:
    """Write a file of weights by Hugging Face's names; the arguments are those of `save`."""
    _write_weights(path, table(config, weights, head), weights if head is None else Both(weights, head.weights), dtype)


def _check_tokenizer(path: Path) -> None:
    """It is copied as it is; a `sentencepiece.bpe.model` by that name would be a folder that nothing reads."""
    if not path.is_file():
        raise BadInput(f"{path}: not found; wanted a {TOKENIZER}")
    with path.open("rb") as file:
        if file.read(1) != b"{":
            raise BadInput(f"{path}: is no JSON, wanted a {TOKENIZER}; of a sentencepiece.bpe.model, `xlmr import` makes one")


Table = Mapping[str, tuple[Tensor, tuple[int, ...]]]
"""The tensors to write and the shape of each, by its Hugging Face name."""


class Both(Mapping[str, np.ndarray]):
    """The weights of a model and of its head, each taken when it is written."""

    def __init__(self, encoder: Mapping[str, np.ndarray], head: Mapping[str, np.ndarray]) -> None:
        self._parts = encoder, head

    def __getitem__(self, name: str) -> np.ndarray:
        return self._parts[name.startswith("task.")][name]

    def __iter__(self) -> Iterator[str]:
        return chain(*self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))


def table(config: Config, weights: Mapping[str, np.ndarray], head: SavedHead | None) -> Table:
    """The tensors to write. Raises BadCheckpoint where weights and config disagree."""
    wanted = list(tensors.encoder(config))
    found = {name for name in weights if head is None or not name.startswith("head.")}
    if any(name.startswith("head.") for name in found):
        wanted += tensors.mlm_head(config)
    names = {tensor.name for tensor in wanted}
    if names != found:
        missing, unknown = sorted(names - found), sorted(found - names)
        raise BadCheckpoint(f"weights and config disagree: missing {missing[:3]}, not in the config {unknown[:3]}")
    entries = {tensor.hf: (tensor, tensor.shape(config)) for tensor in wanted}
    for tensor, shape in entries.values():
        _check_shape(tensor.name, weights, shape)
    if DECODER in entries:
        entries[DECODER_BIAS] = entries[BIAS]  # not tied, transformers computes with the decoder's own
    for tensor in tensors.task_head(head.architecture) if head else ():
        assert head is not None
        entries[tensor.hf] = tensor, tensor.shape(config, head.outputs)
        _check_shape(tensor.name, head.weights, entries[tensor.hf][1])
    return entries


def _check_shape(name: str, weights: Mapping[str, np.ndarray], wanted: tuple[int, ...]) -> None:
    if np.shape(weights[name]) != wanted:
        raise BadCheckpoint(f"{name} has shape {np.shape(weights[name])}, the config wants {wanted}")


def _write_weights(path: Path, table: Table, weights: Mapping[str, np.ndarray], dtype: str) -> None:
    write_arrays(path, {hf: shape for hf, (_, shape) in table.items()}, lambda hf: weights[table[hf][0].name], dtype)


def write_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], np.ndarray], dtype: str) -> None:
    """Write a file of arrays by their names, each read when it is written. Raises BadCheckpoint where a number cannot be stored."""
    head, order = header.layout(shapes.items(), dtype)
    with path.open("wb") as file:
        file.write(head)
        for name in order:
            stored = floats.narrow(read(name), dtype)
            if not floats.finite(stored, dtype):
                raise BadCheckpoint(f"{name} holds numbers that are not finite in {dtype}")
            file.write(stored.data)


def tokenizer_config(config: Config) -> dict[str, Any]:
    """What `AutoTokenizer` wants to know beside `tokenizer.json`, which it then takes as it is."""
    return {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": config.longest, **SPECIAL_TOKENS}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one of a checkpoint's files of JSON."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")
