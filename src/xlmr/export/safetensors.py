"""The model as Hugging Face keeps it: `model.safetensors`, `config.json` and `tokenizer.json`, and what was fitted to it beside them."""

from __future__ import annotations

from pathlib import Path

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint, SavedHead, saving
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import answers, beside
from xlmr.export.answers import ENCODER, HEADED, Task
from xlmr.export.options import Safetensors
from xlmr.export.parity import Asked


def write(of: Checkpoint, folder: Path, options: Safetensors) -> list[Asked]:
    """The checkpoint anew, with the head of the task."""
    task = answers.find(of, options.task)
    place(of, task, folder, options.dtype)
    if options.server == "tei":
        if task != ENCODER:
            raise BadInput(f"vectors of texts are made by the encoder alone; ask for --task {ENCODER.name}")
        beside.pool(folder, of.config)
    return [Asked("run_numpy", folder, WEIGHTS, (task,), options.dtype)]


def place(of: Checkpoint, task: Task, folder: Path, dtype: str) -> None:
    """A checkpoint of what the task needs, in a folder that is there."""
    beside.write(of, task, folder, dtype)
    head = SavedHead(task.architecture, beside.named(of, task).labels, checkpoint.head_weights(of)) if task in HEADED else None
    weights = beside.Weights(of, ENCODER if head else task)
    saving.write_weights(folder / WEIGHTS, of.config, weights, dtype, head)
