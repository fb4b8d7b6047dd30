"""What an evaluation says: a score for each language with its interval, their mean, and how much is lost from the training language.

Scores are made from statistics: functions of the numbers of the examples that are drawn. All of them, each once, give the score; drawn
again and again, with replacement, they give its interval (`xlmr.metrics.intervals`). Every language draws the same numbers: where files
are translations of each other, line by line, the interval of the mean so takes in that they share their sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.metrics import intervals

SOURCE = "en"
"""The language of the training data, unless told otherwise."""

Statistic = Callable[[np.ndarray], float]
"""A score of examples, from their numbers, int64 `[drawn]`."""
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A task's score for each language, and their mean."""

    task: str
    metric: str
    languages: dict[str, float]

    @property
    def mean(self) -> float:
        """Of the languages."""
        return float(np.mean(list(self.languages.values())))


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric; intervals hold 95 %."""

    languages: dict[str, float]
    mean: float
    intervals: dict[str, Interval]
    """By language; none where no drawings were asked for."""
    interval: Interval | None
    """Of the mean."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is left of the training language's score in the others."""

    source: str
    others: float
    """The mean of all other languages; not a number where there are none."""
    interval: Interval | None
    gap: float
    """`others` less the score of `source`."""
    gaps: dict[str, float]
    """The same of each other language."""


@dataclass(frozen=True, slots=True)
class Report(Evaluated):
    """The score for each language, and what else was measured."""

    metrics: dict[str, Measured]
    """By name; the first is `metric`."""
    counts: dict[str, int]
    """Examples of each language."""
    transfer: Transfer | None
    """None where there are no examples in the training language."""
    each: np.ndarray
    """How good the answer to each example is, from 0 to 1: float64 `[examples]`, in their order."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Examples with answers, ready to be counted: what `report` makes a report of."""

    task: str
    languages: Sequence[str]
    """Of each example."""
    statistics: Mapping[str, Statistic]
    """By metric, the first being the one that counts."""
    each: np.ndarray
    """As in `Report`."""


def report(scored: Scored, *, source: str = SOURCE, rounds: int = intervals.ROUNDS, seed: int = 0) -> Report:
    """The report. With `rounds` 0 there are no intervals, which is enough while a model learns. Wants one example at least."""
    rows = _by_language(scored.languages)
    drawn = {name: _drawn(of, rows, rounds, seed) for name, of in scored.statistics.items()}
    metrics = {name: _measured(of, rows, drawn[name]) for name, of in scored.statistics.items()}
    metric, first = next(iter(metrics.items()))
    counts = {language: len(of) for language, of in rows.items()}
    transfer = _transfer(first, source, drawn[metric]) if source in rows else None
    return Report(scored.task, metric, first.languages, metrics, counts, transfer, scored.each)


def _by_language(languages: Sequence[str]) -> dict[str, np.ndarray]:
    """The numbers of each language's examples, by its code."""
    codes, place = np.unique(np.array(languages, dtype=object), return_inverse=True)
    return {str(code): np.flatnonzero(place == i) for i, code in enumerate(codes)}


def _drawn(statistic: Statistic, rows: Mapping[str, np.ndarray], rounds: int, seed: int) -> dict[str, np.ndarray]:
    """Scores of drawings by language, `[rounds]` each; nothing without rounds."""
    if not rounds:
        return {}
    return {
        code: intervals.resample(len(of), lambda drawn, of=of: statistic(of[drawn]), rounds=rounds, seed=seed)  # type: ignore[misc]
        for code, of in rows.items()
    }


def _measured(statistic: Statistic, rows: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray]) -> Measured:
    scores = {code: statistic(of) for code, of in rows.items()}
    bounds = {code: intervals.interval(samples) for code, samples in drawn.items()}
    return Measured(scores, float(np.mean([*scores.values()])), bounds, _of_mean(drawn))


def _transfer(measured: Measured, source: str, drawn: Mapping[str, np.ndarray]) -> Transfer:
    others = {code: score for code, score in measured.languages.items() if code != source}
    mean = float(np.mean([*others.values()])) if others else float("nan")
    own = measured.languages[source]
    gaps = {code: score - own for code, score in others.items()}
    return Transfer(source, mean, _of_mean({code: drawn[code] for code in others if code in drawn}), mean - own, gaps)


def _of_mean(drawn: Mapping[str, np.ndarray]) -> Interval | None:
    """The interval of the mean of languages, averaged round by round."""
    return intervals.interval(np.mean([*drawn.values()], axis=0)) if drawn else None
