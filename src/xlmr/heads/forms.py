"""How a vector is handed out: how many of its numbers, at which length, and in which type.

- `float32`, `float16`: the numbers.
- `int8`: whole numbers from -127 to 127 and a float32 `scale` for each vector, `{"scale", "vector"}`; scale × vector is the vector again,
  each number within half a scale. The scale is positive, so cosines of the whole numbers are those of the vectors.
- `binary`: a bit for each number, 1 where it is greater than 0, eight in a byte, the first in the highest bit, as `numpy.packbits` and
  sentence-transformers (`ubinary`) have them. Two vectors are the nearer the fewer bits they differ in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xlmr.errors import BadCheckpoint
from xlmr.heads.vectors import FLOOR

DTYPES = ("float32", "float16", "int8", "binary")
MOST = 127
"""Of int8, the same on both sides of 0."""


@dataclass(frozen=True, slots=True)
class Form:
    """What becomes of vectors, in this order: cut to `size`, brought to length 1 where `unit` says so, stored as `dtype`."""

    size: int
    """Numbers kept, the first ones."""
    unit: bool = False
    dtype: str = "float32"
    """Of `DTYPES`."""

    @property
    def stored(self) -> np.dtype[Any]:
        """The type of one vector, its shape within."""
        types: dict[str, Any] = {
            "float32": (np.float32, (self.size,)),
            "float16": (np.float16, (self.size,)),
            "int8": [("scale", np.float32), ("vector", np.int8, (self.size,))],
            "binary": (np.uint8, (-(-self.size // 8),)),
        }
        stored: np.dtype[Any] = np.dtype(types[self.dtype])
        return stored

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors, float32 `[…, width]`, in this form: `[…, size]`, of `int8` a record each, of `binary` `[…, size / 8]`.

        Raises BadCheckpoint where a number is too large for float16.
        """
        cut = vectors[..., : self.size]
        if self.unit:
            cut = cut / np.maximum(np.linalg.norm(cut, axis=-1, keepdims=True), FLOOR)
        if self.dtype == "binary":
            return np.packbits(cut > 0, axis=-1)
        if self.dtype == "int8":
            return self._scaled(cut)
        with np.errstate(over="ignore"):
            given = cut.astype(self.dtype)  # a copy: a view would hold all states of its batch for as long as it lives
        if self.dtype == "float16" and not np.isfinite(given).all():
            raise BadCheckpoint(f"the model gives a vector with {np.abs(cut).max():,.0f} in it, too much for float16; ask for float32")
        return given

    def _scaled(self, vectors: np.ndarray) -> np.ndarray:
        found = np.empty(vectors.shape[:-1], self.stored)
        scale = np.abs(vectors).max(-1) / np.float32(MOST)
        found["scale"] = np.where(scale >= np.finfo(np.float32).tiny, scale, 1)  # below it a float32 has few digits, at last none
        found["vector"] = np.rint(vectors / found["scale"][..., None])
        return found
