"""Work in batches of about the same length, answers in the order of the questions.

A batch costs its rows times its longest row, because shorter rows are padded. So a bounded window of items is sorted by length and cut
wherever that product would pass a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BUDGET = 512
"""Tokens in a batch, padding among them. Smaller batches read the weights more often; larger ones are hardly faster on a CPU."""
WINDOW = 512
"""Items read ahead and sorted together, at most."""


class Pause(Enum):
    """Among items: there are no more for now, so those that were read should not wait for the next."""

    PAUSE = auto()


PAUSE: Final = Pause.PAUSE


def run(
    items: Iterable[T | Pause],
    length: Callable[[T], int],
    answer: Callable[[list[T]], list[R]],
    *,
    budget: int = BUDGET,
    window: int = WINDOW,
    first: int = 1,
    weight: Callable[[T], int] | None = None,
    heaviest: int = 0,
) -> Iterator[R]:
    """One answer for each item, in the items' order, as soon as those before it are there.

    `answer` takes a batch and gives one answer for each of its items. Items are read ahead 1, 2, 4, … and then `window` at a
    time, so that the first answers of a slow source come early; `first`, `weight` and `heaviest` are those of `windows`.
    An item longer than the budget makes a batch of its own. Where the items break off with an error, those before it are answered first.
    """
    for held in windows(items, window, first=first, weight=weight, heaviest=heaviest):
        ready: dict[int, R] = {}
        given = 0
        for batch in group([length(item) for item in held], budget):
            ready.update(zip(batch, answer([held[i] for i in batch]), strict=True))
            while given in ready:
                yield ready.pop(given)
                given += 1


def windows(
    items: Iterable[T | Pause], largest: int = WINDOW, *, first: int = 1, weight: Callable[[T], int] | None = None, heaviest: int = 0
) -> Iterator[list[T]]:
    """The items, `first` (1), twice as many, … and then `largest` at a time; an error of theirs comes after what was read before it.

    A window ends early at a PAUSE among the items, and with the item whose `weight` brings it to `heaviest`.
    """
    rest = iter(items)
    size, held, carried = first, list[T](), 0
    broken: Exception | None = None
    while broken is None:
        try:
            item = next(rest)
        except StopIteration:
            break
        except Exception as error:
            broken = error
            break
        if not isinstance(item, Pause):
            held.append(item)
            carried += weight(item) if weight else 0
        if held and (item is PAUSE or len(held) >= size or (weight and carried >= heaviest)):
            yield held
            size, held, carried = min(2 * size, largest), [], 0
    if held:
        yield held
    if broken is not None:
        raise broken


def group(lengths: Sequence[int], budget: int = BUDGET) -> list[list[int]]:
    """Indices in batches: rows times longest within the budget where that can be; the batch that the first item waits for comes first."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[i] > budget:
            batches.append([])
        batches[-1].append(i)
    return sorted(batches, key=min)
