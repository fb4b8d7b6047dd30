"""Folders as model servers want them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.export import answers
from xlmr.export.answers import Shape, Task
from xlmr.export.onnx_model import DATA, GRAPH

CONFIG = "config.pbtxt"
MODEL = (GRAPH, DATA, WEIGHTS)
"""What a version is; anything else is of the model. (Triton takes any folder whose name begins with a digit for a version.)"""
MOST_TEXTS = 64
"""Of one batch that Triton puts together."""
TYPES: Mapping[type, str] = {np.int64: "TYPE_INT64", np.float32: "TYPE_FP32"}


def triton(of: Checkpoint, task: Task, folder: Path, version: Path) -> None:
    """`config.pbtxt`, and beside it what is no part of a version: the folder is one model of a repository.

    Source: Triton's `model_config.proto`. A model's name is its folder's, so none is written here.
    """
    for path in version.iterdir():
        if path.name not in MODEL:
            path.replace(folder / path.name)
    inputs = _tensors(np.int64, dict.fromkeys(answers.INPUTS, ("batch", "sequence")))
    outputs = _tensors(np.float32, answers.shapes(task, of))
    first = ('backend: "onnxruntime"', f"max_batch_size: {MOST_TEXTS}")
    lines = [*first, "input [", *inputs, "]", "output [", *outputs, "]", "dynamic_batching { }"]
    (folder / CONFIG).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tensors(dtype: type, shapes: Mapping[str, Shape]) -> list[str]:
    """Lines of a list. The batch is not among a tensor's sizes, and a size that the batch chooses is -1."""
    sizes = {name: ", ".join("-1" if isinstance(size, str) else str(size) for size in shape[1:]) for name, shape in shapes.items()}
    held = [f'  {{ name: "{name}", data_type: {TYPES[dtype]}, dims: [ {size} ] }}' for name, size in sizes.items()]
    return [*(f"{line}," for line in held[:-1]), held[-1]]
