"""What lies beside every exported model: its config, its tokenizer, and what was fitted to its encoder; and the weights to be written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from xlmr import checkpoint, files
from xlmr import tokenizer as tokenizers
from xlmr.checkpoint import Checkpoint, attachments, saving, sentences
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.config import Config
from xlmr.export.answers import ENCODER, HEADED, MASKS, Task
from xlmr.tokenizer import from_sentencepiece


def write(of: Checkpoint, task: Task, folder: Path, dtype: str = "float32") -> Config:
    """Hugging Face's small files, for a model of this task and type of weights, and the attachments. Gives the config that was written."""
    config = named(of, task)
    saving.describe(folder, config, dtype)
    _tokenizer(of.folder, folder / TOKENIZER)
    # Exported weights round to the same float16 as the model's, so what was fitted for the one fits the other.
    for name in attachments.names(of.folder):
        if task in HEADED or name not in attachments.OF_HEADS:
            shutil.copyfile(attachments.path_of(of.folder, name), attachments.path_of(folder, name))
    if task == ENCODER and (of.folder / sentences.MODULES).is_file():
        _sentences(of.folder, folder)
    return config


def named(of: Checkpoint, task: Task) -> Config:
    """The config, with the class of the task, and of labels those of its head."""
    if task in HEADED and of.task:
        return replace(of.config, architectures=(task.architecture,), labels=of.task.labels)
    return replace(of.config, architectures=(task.architecture,), labels=(), problem="")


def pool(folder: Path, config: Config) -> None:
    """The files by which sentence-transformers, and what reads them, make a text's vector: the mean of its tokens' states, of length 1.

    Left as they are where the model has its own.
    """
    if (folder / sentences.MODULES).exists():
        return
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (path, kind) in enumerate(kinds)
    ]
    (folder / sentences.MODULES).write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    for path, _ in kinds[1:]:
        (folder / path).mkdir()
    saving.write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": config.width, "pooling_mode_mean_tokens": True})
    saving.write_json(folder / "2_Normalize" / "config.json", {})
    saving.write_json(folder / sentences.LIMITS, {"max_seq_length": config.longest, "do_lower_case": False})


class Weights(Mapping[str, np.ndarray]):
    """What a task needs of a model's weights, float32 by our names, each read when it is asked for."""

    def __init__(self, of: Checkpoint, *tasks: Task) -> None:
        self._of = of
        self._head = checkpoint.head_weights(of) if {*tasks} & {*HEADED} else {}
        self._names = [*(name for name in of.stored if MASKS in tasks or not name.startswith("head.")), *self._head]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each."""
        return {name: self._head[name].shape if name in self._head else self._of.stored[name].shape for name in self._names}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._head[name] if name in self._head else checkpoint.read(self._of, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _tokenizer(place: Path, to: Path) -> None:
    found = place / tokenizers.file(place)
    if found.name == TOKENIZER:
        shutil.copyfile(found, to)
    else:
        to.write_bytes(from_sentencepiece(found.read_bytes()).encode())


def _sentences(place: Path, folder: Path) -> None:
    """The files of sentence-transformers that a model has."""
    listed = (sentences.MODULES, sentences.PROMPTS, sentences.LIMITS, *sentences.needed(place / sentences.MODULES))
    for name in listed:
        if (place / name).is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(files.locate(place / name, place), folder / name)
