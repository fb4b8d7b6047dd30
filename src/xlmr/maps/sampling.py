"""As many texts as a picture holds, drawn from a stream of any length: a text stays where its translations stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappop, heappush

from xlmr.encoder import bounded
from xlmr.errors import BadInput
from xlmr.maps import Row

HELD = 50_000_000
"""Characters of all texts together. Of longer ones fewer are drawn."""
TOLD = 20
"""Rows that cannot be drawn of which each is told."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn."""

    rows: list[Row]
    """In their order; each has a text."""
    total: int
    """Texts there were."""
    failed: int
    """Rows without a text that can be answered."""
    told: list[str]
    """Why, for the first of them."""


def sample(rows: Iterable[Row], most: int, seed: int = 0) -> Sample:
    """At most so many rows, read once and held no longer than they may be among them. Blank texts are left out.

    Each row has a number, a hash of the seed and of its name or, without one, its place; those with the lowest are taken. So translations,
    which share a name, come together, and whether a row is taken does not depend on the order of the files.
    """
    heap: list[tuple[int, int, Row]] = []
    total = failed = held = 0
    bar = 1 << 64
    told: list[str] = []
    for order, row in enumerate(rows):
        try:
            text = _answerable(row)
        except BadInput as error:
            failed += 1
            if failed <= TOLD:
                told.append(f"{row.place}: {error}")
            continue
        if not text.strip():
            continue
        total += 1
        if (number := _number(row, seed)) >= bar:
            continue
        heappush(heap, (-number, -order, row))
        held += len(text)
        while len(heap) > most or held > HELD:
            bar = -heap[0][0]
            held -= len(str(heappop(heap)[2].text))
    return Sample([row for _, _, row in sorted(heap, key=lambda entry: -entry[1])], total, failed, told)


def _answerable(row: Row) -> str:
    if isinstance(row.text, BadInput):
        raise row.text
    return bounded(row.text)


def _number(row: Row, seed: int) -> int:
    named = f"{seed}\0place\0{row.place}" if row.name is None else f"{seed}\0name\0{row.name}"
    return int.from_bytes(blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
