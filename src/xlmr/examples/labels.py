"""The labels of examples: which there are, and whether those of an example are among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from math import isfinite
from reprlib import repr as shorten

from xlmr.errors import BadLine
from xlmr.examples.classified import Classified
from xlmr.examples.tagged import Tagged
from xlmr.heads import iob

SHOWN = 12
"""Labels that an error repeats."""
LONGEST = 50
"""Characters of a label that it repeats, or looks for."""


def inferred(labels: Iterable[str]) -> tuple[str, ...]:
    """Each once: in the order of their numbers where all are numbers, else of the alphabet, and `O` first, which marks no span."""
    numbers = {label: _finite(label) for label in labels}
    if None in numbers.values():
        return tuple(sorted(numbers, key=lambda label: (label != "O", label)))
    return tuple(sorted(numbers, key=lambda label: (numbers[label], label)))


def check(example: Classified | Tagged, known: Collection[str]) -> None:
    """Raises BadLine, with the place of the example, where it has a label that is not known."""
    if isinstance(example, Tagged):
        for place, tag in enumerate(example.tags):
            if tag not in known:
                raise _unknown(f"{_at(example, place)}, has the tag", tag, known)
    else:
        for label in example.labels:
            if label not in known:
                raise _unknown(f"{example.where}: has the label", label, known)


def check_iob(example: Tagged) -> None:
    """Raises BadLine, with the place of the example, where a tag breaks IOB2: an `I-X` after neither `B-X` nor `I-X`."""
    place = iob.broken(example.tags)
    if place is not None:
        tag = example.tags[place]
        before = example.tags[place - 1][:LONGEST] if place else "the beginning of the sentence"
        wanted = f"wanted B-{iob.parts(tag)[1][:LONGEST]} or O there" if iob.parts(tag)[0] else "wanted O, or B- or I- and a label"
        raise BadLine(f"{_at(example, place)}, has the tag {shorten(tag)} after {before}, which breaks IOB2; {wanted}")


def number(example: Classified) -> float:
    """The number that a regression learns. Raises BadLine, with its place, where the label is none."""
    value = _finite(example.labels[0]) if example.labels else None
    if value is None:
        found = shorten(example.labels[0]) if example.labels else "nothing"
        raise BadLine(f"{example.where}: found {found} as the label, wanted a number")
    return value


def _finite(label: str) -> float | None:
    """The number that a label is, if it is one: `nan`, which has no place in an order, and `inf` are words here."""
    try:
        value = float(label)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _at(example: Tagged, place: int) -> str:
    return f"{example.where}: word {place + 1} of the sentence, {shorten(example.words[place])}"


def _unknown(said: str, label: str, known: Collection[str]) -> BadLine:
    listed: Sequence[str] = [*known][:SHOWN]
    more = f" … ({len(known)} in all)" if len(known) > SHOWN else ""
    close = get_close_matches(label[:LONGEST], known, n=1)
    hint = f"; is it {close[0]!r}?" if close else ""
    return BadLine(f"{said} {shorten(label)}, which the model does not know; it knows {', '.join(listed)}{more}{hint}")
