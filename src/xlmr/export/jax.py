"""A model for JAX: `params.safetensors`, a nested dict of arrays, and `model.py`, the pure functions of it (extra: jax)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import MissingExtra
from xlmr.export import safetensors
from xlmr.export.answers import Task

try:
    import jax  # noqa: F401  # what is exported is asked before it is there

    from xlmr.runtimes import jax_model
except ImportError:
    raise MissingExtra("jax", "exporting to JAX") from None

if TYPE_CHECKING:
    from xlmr.export import Options

PROGRAM = "run_jax"
PARAMS, MODEL = "params.safetensors", "model.py"


def write(of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
    """The arrays by the names that `model.py` nests, and that file."""
    from safetensors.numpy import save_file

    safetensors.write(of, task, folder, options)
    opened = checkpoint.open(folder)
    save_file(dict(safetensors.Reading(opened, masks=True, head=True)), folder / PARAMS)
    (folder / WEIGHTS).unlink()
    shutil.copyfile(jax_model.__file__, folder / MODEL)
