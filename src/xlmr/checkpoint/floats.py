"""float32, and the two halves it is stored in: NumPy knows float16, bfloat16 is the upper half of a float32's bits."""

from __future__ import annotations

from typing import Any

import numpy as np

# How NumPy holds the bytes of each; little-endian, as the format wants it.
HELD: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "bfloat16": np.dtype("<u2")}


def widen(raw: np.ndarray, dtype: str) -> np.ndarray:
    """Stored numbers (held as `HELD[dtype]`) as float32; exact."""
    if dtype == "bfloat16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32, copy=False)


def narrow(values: np.ndarray, dtype: str) -> np.ndarray:
    """Finite float32 numbers as they are stored, rounded to the nearest, ties to even; what is too large becomes infinite."""
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(HELD[dtype])
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, HELD[dtype])


def finite(raw: np.ndarray, dtype: str) -> bool:
    """Whether no stored number is infinite or not a number."""
    if dtype == "bfloat16":
        return bool(((raw & 0x7F80) != 0x7F80).all())
    return bool(np.isfinite(raw).all())
