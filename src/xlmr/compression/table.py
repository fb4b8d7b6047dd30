"""A comparison as rows of a table and as sentences, for terminals and model cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from xlmr.compression.agreement import Shares
from xlmr.compression.comparison import Comparison, Pair
from xlmr.languages import LANGUAGES

MISSING = "not known"
"""Where the system does not say."""
NAMES = {"f1": "F1", "macro_f1": "macro F1", "micro_f1": "micro F1", "pearson": "Pearson"}
"""Of metrics."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    before: str
    after: str
    change: str = ""
    """What is left: of a size its share of that before, of a score the difference."""


def rows(found: Comparison) -> Iterator[Row]:
    """What can be said of each model alone."""
    yield Row("parameters", f"{found.parameters.before:,}", f"{found.parameters.after:,}", _share(found.parameters))
    for name, of in (("weights on disk", found.weights), ("all files", found.files)):
        yield Row(name, _size(of.before), _size(of.after), _share(of))
    for name, entry in (("memory, loaded", "loaded"), ("memory, most", "peak")):
        pair = Pair(getattr(found.memory.before, entry), getattr(found.memory.after, entry))
        yield Row(name, _size(pair.before), _size(pair.after), _share(pair))
    took = found.seconds
    yield Row(f"seconds, {took.of}", f"{took.before:.3g}", f"{took.after:.3g}", f"{took.ratio:.2f} ×")
    if found.scores:
        ours, theirs = found.scores.before, found.scores.after
        metric = NAMES.get(ours.metric, ours.metric.replace("_", " "))
        for code, name in ((None, f"{metric}, mean"), *((code, f"{metric}, {_language(code)}") for code in ours.languages)):
            pair = Pair(*((side.mean if code is None else side.languages[code]) for side in (ours, theirs)))
            yield Row(name, _figure(pair.before), _figure(pair.after), _figure(pair.after - pair.before, "+.3f"))


def sentences(found: Comparison) -> Iterator[str]:
    """How alike the two answer."""
    if found.fillings:
        of = found.fillings
        yield f"the likeliest filling is the same at {_mean(of.top1)} of the places"
        yield f"of the five likeliest there, the same are {_mean(of.top5)}"
        if of.alike < 1:
            yield f"compared at {of.places:,} places, {of.alike:.1%} of the texts' pieces: only these are cut as before"
    if found.answers:
        what, shares = found.answers
        yield f"{what}: the same are {_mean(shares)}"
    for name, vectors in (("vectors of texts", found.vectors), ("raw vectors", found.raw)):
        if vectors:
            yield f"{name} have a cosine of {vectors.mean:.4f} on average, of {vectors.least:.4f} at least"
    yield f"on {found.texts:,} texts in {len(found.languages)} languages; seconds are of {found.seconds.rounds} rounds in turns"


def memory_note(found: Comparison) -> str:
    """What of the memory is no model's."""
    idle = found.memory.after.idle
    return f"of the memory, {_size(idle)} are Python's and the libraries'" if idle else "this system does not say what memory a process has"


def _mean(of: Shares) -> str:
    least = of.languages[of.worst]
    return f"{of.mean:.1%}" + (f" (mean of the languages; least in {_language(of.worst)}: {least:.1%})" if least < of.mean else "")


def _language(code: str) -> str:
    return LANGUAGES[code].name if code in LANGUAGES else code


def _size(of: int | None) -> str:
    return MISSING if of is None else f"{of / 1e6:,.1f} MB"


def _share(of: Pair[Any]) -> str:
    return f"{of.after / of.before:.2f} ×" if of.before and of.after is not None else ""


def _figure(of: float, form: str = ".3f") -> str:
    return format(of, form) if isfinite(of) else "–"
