"""A model for JAX: `params.safetensors`, a nested dict of arrays, and `model.py`, the pure functions of it (extra: jax)."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import PARAMS
from xlmr.checkpoint.saving import write_arrays
from xlmr.errors import MissingExtra
from xlmr.export import answers, beside
from xlmr.export.answers import Task
from xlmr.export.options import Jax
from xlmr.export.parity import Asked, Made

try:
    import jax
    import jax.export

    from xlmr.runtimes import jax_model
except Exception as error:
    raise MissingExtra.of("jax", "exporting to JAX", error) from error

MODEL, COMPILED = "model.py", "model.stablehlo"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write(of: Checkpoint, folder: Path, options: Jax) -> Made:
    """The arrays by the names that `model.py` nests, and that file."""
    task = answers.find(of, options.task)
    beside.write(of, task, folder)
    weights = beside.Weights(of, task)
    write_arrays(folder / PARAMS, weights.shapes, weights.__getitem__, "float32")
    shutil.copyfile(jax_model.__file__, folder / MODEL)
    asked = [Asked("run_jax", folder, PARAMS, (task,))]
    if options.stablehlo:
        (folder / COMPILED).write_bytes(compiled(of, task))
        asked.append(Asked("run_stablehlo", folder, COMPILED, (task,)))
    return Made(folder, asked)


def compiled(of: Checkpoint, task: Task) -> bytes:
    """`answer` of any batch and length, for processors, GPUs and TPUs; the arrays are its first argument, nested, so it holds none."""
    config, shapes = beside.named(of, task), beside.Weights(of, task).shapes
    params = jax_model.nested({name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()})
    ids = jax.ShapeDtypeStruct(jax.export.symbolic_shape("batch, sequence"), "int32")
    function = partial(jax_model.answer, head=task.architecture, heads=config.heads, pad_id=config.pad_id, epsilon=config.norm_epsilon)
    return bytes(jax.export.export(jax.jit(function), platforms=PLATFORMS)(params, ids, ids).serialize())
