"""t-SNE: those that are near in the space are near in the plane (van der Maaten and Hinton 2008, "Visualizing data using t-SNE").

It begins from the principal components, and its step grows with the number of texts (Kobak and Berens 2019, "The art of using t-SNE for
single-cell transcriptomics"): then where clusters lie tells something too, and hardly anything is left to chance. On one thread: with
several, sums are added up in another order and the picture is another (extra: plot).
"""

from __future__ import annotations

import numpy as np

from xlmr.errors import MissingExtra
from xlmr.maps import pca

try:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits
except Exception as error:
    raise MissingExtra.of("plot", "t-SNE", error) from error

PERPLEXITY = 30
"""Neighbours that count, about; of fewer texts a third."""
LEAST = 5
"""Texts; fewer have no neighbourhoods, and are placed by their principal components."""


def place(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Vectors `[texts, size]` in the plane, float64 `[texts, 2]`; the same ones with the same seed give the same places."""
    with threadpool_limits(1):
        start = pca.place(vectors)
        if len(vectors) < LEAST or not start.std(0).all():
            return start
        start *= 1e-4 / start[:, 0].std()  # as small as the paper has it, or early steps are lost
        perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
        found: np.ndarray = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=seed).fit_transform(vectors)
    return found.astype(np.float64)
