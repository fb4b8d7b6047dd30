"""How alike texts are: the cosines of their vectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload

import numpy as np

from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.heads import vectors
from xlmr.tasks import embeddings

Side = str | Iterable[str] | np.ndarray
"""A text, or several, or vectors that `embed` gave: `[size]`, or `[texts, size]`."""


@overload
def similarity(encoder: Encoder, a: str, b: str, *, raw: bool = False) -> float: ...  # type: ignore[overload-overlap]  # a str is one text
@overload
def similarity(encoder: Encoder, a: Side, b: Side, *, raw: bool = False) -> np.ndarray: ...
def similarity(encoder: Encoder, a: Side, b: Side, *, raw: bool = False) -> np.ndarray | float:
    """The cosine of two texts, -1 to 1; with several on a side an array, `[texts of a, texts of b]`, without the axis of a single text.

    Vectors are those of `embed`: calibrated where the model has a calibration and `raw` does not leave it out. Of vectors that are given
    the cosines are taken as they are. A text without a piece that is known has 0 with any other.

    Raises BadInput where vectors are not numbers or of another size than those of the other side, and what `embed` raises.
    """
    left, right = (_vectors(encoder, side, raw) for side in (a, b))
    if left.shape[-1] != right.shape[-1]:
        raise BadInput(f"vectors of {left.shape[-1]:,} and of {right.shape[-1]:,} numbers; wanted the same on both sides")
    cosines = vectors.similarity(np.atleast_2d(left), np.atleast_2d(right)).reshape(left.shape[:-1] + right.shape[:-1])
    return cosines if cosines.ndim else float(cosines)


def _vectors(encoder: Encoder, side: Side, raw: bool) -> np.ndarray:
    if not isinstance(side, np.ndarray):
        return embeddings.embed(encoder, side, raw=raw)
    if side.dtype.kind != "f" or not 1 <= side.ndim <= 2:
        raise BadInput(f"found {side.dtype} {list(side.shape)}; wanted texts, or vectors as float: [size], or [texts, size]")
    return side
