"""Writing weights as small integers with scales (`integers`), one tensor after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from xlmr.checkpoint import floats, header, integers, saving
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.checkpoint.folder import raw, scales
from xlmr.checkpoint.integers import Quantized, Rounding
from xlmr.config import Config
from xlmr.errors import BadCheckpoint

SAID = {"format": "xlmr", "version": "1"}
"""What the file says of itself; not `pt`, by which other libraries know what they read."""
FLOATS = "float16"
"""The type of what stays a float: in float32 that would be a fortieth of a small model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one matrix is to be stored."""

    layout: str
    """A key of `integers.HELD`."""
    bits: int = 8
    input: Callable[[], float] | None = None
    """Finds the scale of what is multiplied with it, where that is fixed."""
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
            entries[hf] = (FLOATS, shape)
            makers[hf] = partial(_floats, both, tensor.name)
    start, order = header.layout(
        ((name, shape) for name, (_, shape) in entries.items()), {name: dtype for name, (dtype, _) in entries.items()}, SAID
    )
    with path.open("wb") as file:
        file.write(start)
        for name in order:
            file.write(np.ascontiguousarray(makers[name]()).data)


def _floats(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    stored = floats.narrow(_finite(weights, name), FLOATS)
    if not floats.finite(stored, FLOATS):
        raise BadCheckpoint(f"{name} holds numbers that are too large for {FLOATS}")
    return stored


def again(held: Quantized) -> Rounding:
    """The rounding that was found before, read back from where it was written."""

    def read(values: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
        ones = np.ones(held.scale.shape, np.float32)
        return integers.numbers(raw(held).reshape(held.held), ones, held.layout, held.shape)

    return read


def _plan(
    hf: str, name: str, shape: tuple[int, ...], plan: Plan, weights: Mapping[str, np.ndarray],
    entries: dict[str, tuple[str, tuple[int, ...]]], makers: dict[str, Callable[[], np.ndarray]],
) -> None:  # fmt: skip
    """Enter a matrix' integers and scales."""
    own, inputs = scales(hf)
    whole, scaled = integers.shapes(plan.layout, shape, plan.bits)

    def made(make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        values = _finite(weights, name)
        try:
            return make(values)
        except BadCheckpoint as error:
            raise BadCheckpoint(f"{name}: {error}") from None

    entries[hf] = ("I8" if plan.layout == "columns" else "U8", whole)
    entries[own] = (FLOATS, scaled)
    makers[hf] = lambda: made(partial(integers.quantize, layout=plan.layout, bits=plan.bits, rounding=plan.rounding))
    makers[own] = lambda: made(partial(integers.scales, layout=plan.layout, bits=plan.bits))
    if plan.input is not None:
        entries[inputs] = ("float32", ())
        makers[inputs] = partial(_number, plan.input)


def _number(find: Callable[[], float]) -> np.ndarray:
    return np.array(find(), np.float32)


def _finite(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    values = weights[name]
    if not np.isfinite(values).all():
        raise BadCheckpoint(f"{name} holds numbers that are not finite")
    return values
