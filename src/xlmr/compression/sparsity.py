"""Weights set to zero one by one: by their size, or two of every four.

The tensors keep their shapes. So what is gained is size where a file is packed (by zip, by a disk that does so), and speed only on kernels
for sparse matrices, such as NVIDIA's for two of four: xlmr's own runtimes take as long as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from xlmr import tensors

TWO_OF_FOUR = "2:4"
FOUR = 4
WORDS = "embeddings.words.weight"


def magnitude(matrix: np.ndarray, share: float) -> np.ndarray:
    """A matrix, `[out, in]`, in each row of which the smallest numbers, that share of them, are zero.

    The size of a weight is the common baseline (Han et al. 2015; Zhu and Gupta 2017, "To prune, or not to prune", section 3), there by the
    matrix. Sun et al. (2024, "Wanda", section 4) compare the weights of one output among themselves; so it is here, where it kept more.
    """
    gone = int(share * matrix.shape[1])
    left = matrix.copy()
    if gone:
        np.put_along_axis(left, np.argpartition(np.abs(matrix), gone - 1, axis=1)[:, :gone], 0, axis=1)
    return left


def two_of_four(matrix: np.ndarray) -> np.ndarray:
    """A matrix, `[out, in]`, in which of every four numbers along the input the two smallest are zero (Mishra et al. 2021, "Accelerating
    sparse deep neural networks", section 3). `in` is a multiple of four."""
    fours = matrix.reshape(len(matrix), -1, FOUR).copy()
    smallest = np.argsort(np.abs(fours), axis=-1, kind="stable")[..., : FOUR // 2]
    np.put_along_axis(fours, smallest, 0, axis=-1)
    return fours.reshape(matrix.shape)


def is_done(weights: Mapping[str, np.ndarray], share: float | None, *, embeddings: bool = False) -> bool:
    """Whether the weights that `Thinned` would set to zero are so already."""
    return all(_is_done(weights[name], share) for name in matrices(weights, embeddings=embeddings))


def _is_done(matrix: np.ndarray, share: float | None) -> bool:
    if share is None:
        return bool((np.count_nonzero(matrix.reshape(len(matrix), -1, FOUR), axis=-1) <= FOUR // 2).all())
    return bool((np.count_nonzero(matrix, axis=1) <= matrix.shape[1] - int(share * matrix.shape[1])).all())


def matrices(names: Mapping[str, np.ndarray], *, embeddings: bool = False) -> Iterator[str]:
    """The tensors that get zeros: the layers' matrices, and the word embeddings where that is asked for."""
    inside = {name for name, _, axes in tensors.LAYER if " " in axes}
    for name in names:
        if (name.startswith("layers.") and name.split(".", 2)[2] in inside) or (embeddings and name == WORDS):
            yield name


class Thinned(Mapping[str, np.ndarray]):
    """Weights of which some are zero, each tensor made when it is asked for."""

    def __init__(self, of: Mapping[str, np.ndarray], share: float | None, *, embeddings: bool = False) -> None:
        """`share` of each row of a matrix becomes zero; None: two of every four."""
        self._of, self._share, self._those = of, share, frozenset(matrices(of, embeddings=embeddings))

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._of[name]
        if name not in self._those:
            return found
        return two_of_four(found) if self._share is None else magnitude(found, self._share)

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
