"""Principal components: the two directions in which vectors differ most. Linear, so distances mean something; most of them are lost."""

from __future__ import annotations

import numpy as np


def place(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Vectors `[texts, size]` in the plane, float64 `[texts, 2]`. Nothing is drawn by chance, so the seed changes nothing.

    Of each axis, that direction is positive in which the largest number of its component points.
    """
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values, kind="stable")[:2]]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    places = np.zeros((len(vectors), 2))
    places[:, : axes.shape[1]] = centred @ axes
    return places
