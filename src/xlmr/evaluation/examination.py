"""Fine-tuned models examined with labelled examples: the report, and what was answered, so that mistakes can be looked at.

All examples and their answers are held. What is wrong with the data is told before the model is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar, Unpack

import numpy as np

from xlmr.encoder import Encoder
from xlmr.errors import BadInput, BadLine
from xlmr.evaluation import reports, scoring
from xlmr.evaluation.reports import Report, Scored
from xlmr.examples import Asked, Classified, Example, Tagged, read_asked, read_classified, read_tagged, sources
from xlmr.heads import classes
from xlmr.tasks import answering, classification, extractors, taggers, tagging
from xlmr.tasks.classification import Label

E = TypeVar("E", Classified, Tagged, Asked)
R = TypeVar("R")

SURE = 0.5
"""Of several labels at once those hold whose probability is as high."""

Counted = Callable[[Iterator[R]], Iterator[R]]


@dataclass(frozen=True, slots=True)
class Evaluation(Generic[E]):
    """What was asked, what was answered, and how good that is."""

    report: Report
    examples: list[E]
    found: list[tuple[str, ...]]
    """Of each example: its labels, the tag of each word, the one answer or none; a regression's number as text."""
    confidence: np.ndarray
    """How sure each answer is, float64 `[examples]`: its probability, of several their mean."""


class Options(TypedDict, total=False):
    """How a report is made; see `reports.report`."""

    source: str
    rounds: int
    seed: int


def read(task: str, encoder: Encoder, given: Iterable[str], only: Collection[str] | None = None) -> list[Example]:
    """The examples that a model can be asked of a task's: `classify`, `tag` or `answer`. `given` are files, `FILE` or `LANG=FILE`.

    `only` takes some languages'. Raises BadCheckpoint where the model has no such head, what the readers raise, and BadInput where no
    examples are left.
    """
    one = READERS[task](encoder)
    chosen = None if only is None else {sources.code(name) for name in only}
    found = [example for source in given for example in one(source) if chosen is None or example.language in chosen]
    if not found:
        raise BadInput("the data have no examples" + (f" in {', '.join(sorted(chosen))}" if chosen else ""))
    return found


def classify(
    encoder: Encoder, examples: Sequence[Classified], *, counted: Counted[list[Label]] = iter, **options: Unpack[Options]
) -> Evaluation[Classified]:
    """Labels of texts, by `scoring.labels`, `choices` or `numbers` as the head is for. Answers pass through `counted` as they come.

    Raises BadLine where an example has a label that the model does not know, or cannot be answered; BadCheckpoint where the model has no
    such head.
    """
    of = classification.find(encoder)
    problem = PROBLEMS[of.problem]
    problem.check(examples, of.labels)
    found, sure = [], []
    texts = (example.text if example.pair is None else (example.text, example.pair) for example in examples)
    answers = classification.classify_each(encoder, texts)  # type: ignore[arg-type]  # texts and pairs may be mixed
    for labels in counted(_answered(examples, answers)):
        found.append(problem.chosen(labels))
        sure.append(problem.sure(labels))
    return Evaluation(reports.report(problem.score(examples, found, of.labels), **options), [*examples], found, np.array(sure))


@dataclass(frozen=True, slots=True)
class Problem:
    """What a classification head says of a text, and how it is scored."""

    check: Callable[[Sequence[Classified], Sequence[str]], None]
    """The examples, given the labels of the model."""
    chosen: Callable[[list[Label]], tuple[str, ...]]
    sure: Callable[[list[Label]], float]
    score: Callable[[Sequence[Classified], Sequence[tuple[str, ...]], Sequence[str]], Scored]


PROBLEMS: Mapping[str, Problem] = {
    classes.SINGLE: Problem(
        scoring.check_labels,
        lambda labels: (labels[0].label,),
        lambda labels: labels[0].score,
        lambda examples, found, known: scoring.labels(examples, [label for (label,) in found], known),
    ),
    classes.MULTI: Problem(
        scoring.check_labels,
        lambda labels: tuple(of.label for of in labels if of.score >= SURE),
        lambda labels: float(np.mean([max(of.score, 1 - of.score) for of in labels])),
        scoring.choices,
    ),
    classes.REGRESSION: Problem(
        scoring.check_numbers,
        lambda labels: (repr(labels[0].score),),
        lambda labels: 1.0,  # it says nothing of that
        lambda examples, found, known: scoring.numbers(examples, [float(number) for (number,) in found]),
    ),
}
"""By `heads.classes.PROBLEMS`."""


def tag(
    encoder: Encoder, examples: Sequence[Tagged], *, counted: Counted[tagging.Tagging] = iter, **options: Unpack[Options]
) -> Evaluation[Tagged]:
    """Tags of words, by `scoring.tags`. Raises as `classify`, and BadLine for a tag that breaks IOB2."""
    known = taggers.find(encoder).labels
    scoring.check_tags(examples, known)
    found, sure = [], []
    answers = tagging.word_tagger(encoder)(of.words for of in examples)  # type: ignore[misc]  # words, not texts
    for answer in counted(_answered(examples, answers)):
        found.append(answer.tags)
        sure.append(float(np.mean(answer.scores)))
    return Evaluation(reports.report(scoring.tags(examples, found, known), **options), [*examples], found, np.array(sure))


def answer(
    encoder: Encoder,
    examples: Sequence[Asked],
    *,
    threshold: float | None = None,
    counted: Counted[answering.Answer] = iter,
    **options: Unpack[Options],
) -> Evaluation[Asked]:
    """Answers to questions, by `scoring.replies`; `threshold` is that of `answering.answer`. Raises as `classify`."""
    pairs = ((of.question, of.context) for of in examples)
    answers = [*counted(_answered(examples, answering.answer_each(encoder, pairs, threshold=threshold)))]
    report = reports.report(scoring.replies(examples, [answer.answer for answer in answers]), **options)
    found: list[tuple[str, ...]] = [() if answer.answer is None else (answer.answer,) for answer in answers]
    return Evaluation(report, [*examples], found, np.array([answer.score for answer in answers]))


def _answered(examples: Sequence[Example], answers: Iterable[R | BadInput]) -> Iterator[R]:
    """Raises BadLine, with the place of its example, where there is an error among the answers."""
    for example, found in zip(examples, answers, strict=True):
        if isinstance(found, BadInput):
            raise BadLine(f"{example.where}: {found}")
        yield found


def _classified(encoder: Encoder) -> Reader:
    return partial(read_classified, multi=classification.find(encoder).problem == classes.MULTI)


def _tagged(encoder: Encoder) -> Reader:
    taggers.find(encoder)  # for the error where it has none
    return read_tagged


def _asked(encoder: Encoder) -> Reader:
    extractors.find(encoder)
    return read_asked


Reader = Callable[[str], Iterator[Example]]
READERS: Mapping[str, Callable[[Encoder], Reader]] = {
    scoring.CLASSIFY: _classified,
    scoring.TAG: _tagged,
    scoring.ANSWER: _asked,
}
"""What reads the examples of a task, for a model that has its head."""
EVALUATIONS: Mapping[str, Callable[..., Evaluation[Any]]] = {scoring.CLASSIFY: classify, scoring.TAG: tag, scoring.ANSWER: answer}
