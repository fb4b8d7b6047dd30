"""What is told of long work: how far it is, not more than four times a minute."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from xlmr.compression.parts import Step

T = TypeVar("T")

SECONDS = 15.0


class Progress:
    """Counts what is done, and tells it now and then."""

    def __init__(self, step: Step, what: str, total: int) -> None:
        self._step, self._what, self._total = step, what, total
        self._done, self._told = 0, time.monotonic()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if (now := time.monotonic()) > self._told + SECONDS:
            self._told = now
            self._step(f"{self._what}: {self._done:,} of {self._total:,}")


def told(of: Iterable[T], step: Step, what: str) -> Iterator[T]:
    """What comes of a stream, whose end is not known: how many have come is told now and then."""
    began = time.monotonic()
    for number, one in enumerate(of):
        yield one
        if (now := time.monotonic()) > began + SECONDS:
            began = now
            step(f"{what}: {number + 1:,}")
