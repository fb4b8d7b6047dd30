"""The model as Hugging Face keeps it: `model.safetensors`, `config.json` and `tokenizer.json`, and what was fitted to it beside them."""

from __future__ import annotations

from pathlib import Path

from xlmr.checkpoint import Checkpoint, saving
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import answers, beside
from xlmr.export.answers import ENCODER, Task
from xlmr.export.options import Safetensors
from xlmr.export.parity import Asked, Made


def write(of: Checkpoint, folder: Path, options: Safetensors) -> Made:
    """The checkpoint anew, with the head of the task."""
    if of.config.head_dim is not None:
        raise BadInput(
            f"{of.folder}: its heads were pruned, and Hugging Face's config for XLM-R has no place for a head's width, so that "
            "transformers refuses the weights; use the folder as it is, or export onnx, pytorch, jax or tensorflow"
        )
    task = answers.find(of, options.task)
    if options.server == "tei":
        beside.check_pool(of, task)
    place(of, task, folder, options.dtype)
    if options.server == "tei":
        beside.pool(of, folder)
    return Made(folder, [Asked("run_numpy", folder, WEIGHTS, (task,), options.dtype)])


def place(of: Checkpoint, task: Task, folder: Path, dtype: str, *, vectors: bool = True) -> None:
    """A checkpoint of what the task needs, in a folder that is there; `vectors` as `beside.write` takes it."""
    beside.write(of, task, folder, dtype, vectors=vectors)
    head = beside.head(of, task)
    weights = beside.Weights(of, ENCODER if head else task)
    saving.write_weights(folder / WEIGHTS, of.config, weights, dtype, head)
