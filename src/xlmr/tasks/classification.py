"""Which label a text has, or which labels, or what number: with a head fine-tuned for texts, or for pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict, TypeVar, Unpack, overload

import numpy as np

from xlmr.checkpoint import TaskHead
from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.heads import classes
from xlmr.limits import TOP, whole
from xlmr.tasks import answers, hidden, meanings, tuned
from xlmr.tasks.answers import Pair
from xlmr.tasks.meanings import Meaning
from xlmr.tokenizer import Tokenizer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Label:
    """A label and how sure it is."""

    label: str
    score: float
    """Its probability: of one label among several they sum to 1, of several labels at once each stands for itself. Of a regression the
    number itself."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """All that makes labels of a text."""

    labels: tuple[str, ...]
    logits: Callable[[np.ndarray], np.ndarray]
    """Of the states of `<s>`, `[rows, width]` to `[rows, labels]`."""
    problem: str
    """Of `heads.classes.PROBLEMS`."""
    meaning: Meaning | None
    """What the text's calibrated vector adds, where that was learnt."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text, or a pair of them, in its tokens."""

    ids: list[int]
    answer: int
    """Bytes of its answer, about."""

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.ids)

    @property
    def held(self) -> int:
        """Bytes of it and of its answer, about."""
        return self.answer + 32 * len(self.ids)


class Options(TypedDict, total=False):
    """What `classify` may be asked for."""

    pair: str | None
    top: int | None


@overload
def classify(  # type: ignore[overload-overlap]  # a str is one text
    encoder: Encoder, texts: str, *, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[Label]: ...
@overload
def classify(
    encoder: Encoder, texts: Iterable[str] | Iterable[Pair], *, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[list[Label]]: ...
@overload
def classify(
    encoder: Encoder, texts: str | Iterable[str] | Iterable[Pair], *, stream: Literal[True], **options: Unpack[Options]
) -> Iterator[list[Label]]: ...
def classify(
    encoder: Encoder, texts: str | Iterable[str] | Iterable[Pair], *, stream: bool = False, **options: Unpack[Options]
) -> list[Label] | list[list[Label]] | Iterator[list[Label]]:
    """The labels of a text, best first, `top` of them or all; many texts give a list of such answers, with `stream` an iterator.

    Where each text has one label, scores are probabilities that sum to 1; where it may have several, each label's own. A regression has one
    number, its score. A pair of texts, such as a premise and a hypothesis, is a tuple of two among several; `pair` is the second text of
    every one. A text longer than the model takes is cut, of a pair the longer one first, as it was when the head was trained.

    Raises BadInput where a text is no text, or far too long, or `top` is wrong; BadCheckpoint where the model has no such head.
    """
    return answers.like(texts, classifier(encoder, **options), stream)  # type: ignore[arg-type]  # the overloads say what


def classify_each(
    encoder: Encoder, texts: Iterable[answers.Text] | Iterable[Pair], **options: Unpack[Options]
) -> Iterator[list[Label] | BadInput]:
    """As `classify` with `stream`, but a text that cannot be answered gives its error in its place."""
    return classifier(encoder, **options)(texts)  # type: ignore[arg-type]  # pairs


def classifier(encoder: Encoder, *, pair: str | None = None, top: int | None = None) -> answers.Answerer[list[Label]]:
    """What answers streams of texts and of pairs, its options checked once."""
    of = find(encoder)
    top = whole("top", top, TOP) if top is not None else None
    held = 64 * min(top or TOP, len(of.labels))

    def prepare(text: str | Pair) -> Question:
        first, second = _parted(text, pair)
        return Question(row(encoder.tokenizer, first, second, encoder.config.longest), held)

    def answer(batch: list[Question]) -> list[list[Label]]:
        states = np.stack([*hidden.last(encoder, [question.ids for question in batch], lambda states: states[0].copy())])
        logits = of.logits(states)
        if (meaning := of.meaning) is not None:
            rows = [np.array(question.ids) for question in batch]
            logits *= np.array([[meaning.share(ids, encoder.config)] for ids in rows], np.float32)
            logits += np.stack([meaning.logits(ids, encoder.config) for ids in rows])
        return [ranked(of, scores, top) for scores in classes.probabilities(hidden.finite(logits), of.problem)]

    return lambda texts: answers.each(texts, prepare, answer)


def find(encoder: Encoder) -> Classifier:
    """The classifier of a model. Raises BadCheckpoint where it has none."""

    def make(head: TaskHead, weights: dict[str, np.ndarray]) -> Classifier:
        plain = tuned.plain(weights)
        problem = classes.settled(encoder.config.problem, len(head.labels))
        meaning = meanings.find(encoder, len(head.labels))
        return Classifier(head.labels, lambda states: classes.logits(plain, states), problem, meaning)

    return tuned.find(encoder, tuned.CLASSIFICATION, make)


def ranked(of: Classifier, scores: np.ndarray, top: int | None) -> list[Label]:
    """The labels of one text, best first; of equals, in the order of the labels."""
    order = np.argsort(-scores, kind="stable")[:top]
    return [Label(of.labels[i], float(scores[i])) for i in order]


def row(tokenizer: Tokenizer, text: str, pair: str | None, longest: int) -> list[int]:
    """The ids of a text, `<s> … </s>`, or of a pair, `<s> … </s></s> … </s>`: at most so many, as training has them too.

    A longer text loses its end; of a pair the longer text does, then both, as transformers' `truncation=True` has it.
    Raises BadInput where one is no text or far too long.
    """
    if pair is None:
        return tokenizer.encode(bounded(text), longest=longest).ids
    first, second = (tokenizer.encode(bounded(of)).ids for of in (text, pair))  # whole: which of them is longer matters
    ours, theirs = _shares(len(first) - 2, len(second) - 2, longest - 4)
    return [*first[: 1 + ours], tokenizer.eos_id, tokenizer.eos_id, *second[1 : 1 + theirs], tokenizer.eos_id]


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each of two texts have room; the longer one is cut to what the shorter leaves, but not to less than half."""
    if first + second <= room:
        return first, second
    half = room // 2, room - room // 2
    if first <= second:
        return (first, room - first) if first <= room - first else half
    return (room - second, second) if second <= room - second else half[::-1]


def _parted(text: str | Pair, pair: str | None) -> tuple[str, str | None]:
    if isinstance(text, str) or not isinstance(text, list | tuple):
        return text, pair  # what is no text is seen where it is encoded
    if len(text) != 2:
        raise BadInput(f"found {len(text)} texts that belong together, wanted one or a pair")
    if pair is not None:
        raise BadInput("the text is a pair already, and another was given with `pair`; wanted one of them")
    return text[0], text[1]
