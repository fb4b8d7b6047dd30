"""A checkpoint as files that other programs run: ONNX, PyTorch, TensorFlow, JAX, and safetensors under Hugging Face's names.

What was exported has been asked, through its own files and in a process that does not know xlmr, and answered as the checkpoint does
(`export.parity`); else nothing is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.replacing import replacing
from xlmr.errors import BadInput
from xlmr.export import answers, parity
from xlmr.export.answers import Task
from xlmr.export.parity import Parity

TARGETS = ("onnx", "pytorch", "tensorflow", "jax", "safetensors")
REPORT = "parity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen of an export."""

    task: str | None = None
    """Of `answers.TASKS`; None: what the model's head is for."""
    dtype: str = "float32"
    """Of the weights as they are stored: `float32` or `float16`. The arithmetic is in float32."""
    layout: str = "beside"
    """Of ONNX: `beside`, the graph points into `model.safetensors`; `external`, into `model.onnx.data`; `single`: one file."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made."""

    folder: Path
    files: Mapping[str, int]
    """Their sizes, in bytes."""
    parity: Parity

    def as_json(self) -> dict[str, Any]:
        """As `xlmr export --json` prints it."""
        return {"folder": str(self.folder), "files": dict(self.files), "parity": self.parity.as_json()}


class Target(Protocol):
    """A module of `export`: what it writes, and the program that asks it."""

    PROGRAM: str
    """Of `export.programs`."""

    def write(self, of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
        """Write the model into an empty folder."""
        ...


def run(target: str, source: Mapping[str, Any], output: Path, options: Options | None = None, *, force: bool = False) -> Exported:
    """Export a model to a folder, whole or not at all. `source` is what `checkpoint.open` takes, `source` and `revision`.

    Raises BadInput for a target or task that is not known or a folder that would be lost, BadExport where the exported model does not
    answer as the checkpoint does, MissingExtra where a framework is not installed, OSError where the disk refuses.
    """
    if target not in TARGETS:
        raise BadInput(f"target {target!r} is not known; wanted one of {', '.join(TARGETS)}")
    options = options or Options()
    maker: Target = import_module(f"xlmr.export.{target}")  # type: ignore[assignment]  # a module is one
    opened = checkpoint.open(source["source"], revision=source["revision"])
    task = answers.find(opened, options.task)
    with replacing(output.resolve(), partial(check_output, force=force)) as new:
        maker.write(opened, task, new, options)
        found = parity.prove(new, maker.PROGRAM, opened, task, parity.TOLERANCE[options.dtype])
        (new / REPORT).write_text(json.dumps({"target": target, **found.as_json()}, indent=1) + "\n", encoding="utf-8")
        files = {path.relative_to(new).as_posix(): path.stat().st_size for path in sorted(new.rglob("*")) if path.is_file()}
    return Exported(output, files, found)


def check_output(folder: Path, *, force: bool = False) -> None:
    """Raises BadInput, before any work is done, where something would be lost."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder}: is a file; an export is a folder")
    held = sorted(path.name for path in folder.iterdir())
    if held and not force:
        raise BadInput(
            f"{folder}: holds {', '.join(held[:3])}{' …' if len(held) > 3 else ''}; choose a new folder, or --force to replace it"
        )
