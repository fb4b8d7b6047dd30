"""Weights as `xlmr export` leaves them for JAX and TensorFlow, read back by our names. No graph is run, and no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from xlmr import files
from xlmr.checkpoint import floats, folder, header
from xlmr.checkpoint.folder import PARAMS, SAVED_MODEL
from xlmr.errors import BadCheckpoint, MissingExtra

VARIABLES = Path("variables") / "variables"
"""Beside the graph: what the names of TensorFlow's files of variables begin with."""
BEFORE, AFTER = "encoder/weights/", "/.ATTRIBUTES/VARIABLE_VALUE"
"""What TensorFlow puts around a variable's name: where it hangs in the module, and what of it is stored."""


def params(file: Path, place: Path) -> dict[str, np.ndarray]:
    """Of JAX, float32. `place` is the model's folder. Raises BadCheckpoint where it is no such file, or lies elsewhere."""
    stored = header.read(file, place)
    if other := sorted({of.dtype for of in stored.values()} - {*floats.HELD}):
        raise BadCheckpoint(f"{file}: holds {', '.join(other)}, wanted {', '.join(floats.HELD)}")
    return {name: folder.numbers(of).reshape(of.shape) for name, of in stored.items()}


def variables(file: Path, place: Path) -> dict[str, np.ndarray]:
    """Of a SavedModel, float32. `place` is the model's folder. Raises BadCheckpoint where it has others than ours, or they lie elsewhere,
    MissingExtra where TensorFlow is missing."""
    prefix = _variables(file.parent, place)
    try:
        from tensorflow import errors, train
    except Exception as error:
        raise MissingExtra.of("tensorflow", "reading the variables of a SavedModel", error) from error
    try:
        held = train.load_checkpoint(str(prefix))
        names = {key: _name(key) for key in held.get_variable_to_shape_map()}
        found = {name: np.asarray(held.get_tensor(key)) for key, name in names.items() if name}
    except (errors.OpError, ValueError) as error:
        raise BadCheckpoint(f"{prefix}: TensorFlow cannot read it ({error})") from None
    if not found or any(array.dtype != np.float32 for array in found.values()):
        raise BadCheckpoint(f"{file}: its variables are not those that xlmr export tensorflow writes")
    return found


def _variables(beside: Path, place: Path) -> Path:
    """What the names of its files begin with, which TensorFlow would follow through any link. Raises BadCheckpoint where one leads out of
    the model's folder, or to no plain file."""
    prefix = beside / VARIABLES
    for path in sorted(prefix.parent.glob(f"{prefix.name}.*")):
        if not files.locate(path, place).is_file():
            raise BadCheckpoint(f"{path}: is no plain file, as every file of a checkpoint is")
    return prefix


def _name(key: str) -> str | None:
    """Ours of a variable, None where it is no weight: TensorFlow doubles the dots of a name."""
    if not (key.startswith(BEFORE) and key.endswith(AFTER)):
        return None
    return key.removeprefix(BEFORE).removesuffix(AFTER).replace("..", ".")


READERS: Mapping[str, Callable[[Path, Path], dict[str, np.ndarray]]] = {PARAMS: params, SAVED_MODEL: variables}
