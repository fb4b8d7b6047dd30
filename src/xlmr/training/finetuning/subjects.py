"""From files of examples to what a run learns: read, held against each other, the labels found."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import inf
from typing import Any

from xlmr.checkpoint import Checkpoint
from xlmr.errors import BadInput
from xlmr.examples import Asked, Classified, Example, Tagged, read_asked, read_classified, read_tagged
from xlmr.examples import labels as labels_of
from xlmr.heads import iob
from xlmr.heads.classes import MULTI, REGRESSION
from xlmr.tasks import answering, calibrations, extractors
from xlmr.tokenizer import Tokenizer
from xlmr.training.finetuning import classes
from xlmr.training.finetuning.answers import Answering
from xlmr.training.finetuning.classes import Classification
from xlmr.training.finetuning.lessons import Lengths, Lesson
from xlmr.training.finetuning.settings import ANSWER, CLASSIFY, TAG, Settings
from xlmr.training.finetuning.tags import Tagging

MOST_CHAINED = 500
"""Tags of a CRF: a step of 32 sentences takes some hundred megabytes then."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is learnt, and from what."""

    lesson: Lesson
    train: Sequence[Any]
    dev: Sequence[Any]
    said: Mapping[str, Any]
    """Where the examples come from, and how many there are of each language and label."""
    digest: str
    """What tells these examples from others."""


@dataclass(frozen=True, slots=True)
class Material:
    """What every lesson is made with."""

    model: Checkpoint
    tokenizer: Tokenizer
    lengths: Lengths


def prepare(model: Checkpoint, tokenizer: Tokenizer, train: Sequence[str], dev: Sequence[str], settings: Settings) -> Subject:
    """Read the examples of some sources, `FILE` or `LANG=FILE` each, and find out what there is to learn.

    Raises BadInput where there is nothing to learn or to learn from, BadLine, with file and line, where an example is not as it must be,
    BadCheckpoint where the model's calibration is broken.
    """
    read, teach = TASKS[settings.task]
    if not train:
        raise BadInput("no examples to learn from; name at least one file")
    learnt, asked = ([example for source in sources for example in read(source, settings)] for sources in (train, dev))
    longest = model.config.longest
    served = min(longest, answering.LONGEST) if settings.task == ANSWER else longest
    lengths = Lengths(min(longest, settings.longest or served), served)
    lesson = teach(Material(model, tokenizer, lengths), learnt, asked, settings)
    digest = hashlib.sha256()
    for example in (*learnt, None, *asked):
        digest.update(repr(example and astuple(example)[:-1]).encode())
    said = {"train": list(train), "dev": list(dev), "examples": len(learnt), "languages": _counted(learnt), "labels": lesson.labels}
    return Subject(lesson, learnt, asked, said, digest.hexdigest())


def _counted(examples: Sequence[Example]) -> dict[str, int]:
    return dict(Counter(example.language for example in examples))


# -- classification --


def _classified(source: str, settings: Settings) -> Any:
    return read_classified(source, multi=settings.problem == MULTI)


def _classification(of: Material, train: Sequence[Classified], dev: Sequence[Classified], settings: Settings) -> Classification:
    labels = classes.found_in(train, settings.problem)
    for example in (*train, *dev):
        if settings.problem == REGRESSION:
            labels_of.number(example)
        else:
            labels_of.check(example, labels)
    weights = classes.balanced(train, labels) if settings.balanced else None
    alone = settings.problem != REGRESSION and not any(example.pair is not None for example in train)
    calibration = calibrations.of_pieces(of.model) if settings.vectors and alone else None
    vectors = None if calibration is None else classes.vectors_of(calibration, of.tokenizer, of.model.config, of.lengths.learnt, train)
    return Classification(of.tokenizer, of.model.config, of.lengths, settings.problem, labels, weights=weights, vectors=vectors)


# -- tagging --


def _tagging(of: Material, train: Sequence[Tagged], dev: Sequence[Tagged], settings: Settings) -> Tagging:
    labels = tags_of(train)
    for example in (*train, *dev):
        labels_of.check(example, labels)
        if iob.is_iob(labels):
            labels_of.check_iob(example)
    if settings.chain and len(labels) > MOST_CHAINED:
        raise BadInput(f"found {len(labels):,} tags; a CRF's work grows with their square, and it takes {MOST_CHAINED}: leave out --crf")
    return Tagging(of.tokenizer, of.lengths, labels, words=settings.words, chain=settings.chain)


def tags_of(examples: Sequence[Tagged]) -> tuple[str, ...]:
    """The tags there are; of spans also those that IOB2 has beside them. Raises BadInput where there is only one."""
    found = {tag for of in examples for tag in of.tags}
    if len(found) < 2:
        raise BadInput(f"{examples[0].where} and all after it: every tag is {found.pop()!r}; wanted two or more")
    if iob.is_iob(found):
        kinds = {tag.partition("-")[1:] for tag in found if tag != "O"}
        found |= {kind + "".join(label) for label in kinds for kind in "BI"}
    return labels_of.inferred(found)


# -- answers --


def _answering(of: Material, train: Sequence[Asked], dev: Sequence[Asked], settings: Settings) -> Answering:
    if not any(example.answers for example in train):
        raise BadInput(f"{train[0].where} and all after it: no question has an answer; wanted some that have")
    threshold = extractors.THRESHOLD if any(not example.answers for example in train) else inf
    return Answering(of.tokenizer, of.lengths, stride=settings.stride, span=settings.span, threshold=threshold)


Read = Callable[[str, Settings], Any]
Teach = Callable[[Material, Sequence[Any], Sequence[Any], Settings], Lesson]
TASKS: Mapping[str, tuple[Read, Teach]] = {
    CLASSIFY: (_classified, _classification),
    TAG: (lambda source, settings: read_tagged(source), _tagging),
    ANSWER: (lambda source, settings: read_asked(source), _answering),
}
