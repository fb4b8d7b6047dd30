"""Which examples a step learns from: shuffled anew in every pass, the languages mixed with a temperature.

A batch depends on the seed and the step alone, so a run that is killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Mixture:
    """The rows of several languages, in passes of as many rows as there are."""

    def __init__(self, languages: Sequence[str], batch: int, exponent: float, seed: int) -> None:
        """`languages` has one for each row; one of n rows gets a share of every pass as n to the power of `exponent`: 1 leaves them as
        they are, 0 gives each as many (Conneau et al. 2020, section 3.1, for pretraining)."""
        self.batch, self.seed = batch, seed
        codes, self._of = np.unique(np.array(languages), return_inverse=True)
        self._held = [np.flatnonzero(self._of == i) for i in range(len(codes))]
        sizes = np.array([len(held) for held in self._held], float)
        weights = (sizes / sizes.max()) ** exponent  # a power of a share overflows nowhere, however low the temperature
        self._counts = shares(weights, len(languages))
        self._pass: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @property
    def steps(self) -> int:
        """Of one pass."""
        return -(-len(self._of) // self.batch)

    def rows(self, step: int) -> np.ndarray:
        """The rows of a step, int64; a pass's last step may have fewer."""
        number, place = divmod(step, self.steps)
        if self._pass[0] != number:
            self._pass = number, self._order(number)
        return self._pass[1][place * self.batch : (place + 1) * self.batch]

    def _order(self, number: int) -> np.ndarray:
        """A pass. Of a language with a larger share than rows the rows come again, each as often as any other but for one."""
        rng = np.random.default_rng([self.seed, number])
        drawn = [_cycled(held, count, rng) for held, count in zip(self._held, self._counts, strict=True)]
        return rng.permutation(np.concatenate(drawn))


def _cycled(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate([rows[:0], *rounds])[:count]


def shares(weights: np.ndarray, total: int) -> list[int]:
    """`total` divided as the weights are, in whole numbers, by largest remainder; none gets nothing where there is one for each."""
    exact = weights / weights.sum() * total
    counts = np.floor(exact).astype(int)
    for i in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[i] += 1
    for i in np.flatnonzero(counts == 0) if total >= len(counts) else ():
        counts[counts.argmax()] -= 1
        counts[i] = 1
    return [int(count) for count in counts]
