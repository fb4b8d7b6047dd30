"""Tags of words that mark spans: `B-X` begins a span of X, `I-X` goes on with it, `O` is outside of all.

So has it IOB2 (Tjong Kim Sang and Veenstra 1999, "Representing text chunks", section 2); in the older IOB1, `I-X` may begin a span, and
`B-X` does where another of X ends. `B` and `I` alone mark spans of one kind, which is then called `_`, as seqeval calls it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.heads.crf import Constraints

NAMELESS = "_"


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of words."""

    label: str
    """X of `B-X`."""
    first: int
    """Its first word …"""
    end: int
    """… and the one after its last."""


def parts(tag: str) -> tuple[str, str]:
    """`B-X` is ("B", "X"), `I-X-Y` is ("I", "X-Y"), `B` is ("B", "_"), `O` is ("O", ""); whatever is none of these is ("", "")."""
    kind, _, label = tag.partition("-")
    if kind in ("B", "I"):
        return kind, label or NAMELESS
    return ("O", "") if tag == "O" else ("", "")


def is_iob(labels: Collection[str]) -> bool:
    """Whether they mark spans, of IOB2 or IOB1: all of them `O`, `B-X` or `I-X`, and not `O` alone."""
    kinds = {parts(label)[0] for label in labels}
    return "" not in kinds and bool(kinds & {"B", "I"})


def constraints(labels: Sequence[str]) -> Constraints | None:
    """What IOB2 allows: `I-X` after `B-X` and `I-X` alone. None where labels are not of IOB2: some other label, or an `I-X` without `B-X`.

    So models of IOB1, whose spans begin with `I-X`, are not bound.
    """
    split = [parts(label) for label in labels]
    begun = {label for kind, label in split if kind == "B"}
    if not is_iob(labels) or any(kind == "I" and label not in begun for kind, label in split):
        return None
    inside = np.array([kind == "I" for kind, _ in split])
    names = np.array([label for _, label in split])
    return Constraints(~inside | (names[:, None] == names), ~inside)


def entities(tags: Sequence[str]) -> list[Entity]:
    """The spans of a sentence, in order, as seqeval counts them unless told to be strict, and conlleval before it.

    A span begins with `B-X`, and with `I-X` that goes on with nothing. A tag that is none of IOB is outside.
    """
    return list(_entities(tags))


def _entities(tags: Sequence[str]) -> Iterator[Entity]:
    first, open_label = 0, ""
    for i, (kind, label) in enumerate([*map(parts, tags), ("O", "")]):
        if kind == "I" and label == open_label:
            continue
        if open_label:
            yield Entity(open_label, first, i)
        first, open_label = i, label


def broken(tags: Sequence[str]) -> int | None:
    """The place of the first tag that breaks IOB2: an `I-X` after neither `B-X` nor `I-X`, or none of IOB. None: all is well."""
    before = ""
    for i, (kind, label) in enumerate(map(parts, tags)):
        if not kind or (kind == "I" and label != before):
            return i
        before = label
    return None
