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
from xlmr.checkpoint import Checkpoint, SavedHead, attachments, saving, sentences
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.export.answers import ENCODER, HEADED, MASKS, Task
from xlmr.heads.vectors import Normalize, Pooling, Recipe

SERVED = ("mean", "cls")
"""Of `heads.vectors.POOLS`, what Text Embeddings Inference computes with any of its engines."""


def check(of: Checkpoint, task: Task) -> None:
    """Raises BadCheckpoint where the tokenizer is missing, broken or another model's, or the head of the task is."""
    pieces = tokenizers.open(of.folder).size
    if pieces != of.config.vocabulary:
        raise BadCheckpoint(
            f"{of.folder}: the weights have {of.config.vocabulary:,} pieces and the tokenizer {pieces:,}; are both of this model?"
        )
    found = head(of, task)
    if found is not None and task.name == "question-answering" and found.outputs != 2:
        raise BadCheckpoint(f"{of.folder}: its head for answers has {found.outputs} outputs, wanted 2: where one begins, and where it ends")


def head(of: Checkpoint, task: Task) -> SavedHead | None:
    """The head that the task needs, read and checked; None where it needs none."""
    return SavedHead(task.architecture, named(of, task).labels, checkpoint.head_weights(of)) if task in HEADED else None


def write(of: Checkpoint, task: Task, folder: Path, dtype: str = "float32", *, vectors: bool = True) -> Config:
    """Hugging Face's small files, for a model of this task and type of weights, and the attachments. Gives the config that was written.

    `vectors`: the encoder alone has with it the files of sentence-transformers that the model has, if all of their modules are known.
    """
    config = named(of, task)
    saving.describe(folder, config, dtype)
    tokenizers.copy(of.folder, folder / TOKENIZER)
    # Exported weights round to the same float16 as the model's, so what was fitted for the one fits the other.
    for name in attachments.names(of.folder):
        if task in HEADED or name not in attachments.OF_HEADS:
            path = attachments.path_of(folder, name)
            shutil.copyfile(files.locate(of.folder / path.name, of.folder), path)
    if vectors and task == ENCODER:
        sentences.copy(of.folder, config, folder)
    return config


def named(of: Checkpoint, task: Task) -> Config:
    """The config, with the class of the task, and of labels those of its head."""
    if task in HEADED and of.task:
        return replace(of.config, architectures=(task.architecture,), labels=of.task.labels)
    return replace(of.config, architectures=(task.architecture,), labels=(), problem="")


def check_pool(of: Checkpoint, task: Task) -> None:
    """Raises BadInput where Text Embeddings Inference could not make the model's vectors: it pools one way, without dense layers."""
    if task != ENCODER:
        raise BadInput(f"vectors of texts are made by the encoder alone; ask for --task {ENCODER.name}")
    pooling, *rest = _recipe(of).steps
    if not isinstance(pooling, Pooling) or len(pooling.modes) > 1 or pooling.modes[0] not in SERVED:
        raise BadInput(f"{of.folder}: its vectors are pooled in another way than by {' or '.join(SERVED)}")
    if not all(isinstance(step, Normalize) for step in rest):
        raise BadInput(f"{of.folder}: its vectors pass through more than pooling and normalisation, which TEI does not compute")


def pool(of: Checkpoint, folder: Path) -> None:
    """The files by which sentence-transformers and Text Embeddings Inference make a text's vector: as the model's own files say, or the
    mean of its tokens' states, of length 1. In the older form of their keys, which both read; TEI wants every one of them."""
    recipe = _recipe(of)
    pooling = recipe.steps[0]
    assert isinstance(pooling, Pooling)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), *(("2_Normalize", "Normalize") for _ in recipe.steps[1:2]))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (path, kind) in enumerate(kinds)
    ]
    flags = {flag: mode in pooling.modes for flag, mode in sentences.FLAGS.items()}
    settings = {"word_embedding_dimension": of.config.width, **flags, "include_prompt": pooling.with_prompt}
    for old in folder.glob("[0-9]_*"):
        shutil.rmtree(old)
    (folder / sentences.MODULES).write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    for path, kind in kinds[1:]:
        (folder / path).mkdir()
        saving.write_json(folder / path / "config.json", settings if kind == "Pooling" else {})
    saving.write_json(folder / sentences.LIMITS, {"max_seq_length": recipe.longest or of.config.longest, "do_lower_case": False})


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


def _recipe(of: Checkpoint) -> Recipe:
    """How its vectors are made; without files that say it, the mean of the last states, of length 1."""
    known = (of.folder / sentences.MODULES).is_file()
    return sentences.read(of.folder, of.config) if known else Recipe(steps=(Pooling(("mean",)), Normalize()))
