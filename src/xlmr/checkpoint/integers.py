"""Weights as small integers with scales: how they are laid out in a file, and what numbers they stand for.

Three layouts, each as ONNX Runtime's kernels read it, so that a graph can point into the file:

- `rows`, of tables: uint8 `[rows, width]`, 128 is zero, and a scale for each row. Rows are gathered, and the same bytes are the matrix of
  a tied head.
- `columns`, of linear layers: int8 `[in, out]`, which is PyTorch's matrix turned, and a scale for each output.
- `blocks`, of linear layers whose activations stay floats: uint8 `[out, blocks, bytes]`, 8 or 4 bits a number (the lower half of a byte
  first), the middle of their range is zero, and a scale for each block of inputs.

Scales are symmetric, and stored in float16: rounded up, so that no integer leaves its range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from xlmr.checkpoint.header import Stored
from xlmr.errors import BadCheckpoint

SCALE = "_scale"
"""What follows a quantized tensor's name in the name of its scales."""
INPUT = "input_scale"
"""In the place of `weight`: the scale of what is multiplied with it, where that is fixed."""
HELD: Mapping[str, np.dtype[Any]] = {"rows": np.dtype("u1"), "columns": np.dtype("i1"), "blocks": np.dtype("u1")}
"""How NumPy holds the integers of each layout."""
Rounding = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Numbers `[out, in]`, their scales `[out, in]` or `[out, 1]`, and the largest integer, to integers (as floats)."""
BLOCK = 32
"""Inputs with a scale of their own, in `blocks`."""
ZERO = 128
"""Of `rows`."""
MOST = 127
"""The largest integer of 8 bits, on either side of zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized(Stored):
    """Where a quantized tensor's integers lie (`dtype` `int8` or `int4`), in the shape of the numbers that they stand for."""

    layout: str
    """A key of `HELD`."""
    held: tuple[int, ...]
    """The shape in which the integers lie."""
    scale: Stored
    input: Stored | None = None


def shapes(layout: str, shape: tuple[int, ...], bits: int = 8) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the integers, and of their scales, for numbers of a shape. Raises BadCheckpoint where the layout does not fit."""
    rows, width = shape
    if layout == "rows":
        return shape, (rows,)
    if layout == "columns":
        return (width, rows), (rows,)
    if width % BLOCK:
        raise BadCheckpoint(f"a matrix of {width} inputs has no whole blocks of {BLOCK}")
    return (rows, width // BLOCK, BLOCK * bits // 8), (rows, width // BLOCK)


def scales(values: np.ndarray, layout: str, bits: int = 8) -> np.ndarray:
    """The scales of a matrix of float32, `[out, in]` or `[rows, width]`, as `shapes` says: the largest number gets the largest integer.

    Raises BadCheckpoint where one is too large for float16.
    """
    cut = values.reshape(len(values), -1, BLOCK) if layout == "blocks" else values
    most = (1 << (bits - 1)) - 1
    found = _ceiled(np.maximum(cut.max(-1), -cut.min(-1)) / np.float32(most))
    if not np.isfinite(found).all():
        largest = float(np.finfo(np.float16).max) * most
        raise BadCheckpoint(f"a number of {np.abs(values).max():.3g} is too large for {bits} bits; wanted {largest:,.0f} at most")
    return found


def quantize(values: np.ndarray, layout: str, bits: int = 8, rounding: Rounding | None = None) -> np.ndarray:
    """The integers of a matrix as `scales` takes it; rounded to the nearest, ties to even, or as `rounding` does it. Raises as `scales`."""
    most = (1 << (bits - 1)) - 1
    cut = values.reshape(len(values), -1, BLOCK) if layout == "blocks" else values
    scale = scales(values, layout, bits)[..., None]
    if rounding is None:
        whole = np.rint(cut / scale.astype(np.float32))
    else:
        wide = np.broadcast_to(scale, cut.shape).reshape(values.shape) if layout == "blocks" else scale
        whole = rounding(values, wide.astype(np.float32), most).reshape(cut.shape)
    if layout == "columns":
        return np.ascontiguousarray(whole.astype(np.int8).T)
    packed = (whole + (most + 1)).astype(np.uint8)
    return packed if bits == 8 else packed[:, :, 0::2] | (packed[:, :, 1::2] << 4)


def numbers(whole: np.ndarray, scale: np.ndarray, layout: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers that integers stand for, float32 in their shape."""
    wide = scale.astype(np.float32)[..., None]
    if layout == "columns":
        found = np.ascontiguousarray(whole.T).astype(np.float32) * wide
    elif layout == "blocks" and whole.size < prod(shape):
        halves = np.stack([whole & 15, whole >> 4], -1).reshape(*whole.shape[:2], -1)
        found = (halves.astype(np.float32) - 8) * wide
    else:
        found = (whole.astype(np.float32) - ZERO) * wide
    return found.reshape(shape)


def _ceiled(scale: np.ndarray) -> np.ndarray:
    """In float16, never below: so that no integer leaves its range."""
    with np.errstate(over="ignore"):
        near = scale.astype(np.float16)
    return np.maximum(np.where(near < scale, np.nextafter(near, np.float16(np.inf)), near), np.float16(6e-8))
