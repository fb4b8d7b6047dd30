"""Writing a checkpoint folder that Hugging Face's classes load; it appears whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import config as configs
from xlmr import tensors
from xlmr.checkpoint import floats, header
from xlmr.checkpoint.folder import BIAS, CONFIG, DECODER, DECODER_BIAS, TOKENIZER, WEIGHTS
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tensors import Tensor

TOKENIZER_CONFIG = "tokenizer_config.json"
WRITTEN = {CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG}
"""What a folder may hold and still be replaced."""

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
) -> None:
    """Write `config.json`, `model.safetensors`, and the `tokenizer.json` at `tokenizer`, with what transformers wants beside it.

    `weights` holds float32 arrays by our names: the encoder's, and all or none of the MLM head's. `dtype` is `float32`, `float16` or
    `bfloat16`, rounded to the nearest, ties to even. Tensors are taken and written one by one.

    A task's head (`classifier.*`, `qa_outputs.*`) is not among our weights yet, so it is not written, and neither are its class in
    `architectures` and its labels: what is saved of a fine-tuned model is its encoder. The files of sentence-transformers are not
    written either.

    The folder is written beside its place and renamed, so it is never there in part. One that is there already is replaced if it is
    empty or holds a checkpoint and nothing else.

    Raises BadCheckpoint where weights and config disagree or a number cannot be stored, BadInput where the folder may not be replaced or
    an argument is wrong, OSError where the disk refuses.
    """
    if dtype not in floats.HELD:
        raise BadInput(f"dtype {dtype!r} is not known; wanted one of {', '.join(floats.HELD)}")
    _check_tokenizer(Path(tokenizer))
    table = _table(config, weights)
    with replacing(Path(os.path.realpath(folder))) as new:
        write_json(new / CONFIG, configs.dump(_named(config, table), dtype))
        write_json(new / TOKENIZER_CONFIG, tokenizer_config(config))
        shutil.copyfile(tokenizer, new / TOKENIZER)
        _write_weights(new / WEIGHTS, config, table, weights, dtype)


def _check_tokenizer(path: Path) -> None:
    """It is copied as it is; a `sentencepiece.bpe.model` by that name would be a folder that nothing reads."""
    if not path.is_file():
        raise BadInput(f"{path}: not found; wanted a {TOKENIZER}")
    with path.open("rb") as file:
        if file.read(1) != b"{":
            raise BadInput(f"{path}: is no JSON, wanted a {TOKENIZER}; of a sentencepiece.bpe.model, `xlmr import` makes one")


def _table(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The tensors to write, by the Hugging Face name of each."""
    wanted = list(tensors.encoder(config))
    if any(name.startswith("head.") for name in weights):
        wanted += tensors.mlm_head(config)
    names = {tensor.name for tensor in wanted}
    if names != set(weights):
        missing, unknown = sorted(names - set(weights)), sorted(set(weights) - names)
        raise BadCheckpoint(f"weights and config disagree: missing {missing[:3]}, not in the config {unknown[:3]}")
    for tensor in wanted:
        if np.shape(weights[tensor.name]) != tensor.shape(config):
            raise BadCheckpoint(f"{tensor.name} has shape {np.shape(weights[tensor.name])}, the config wants {tensor.shape(config)}")
    table = {tensor.hf: tensor for tensor in wanted}
    if DECODER in table:
        table[DECODER_BIAS] = table[BIAS]  # not tied, transformers computes with the decoder's own
    return table


def _named(config: Config, table: Mapping[str, Tensor]) -> Config:
    """The config, naming the class of the heads that are written and no other: transformers would invent those that are missing."""
    return replace(config, architectures=("XLMRobertaForMaskedLM" if BIAS in table else "XLMRobertaModel",), labels=())


def _write_weights(path: Path, config: Config, table: Mapping[str, Tensor], weights: Mapping[str, np.ndarray], dtype: str) -> None:
    head, order = header.layout([(hf, tensor.shape(config)) for hf, tensor in table.items()], dtype)
    with path.open("wb") as file:
        file.write(head)
        for hf in order:
            stored = floats.narrow(weights[table[hf].name], dtype)
            if not floats.finite(stored, dtype):
                raise BadCheckpoint(f"{table[hf].name} holds numbers that are not finite in {dtype}")
            file.write(stored.data)


def tokenizer_config(config: Config) -> dict[str, Any]:
    """What `AutoTokenizer` wants to know beside `tokenizer.json`, which it then takes as it is."""
    return {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": config.longest, **SPECIAL_TOKENS}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one of a checkpoint's files of JSON."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place at the end if nothing went wrong, and is removed if something did."""
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    new, old = (folder.with_name(f".{folder.name}.{mark}.{state}") for state in ("new", "old"))
    try:
        new.mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            sync(path)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; nothing was saved", str(folder)) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder}: is a file; a checkpoint is saved as a folder")
    held = {path.name for path in folder.iterdir()}
    if foreign := sorted(held - WRITTEN):
        raise BadInput(f"{folder}: holds {', '.join(foreign[:3])}, which would be lost; save to a new or empty folder")
    if held and CONFIG not in held:
        raise BadInput(f"{folder}: holds {', '.join(sorted(held))} and no {CONFIG}, so it is no checkpoint; save to a new or empty folder")


def sync(path: Path) -> None:
    """Let a file's or folder's content reach the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
