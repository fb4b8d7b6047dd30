"""The model as Hugging Face keeps it: `model.safetensors`, `config.json` and `tokenizer.json`, and what was fitted to it beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.checkpoint import Checkpoint, SavedHead
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.export.answers import Task
from xlmr.tokenizer import from_sentencepiece

if TYPE_CHECKING:
    from xlmr.export import Options

PROGRAM = "run_transformers"


def write(of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
    """The checkpoint anew, with the head of the task."""
    tokenizer = of.folder / tokenizers.file(of.folder)
    if tokenizer.name != TOKENIZER:
        made = folder / TOKENIZER
        made.write_bytes(from_sentencepiece(tokenizer.read_bytes()).encode())
        tokenizer = made
    head = None
    if task.architecture is not None:
        assert of.task is not None
        head = SavedHead(task.architecture, of.task.labels, checkpoint.head_weights(of), of.config.problem)
    inside = folder / "model"
    checkpoint.save(inside, of.config, Reading(of, masks=task.name == "fill-mask"), tokenizer=tokenizer, dtype=options.dtype, head=head)
    for path in inside.iterdir():
        path.replace(folder / path.name)
    inside.rmdir()


class Reading(Mapping[str, np.ndarray]):
    """The weights by our names, each read when it is asked for."""

    def __init__(self, of: Checkpoint, *, masks: bool, head: bool = False) -> None:
        """`masks`: with the head for masks; `head`: with the fine-tuned one."""
        self._of = of
        self._head = checkpoint.head_weights(of) if head else {}
        self._names = [*(name for name in of.stored if masks or not name.startswith("head.")), *self._head]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._head[name] if name in self._head else checkpoint.read(self._of, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
