"""How evaluations of fine-tuned models look: for people, as JSON, as a Markdown table, as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import click

from xlmr.cli import printing
from xlmr.cli.terminal import visible
from xlmr.evaluation.mistakes import Confusion, Mistake
from xlmr.evaluation.reports import Interval, Measured, Report
from xlmr.languages import LANGUAGES
from xlmr.maps import bars
from xlmr.maps.bars import Bar

NAMES = {
    "f1": "F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "exact_match": "exact match",
    "squad_f1": "SQuAD F1",
    "squad_exact_match": "SQuAD exact match",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "squared_error": "squared error",
}
"""Of metrics, for people; the others are called as they are."""
TEXT = 160
"""Characters of a text shown to people."""
BESIDE = "  ‖  "
"""Between the two texts of a pair."""
SHOWN = 20
"""Confusions shown to people."""


def as_json(found: Report) -> dict[str, Any]:
    """A report, as `evaluate --json` has it. What is no number is null."""
    first, *others = found.metrics.items()
    transfer: dict[str, Any] = {}
    if found.transfer:
        of = found.transfer
        gaps = {code: _number(gap) for code, gap in of.gaps.items()}
        transfer = {"source": of.source, "others": _number(of.others), "others_interval": _interval(of.interval)}
        transfer |= {"gap": _number(of.gap), "gaps": gaps}
    measured = _measured(first[1])
    return {
        "task": found.task,
        "metric": found.metric,
        **measured,
        "counts": found.counts,
        **transfer,
        "scores": {name: _measured(of) for name, of in others},
    }


def _measured(of: Measured) -> dict[str, Any]:
    return {
        "languages": {code: _number(score) for code, score in of.languages.items()},
        "mean": _number(of.mean),
        "intervals": {code: _interval(bounds) for code, bounds in of.intervals.items()},
        "interval": _interval(of.interval),
    }


def _number(of: float) -> float | None:
    return of if isfinite(of) else None


def _interval(of: Interval | None) -> list[float] | None:
    return list(of) if of and all(map(isfinite, of)) else None


def mistakes_json(confusions: Sequence[Confusion] | None, worst: Sequence[Mistake] | None) -> dict[str, Any]:
    """What goes wrong, where it was asked for."""
    found = {"confusions": confusions, "worst": worst}
    return {name: [asdict(of) for of in rows] for name, rows in found.items() if rows is not None}


def for_people(found: Report) -> Iterator[str]:
    """A score for each language with its interval, the other metrics, and how many examples; and their means."""
    head = ", ".join(map(_named, found.metrics))
    yield f"{click.style(found.task, bold=True)}  {head}; intervals hold 95 %"
    for code, score in found.languages.items():
        yield f"  {code:8}{_row(found, code, score)} {found.counts[code]:7,}  {_language(code)}".rstrip()
    yield f"  {'mean':8}{_row(found, None, found.mean)}"
    if (of := found.transfer) and of.gaps:
        gap = f"{_figure(of.gap, '+.3f')} from {of.source}"
        yield f"  {'others':8}{_share(of.others)}{_between(of.interval)}  {gap}: the mean of the other {len(of.gaps)}"


def _row(found: Report, code: str | None, score: float) -> str:
    first, *others = found.metrics.values()
    more = " ".join(_share(of.mean if code is None else of.languages[code]) for of in others)
    bounds = first.interval if code is None else first.intervals.get(code)
    return f"{_share(score)} {printing.bar(min(1.0, max(0.0, score)) if isfinite(score) else 0.0)}{_between(bounds)}  {more}"


def _share(of: float) -> str:
    return f"{_figure(of):>6}"


def _figure(of: float, form: str = ".3f") -> str:
    """A number, or a dash where it is none."""
    return format(of, form) if isfinite(of) else "–"


def _between(of: Interval | None) -> str:
    return f" [{_figure(of[0])}, {_figure(of[1])}]" if of else ""


def _named(metric: str) -> str:
    return NAMES.get(metric, metric)


def _language(code: str) -> str:
    return LANGUAGES[code].name if code in LANGUAGES else ""


def table(found: Report) -> Iterator[str]:
    """The same as a Markdown table."""
    first, *others = found.metrics
    gaps = found.transfer.gaps if found.transfer else None
    yield from _rows(["language", "examples", _named(first), "95 %", *map(_named, others), *(["gap"] if gaps else [])])
    for code in found.languages:
        gap = [_figure(gaps[code], "+.3f") if code in gaps else ""] if gaps else []
        name = f"{_language(code)} ({code})" if code in LANGUAGES else code
        yield _cells([name, f"{found.counts[code]:,}", *_scores(found, code), *gap])
    total = f"{sum(found.counts.values()):,}"
    yield _cells(["**mean**", total, *_scores(found, None), *([""] if gaps else [])])
    if gaps and (of := found.transfer):
        blank = [""] * len(others)
        yield _cells([f"mean without {of.source}", "", _share(of.others).strip(), _plain(of.interval), *blank, _figure(of.gap, "+.3f")])


def _scores(found: Report, code: str | None) -> list[str]:
    first, *others = found.metrics.values()
    scores = [_share(of.mean if code is None else of.languages[code]).strip() for of in (first, *others)]
    return [scores[0], _plain(first.interval if code is None else first.intervals.get(code)), *scores[1:]]


def _plain(of: Interval | None) -> str:
    return f"{_figure(of[0])} – {_figure(of[1])}" if of else ""


def _rows(head: Sequence[str]) -> Iterator[str]:
    """The head of a table, and the line below it: the first column to the left, numbers to the right."""
    yield _cells(head)
    yield f"|---|{'---:|' * (len(head) - 1)}"


def _cells(of: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in of)} |"


def confusions(found: Sequence[Confusion]) -> Iterator[str]:
    """Which labels are taken for which, for people: the most frequent."""
    yield f"{click.style('confusions', bold=True)}  how often, of all of the label that was wanted; wanted → found"
    for of in found[:SHOWN]:
        yield f"  {of.count:7,} {printing.share(of.share)}  {visible(of.wanted)} → {visible(of.found)}"
    if len(found) > SHOWN:
        yield f"  … {len(found) - SHOWN:,} more with --json"


def worst(found: Sequence[Mistake]) -> Iterator[str]:
    """The worst examples, for people."""
    yield click.style("worst examples", bold=True) + ("" if found else "  none: all answers are right")
    for of in found:
        yield f"  {visible(of.where)}  {of.language}, score {of.score:.3f}, sure {printing.share(of.confidence)}"
        yield f"    {visible(_shortened(of.text.replace(chr(9), BESIDE)))}"
        yield f"    {_corrected(of) if of.words else f'wanted {_listed(of.wanted)}; found {_listed(of.found)}'}"


def _corrected(of: Mistake) -> str:
    """The words whose tags are wrong: what was wanted, and what was found."""
    sides = zip(of.words, of.wanted, of.found, strict=True)
    return visible(_shortened("; ".join(f"{word} {wanted} → {found}" for word, wanted, found in sides if wanted != found)))


def _listed(of: Sequence[str]) -> str:
    return visible(_shortened(" | ".join(of))) if of else "nothing"


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"


def picture(found: Report, by: str, model: str) -> bytes:
    """A bar for each language, grouped `by`; as SVG."""
    first = next(iter(found.metrics.values()))
    own = found.transfer.source if found.transfer else None
    of = [Bar(code, score, first.intervals.get(code), code == own) for code, score in found.languages.items()]
    said = f"{_named(found.metric)} of each language with its 95 % interval, by {by}; mean {_share(found.mean).strip()}, dashed"
    if found.transfer and found.transfer.gaps:
        said += f"; without {own} {_share(found.transfer.others).strip()}"
    return bars.drawn(f"{found.task}: {model}", said, bars.grouped(of, by), found.mean)
