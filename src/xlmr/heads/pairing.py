"""Which words of a sentence and of its translation belong together, from how alike their vectors are.

Jalili Sabet et al. (2020), "SimAlign: High quality word alignments without parallel training data using static and contextualized
embeddings", section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

ROUNDS = 2
"""Of `itermax`; the paper's."""
DISCOUNT = 0.9
"""What a similarity is times where one of the two words has a pair already; the paper's."""


def mutual(similarity: np.ndarray) -> np.ndarray:
    """Pairs of words each of which is the other's most similar, bool `[source, target]`, from similarities `[source, target]`.

    The paper's "Argmax". Equals go to the first.
    """
    pairs = np.zeros(similarity.shape, bool)
    if pairs.size:
        rows = np.arange(len(similarity))
        best = similarity.argmax(1)
        pairs[rows, best] = similarity.argmax(0)[best] == rows
    return pairs


def itermax(similarity: np.ndarray) -> np.ndarray:
    """`mutual`, and once more among words without a pair, or with one partner that has none: more pairs, and more wrong ones.

    The paper's "Itermax"; it takes similarities from 0 to 1, so cosines are brought there.
    """
    positive, pairs = (similarity + 1) / 2, mutual(similarity)
    for _ in range(ROUNDS - 1):
        source, target = pairs.any(1, keepdims=True), pairs.any(0, keepdims=True)
        weights = np.where(source & target, 0, np.where(source | target, DISCOUNT, 1))
        pairs |= mutual(positive * weights) & (weights > 0)
    return pairs


METHODS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"mutual": mutual, "itermax": itermax}
