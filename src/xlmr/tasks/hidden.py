"""The states of a text's tokens after one layer or several, however long the text is.

A text longer than the model takes is read in overlapping windows (`contexts`), and each token's state is that of one of them. `<s>` and
`</s>` stand in every window: theirs are the means of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.vectors import Layers
from xlmr.limits import NUMBERS
from xlmr.runtimes import depth
from xlmr.tasks import contexts
from xlmr.tasks.contexts import Window

T = TypeVar("T")


def check(encoder: Encoder, layers: Layers) -> None:
    """Raises BadInput for a layer there is not."""
    for number in layers.numbers:
        depth(number, encoder.config)


def bounded(tokens: int, width: int) -> int:
    """The tokens themselves. Raises BadInput where their states are more than are held at once."""
    if tokens * width > NUMBERS:
        raise BadInput(
            f"the text has {tokens:,} tokens, of {width:,} numbers each, and at most {NUMBERS:,} numbers are held; "
            "split it, or ask for fewer layers"
        )
    return tokens


def read(encoder: Encoder, texts: Sequence[Sequence[int]], layers: Layers) -> Iterator[np.ndarray]:
    """For the ids of each text, `<s>` … `</s>`, their states: float32 `[tokens, width]`; several layers' `[tokens, layers × width]`.

    Raises as `each`.
    """
    return (side_by_side(of, layers) for of in each(encoder, texts, layers.numbers))


def each(encoder: Encoder, texts: Sequence[Sequence[int]], numbers: Sequence[int]) -> Iterator[list[np.ndarray]]:
    """For the ids of each text the states after each of some layers, float32 `[tokens, width]`.

    Nothing above the highest layer is computed, and of no layer nothing. Raises BadCheckpoint where the model's numbers are not finite.
    """
    if not numbers:
        return iter([[] for _ in texts])

    def answer(batch: list[list[int]]) -> list[list[np.ndarray]]:
        states = encoder.runtime.hidden_states(encoders.pad(batch, encoder.config.pad_id), numbers)
        return [[finite(of[i, : len(row)]) for of in states] for i, row in enumerate(batch)]

    windows = [contexts.windows(len(ids) - 2, encoder.config.longest - 2) for ids in texts]
    rows = ([ids[0], *ids[1 + of.begin : 1 + of.end], ids[-1]] for ids, cut in zip(texts, windows, strict=True) for of in cut)
    states = batching.run(rows, len, answer, first=batching.WINDOW)
    return ([join(cut, of) for of in zip(*[next(states) for _ in cut], strict=True)] for cut in windows)


def last(encoder: Encoder, rows: Iterable[Sequence[int]], make: Callable[[np.ndarray], T]) -> Iterator[T]:
    """What `make` makes of the states of each row of ids after the last layer, float32 `[tokens, width]`; no row is longer than is taken.

    No more is kept of the states than what it makes. Raises BadCheckpoint where the model's numbers are not finite.
    """

    def answer(batch: list[Sequence[int]]) -> list[T]:
        (states,) = encoder.runtime.hidden_states(encoders.pad(batch, encoder.config.pad_id))
        return [make(finite(states[i, : len(row)])) for i, row in enumerate(batch)]

    return batching.run(rows, len, answer, first=batching.WINDOW)


def side_by_side(states: Sequence[np.ndarray], layers: Layers) -> np.ndarray:
    """The states of several layers, one beside the other, or their mean; of none there are no states."""
    if not states:
        return np.empty((0, 0), np.float32)
    if len(states) == 1:
        return states[0]
    joined: np.ndarray = np.mean(states, axis=0) if layers.mean else np.concatenate(states, axis=-1)
    return joined


def join(windows: Sequence[Window], states: Sequence[np.ndarray]) -> np.ndarray:
    """The states of a text, `[tokens, width]`, from those of its windows; of one window, its own."""
    if len(windows) == 1:
        return states[0]
    tokens = (of[1 + window.first - window.begin : 1 + window.last - window.begin] for window, of in zip(windows, states, strict=True))
    ends = (np.mean([of[[end]] for of in states], axis=0) for end in (0, -1))
    return np.concatenate([next(ends), *tokens, next(ends)])


def finite(numbers: np.ndarray) -> np.ndarray:
    """The numbers themselves. Raises BadCheckpoint where they are not all finite."""
    if not np.isfinite(numbers).all():
        raise BadCheckpoint("the model answers with numbers that are not finite; its weights are broken")
    return numbers
