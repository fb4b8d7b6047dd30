"""What is told of long work: how far it is, not more than four times a minute."""

from __future__ import annotations

import time

from xlmr.compression.parts import Step

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
