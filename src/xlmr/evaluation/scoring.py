"""Examples and the answers to them, as what a report is made of. Nothing here asks a model: the answers may be of any.

    found = reports.report(scoring.tags(examples, tagged, labels))
    found.mean, found.metrics["accuracy"].languages["de"]

Each function wants one answer for each example, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

import numpy as np

from xlmr.errors import BadInput
from xlmr.evaluation.reports import Scored, Statistic
from xlmr.examples import UNDETERMINED, Asked, Classified, Tagged
from xlmr.examples import labels as labels_of
from xlmr.heads import iob
from xlmr.metrics import answers, correlations, counts

CLASSIFY, TAG, ANSWER = "classify", "tag", "answer"


def labels(examples: Sequence[Classified], found: Sequence[str], known: Sequence[str]) -> Scored:
    """One label of each text: accuracy; macro F1 over the labels that are found or wanted in a language.

    Raises BadLine for a label of an example that is not among `known`, those of the model.
    """
    check_labels(examples, known)
    wanted, ours = counts.numbered(known, (of.labels[0] for of in examples)), counts.numbered(known, found)
    right = (ours == wanted).astype(np.float64)

    def macro(rows: np.ndarray) -> float:
        return counts.macro_f1(_of_labels(ours[rows], wanted[rows], len(known)))

    return Scored(CLASSIFY, _languages(examples), {"accuracy": _mean_of(right), "macro_f1": macro}, right)


def choices(examples: Sequence[Classified], found: Sequence[Collection[str]], known: Sequence[str]) -> Scored:
    """Any number of labels of each text: micro F1; macro F1 over all labels of the model; how often all labels of a text are right.

    As scikit-learn counts indicator matrices, 0 for what would be divided by nothing. Raises as `labels`.
    """
    check_labels(examples, known)
    ours, wanted = _indicators(found, known), _indicators([of.labels for of in examples], known)
    tallies = np.stack([ours & wanted, ours, wanted], 2).sum(1)  # [examples, 3]
    statistics: dict[str, Statistic] = {
        "micro_f1": lambda rows: counts.micro_f1(tallies[rows]),
        "macro_f1": lambda rows: float(counts.f1(counts.of_choices(ours[rows], wanted[rows])).mean()),
        "accuracy": _mean_of((ours == wanted).all(1).astype(np.float64)),
    }
    return Scored(CLASSIFY, _languages(examples), statistics, _each_f1(tallies))


def numbers(examples: Sequence[Classified], found: Sequence[float]) -> Scored:
    """A number for each text: the correlation of Pearson, that of Spearman, the mean squared error.

    How good an answer is, from 0 to 1, is how near it is: 1 / (1 + its squared error). Raises BadLine for a label that is no number.
    """
    wanted, ours = np.array([labels_of.number(of) for of in examples]), np.asarray(found, np.float64)
    statistics: dict[str, Statistic] = {
        "pearson": lambda rows: correlations.pearson(ours[rows], wanted[rows]),
        "spearman": lambda rows: correlations.spearman(ours[rows], wanted[rows]),
        "squared_error": lambda rows: correlations.squared_error(ours[rows], wanted[rows]),
    }
    return Scored(CLASSIFY, _languages(examples), statistics, 1 / (1 + np.square(ours - wanted)))


def tags(examples: Sequence[Tagged], found: Sequence[Sequence[str]], known: Sequence[str]) -> Scored:
    """A tag for each word. Where `known` mark spans: F1, precision and recall of the spans, as seqeval counts them, and accuracy of words.
    Else accuracy, and macro F1 over the tags that are found or wanted in a language.

    Raises BadLine for a tag of an example that is not among `known`, and where they mark spans, for one that breaks IOB2.
    """
    check_tags(examples, known)
    counted = _spans if iob.is_iob(known) else _words
    return Scored(TAG, _languages(examples), *counted(examples, found, known))


def replies(examples: Sequence[Asked], found: Sequence[str | None]) -> Scored:
    """The answer to each question, None for "no answer": F1 and exact match by the rules of its language, as MLQA has them; and by SQuAD's
    for English, which published scores on XQuAD go by in every language.
    """
    values: dict[str, np.ndarray] = {}
    for name, measure, of_language in REPLIES:
        sides = zip(found, examples, strict=True)
        shares = (answers.against(measure, reply, _right(of), _rules(of) if of_language else None) for reply, of in sides)
        values[name] = np.fromiter(shares, np.float64)
    return Scored(ANSWER, _languages(examples), {name: _mean_of(of) for name, of in values.items()}, values["f1"])


REPLIES: tuple[tuple[str, Callable[[str, str, str | None], float], bool], ...] = (
    ("f1", answers.f1, True),
    ("exact_match", answers.exact, True),
    ("squad_f1", answers.f1, False),
    ("squad_exact_match", answers.exact, False),
)
"""Metrics of answers, and whether they go by the rules of the language."""


def _right(example: Asked) -> list[str]:
    return [text for text, _ in example.answers]


def check_labels(examples: Iterable[Classified], known: Sequence[str]) -> None:
    """Raises as `labels`."""
    for example in examples:
        labels_of.check(example, known)


def check_numbers(examples: Iterable[Classified], known: Sequence[str]) -> None:
    """Raises as `numbers`; and BadInput where the head has several numbers, with one name each."""
    if len(known) != 1:
        raise BadInput(f"the model's head gives {len(known)} numbers for a text, {', '.join(known)}; wanted one")
    for example in examples:
        labels_of.number(example)


def check_tags(examples: Iterable[Tagged], known: Sequence[str]) -> None:
    """Raises as `tags`."""
    spans = iob.is_iob(known)
    for example in examples:
        labels_of.check(example, known)
        if spans:
            labels_of.check_iob(example)


def _rules(example: Asked) -> str | None:
    """Whose rules an answer goes by; English ones where nobody says its language."""
    return None if example.language == UNDETERMINED else example.language


def _spans(examples: Sequence[Tagged], found: Sequence[Sequence[str]], known: Sequence[str]) -> tuple[dict[str, Statistic], np.ndarray]:
    """Statistics of spans, and the F1 of each sentence: 1 where it has none and none is found."""
    sides = zip(found, examples, strict=True)
    tallies = np.array([counts.of_items(iob.entities(ours), iob.entities(of.tags)) for ours, of in sides])
    statistics: dict[str, Statistic] = {
        "f1": lambda rows: counts.micro_f1(tallies[rows]),
        "precision": lambda rows: float(counts.precision(tallies[rows].sum(0))),
        "recall": lambda rows: float(counts.recall(tallies[rows].sum(0))),
    }
    words, _ = _words(examples, found, known)
    return {**statistics, "accuracy": words["accuracy"]}, _each_f1(tallies)


def _words(examples: Sequence[Tagged], found: Sequence[Sequence[str]], known: Sequence[str]) -> tuple[dict[str, Statistic], np.ndarray]:
    """Statistics of words, whose sentences are drawn, and the share of right ones in each sentence."""
    lengths = np.array([len(of.words) for of in examples])
    starts = np.cumsum(lengths) - lengths
    ours, wanted = (counts.numbered(known, chain.from_iterable(side)) for side in (found, (of.tags for of in examples)))
    right = np.add.reduceat(ours == wanted, starts, dtype=np.int64)

    def macro(rows: np.ndarray) -> float:
        ends = np.cumsum(lengths[rows])
        words = np.repeat(starts[rows] - ends + lengths[rows], lengths[rows]) + np.arange(ends[-1])
        return counts.macro_f1(_of_labels(ours[words], wanted[words], len(known)))

    return {"accuracy": lambda rows: float(right[rows].sum() / lengths[rows].sum()), "macro_f1": macro}, right / lengths


def _of_labels(found: np.ndarray, wanted: np.ndarray, size: int) -> np.ndarray:
    """Counts `[labels, 3]` of one label to each item."""
    sides = (wanted[found == wanted], found, wanted)
    return np.stack([np.bincount(side, minlength=size) for side in sides], 1)


def _indicators(labels: Sequence[Collection[str]], known: Sequence[str]) -> np.ndarray:
    """Which labels each text has, bool `[texts, labels]`."""
    table = np.zeros((len(labels), len(known)), bool)
    for row, of in zip(table, labels, strict=True):
        row[counts.numbered(known, of)] = True
    return table


def _each_f1(tallies: np.ndarray) -> np.ndarray:
    """The F1 of each example, from counts `[examples, 3]`; 1 where nothing is wanted and nothing found."""
    return np.where(tallies.any(1), counts.f1(tallies), 1.0)


def _mean_of(values: np.ndarray) -> Statistic:
    return lambda rows: float(values[rows].mean())


def _languages(examples: Sequence[Classified | Tagged | Asked]) -> list[str]:
    return [example.language for example in examples]
