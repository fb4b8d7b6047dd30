"""Writing weights as small integers with scales (`integers`), one tensor after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlmr.checkpoint import floats, header, integers, saving
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.checkpoint.folder import scales
from xlmr.checkpoint.integers import Rounding
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.tensors import Tensor

SAID = {"format": "xlmr", "version": "1"}
"""What the file says of itself; not `pt`, by which other libraries know what they read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one matrix is to be stored."""

    layout: str
    """A key of `integers.HELD`."""
    bits: int = 8
    input: float | None = None
    """The scale of what is multiplied with it, where that is fixed."""
    rounding: Rounding | None = None
    """Other than to the nearest."""


def write(path: Path, config: Config, weights: Mapping[str, np.ndarray], plans: Mapping[str, Plan], head: SavedHead | None = None) -> None:
    """Write a file of weights, float32 by our names: as integers those that have a plan, the others as floats.

    Raises BadCheckpoint where weights and config disagree, or a number is not finite.
    """
    table = saving.table(config, weights, head)
    both = weights if head is None else saving.Both(weights, head.weights)
    entries: dict[str, tuple[str, tuple[int, ...]]] = {}
    makers: dict[str, Callable[[], np.ndarray]] = {}
    for hf, (tensor, shape) in table.items():
        if plan := plans.get(tensor.name):
            _plan(hf, tensor.name, shape, plan, both, entries, makers)
        else:
            entries[hf] = (_float(tensor), shape)
            makers[hf] = _reader(both, tensor.name, _float(tensor))
    start, order = header.layout(
        ((name, shape) for name, (_, shape) in entries.items()), {name: dtype for name, (dtype, _) in entries.items()}, SAID
    )
    with path.open("wb") as file:
        file.write(start)
        for name in order:
            file.write(np.ascontiguousarray(makers[name]()).data)


def _float(tensor: Tensor) -> str:
    """float32; but float16 for what has a number for each piece: in a small model that is a hundredth of all."""
    return "float16" if tensor.axes == ("vocabulary",) else "float32"


def _reader(weights: Mapping[str, np.ndarray], name: str, dtype: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        stored = floats.narrow(_finite(weights, name), dtype)
        if not floats.finite(stored, dtype):
            raise BadCheckpoint(f"{name} holds numbers that are too large for {dtype}")
        return stored

    return read


def _plan(
    hf: str, name: str, shape: tuple[int, ...], plan: Plan, weights: Mapping[str, np.ndarray],
    entries: dict[str, tuple[str, tuple[int, ...]]], makers: dict[str, Callable[[], np.ndarray]],
) -> None:  # fmt: skip
    """Enter a matrix' integers and scales. It is quantized once where they are written one after the other, as they are but for odd sizes."""
    own, inputs = scales(hf)
    whole, scaled = integers.shapes(plan.layout, shape, plan.bits)
    kept: list[np.ndarray] = []

    def numbers() -> np.ndarray:
        found, scale = integers.quantize(_finite(weights, name), plan.layout, plan.bits, plan.rounding)
        kept[:] = [scale]
        return found

    def scale() -> np.ndarray:
        if not kept:
            numbers()
        return kept.pop()

    entries[hf] = ("I8" if plan.layout == "columns" else "U8", whole)
    entries[own] = ("float16" if plan.layout == "rows" else "float32", scaled)
    makers |= {hf: numbers, own: scale}
    if plan.input is not None:
        entries[inputs] = ("float32", ())
        makers[inputs] = lambda: np.array(plan.input, np.float32)


def _finite(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    values = weights[name]
    if not np.isfinite(values).all():
        raise BadCheckpoint(f"{name} holds numbers that are not finite")
    return values
