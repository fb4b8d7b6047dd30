"""Align the words of a sentence with those of its translation, by the vectors that a model gives them; nothing is trained for it.

Jalili Sabet et al. (2020), "SimAlign", section 2: words whose vectors are each other's most similar belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.heads.pairing import METHODS
from xlmr.tasks import embeddings
from xlmr.tasks.embeddings import Parts, Place

DEEP = 6
"""Layers."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two words that belong together."""

    source: int
    """Its number among the words of the source, from 0."""
    target: int
    score: float
    """The cosine of their vectors."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of two texts, and which of them belong together."""

    pairs: tuple[Pair, ...]
    """In the order of the source."""
    words: tuple[tuple[Place, ...], tuple[Place, ...]]
    """Of the source, and of the target."""


def align(encoder: Encoder, source: str, target: str, *, layer: int | None = None, method: str = "mutual") -> Alignment:
    """Which words of a text and of its translation belong together. A word may have several partners, or none.

    `method` is `mutual`, pairs of words each of which is the other's most similar, or `itermax`, which goes on to words that are left.
    `layer` is that whose states are compared; without it, the one that `best_layer` says.

    Raises BadInput where a text is no text or too long, or there is no such layer or method.
    """
    if method not in METHODS:
        raise BadInput(f"method is {method!r}, wanted one of {', '.join(METHODS)}")
    layer = best_layer(encoder.config.layers) if layer is None else layer
    ours, theirs = embeddings.embed(encoder, [source, target], level="word", layers=layer, unit=True)
    cosines = similarity(ours, theirs)
    found = zip(*np.nonzero(METHODS[method](cosines)), strict=True)
    pairs = tuple(Pair(int(i), int(j), float(cosines[i, j])) for i, j in found)
    return Alignment(pairs, (ours.places, theirs.places))


def best_layer(layers: int) -> int:
    """The layer that aligns best in a model of so many: two thirds up, the 8th of 12, as the paper found for XLM-R-base.

    Of a model with less than `DEEP` layers, the embeddings: so it is in the model inside (benchmarks/alignment.py).
    """
    return round(layers * 2 / 3) if layers >= DEEP else 0


def similarity(source: Parts, target: Parts) -> np.ndarray:
    """The cosines of all words with all words, `[source, target]`, from vectors of length 1."""
    cosines: np.ndarray = source.vectors @ target.vectors.T
    return cosines
