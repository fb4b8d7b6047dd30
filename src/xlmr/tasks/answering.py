"""The answer to a question, found in a context: with a head fine-tuned for it.

Question and context stand in one row, `<s> question </s></s> context </s>`; a context that is too long for that stands in several, whose
windows over it overlap. Of each of its tokens the head says whether the answer begins there and whether it ends there (`heads.extraction`).
Rows are those of transformers' `run_qa`, where the head may come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from math import inf, isnan
from reprlib import repr as shorten
from typing import Any, TypedDict, Unpack, overload

import numpy as np

from xlmr.batching import Pause
from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.heads import classes, extraction
from xlmr.limits import TOP, whole
from xlmr.tasks import answers, extractors, hidden
from xlmr.tasks.answers import Pair
from xlmr.tokenizer import Tokenizer

LONGEST = 384
"""Tokens of a row, at most, where the model does not take less."""
STRIDE = 128
"""Tokens that a window over a context shares with the next."""
ASKED = 64
"""Tokens of a question, at most; and no more than half a row."""
LOOKED_AT = 20
"""Answers among which the probability is shared, at least."""
LEAST = 8
"""Tokens of a row."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or that there is none."""

    answer: str | None
    """The slice `start` to `end` of the context; None where that has no answer."""
    start: int | None
    end: int | None
    score: float
    """Its probability, shared among the best answers and that there is none."""


@dataclass(frozen=True, slots=True)
class Window:
    """A row: the question, and a part of the context."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    """For each id the slice of the context that it stands for; (0, 0) where it stands for none."""
    first: int
    """The ids from `first` to before `last` are of the context."""
    last: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its context, in rows."""

    context: str
    windows: list[Window]

    @property
    def length(self) -> int:
        """Tokens of its longest row."""
        return len(self.windows[0].ids)

    @property
    def held(self) -> int:
        """Bytes of it and of its answer, about."""
        return len(self.context) + sum(128 * len(window.ids) for window in self.windows)


class Options(TypedDict, total=False):
    """What `answer` may be asked for."""

    threshold: float | None
    longest: int | None
    stride: int


@overload
def answer(  # type: ignore[overload-overlap]  # a str is one text
    encoder: Encoder, question: str, context: str, *, top: None = None, **options: Unpack[Options]
) -> Answer: ...
@overload
def answer(  # type: ignore[overload-overlap]  # likewise
    encoder: Encoder, question: str, context: str, *, top: int, **options: Unpack[Options]
) -> list[Answer]: ...
@overload
def answer(
    encoder: Encoder, question: Iterable[str], context: str | Iterable[str], *, top: None = None, **options: Unpack[Options]
) -> list[Answer]: ...
@overload
def answer(
    encoder: Encoder, question: Iterable[str], context: str | Iterable[str], *, top: int, **options: Unpack[Options]
) -> list[list[Answer]]: ...
def answer(
    encoder: Encoder, question: str | Iterable[str], context: str | Iterable[str], *, top: int | None = None, **options: Unpack[Options]
) -> Answer | list[Answer] | list[list[Answer]]:
    """The answer to a question that stands in a context, or that there is none; with `top` a list of the best, the first of them that one.

    Several questions give a list of answers; each has a context of its own, or all have the same one. There is no answer where the score of
    that is higher than the best answer's by more than `threshold`; without it the model's own is taken, and with infinity there always is
    one. `longest` is how many tokens an answer has at most, without it as the model has it; `stride` how many tokens windows share. A
    question has 64 tokens at most, the rest of it is not looked at.

    Raises BadInput where a text is too long or no text, questions and contexts are not as many, or an option is wrong; BadCheckpoint where
    the model has no head for answers.
    """
    find = extractor(encoder, top=1 if top is None else top, **options)
    found: Any = answers.like(question, lambda many: find(_paired(many, context)), stream=False)
    if top is None:
        found = found[0] if isinstance(question, str) else [best for best, *_ in found]
    return found  # type: ignore[no-any-return]  # the overloads say what it is


@overload
def answer_each(
    encoder: Encoder, pairs: Iterable[Pair | BadInput | Pause], *, top: None = None, **options: Unpack[Options]
) -> Iterator[Answer | BadInput]: ...
@overload
def answer_each(
    encoder: Encoder, pairs: Iterable[Pair | BadInput | Pause], *, top: int, **options: Unpack[Options]
) -> Iterator[list[Answer] | BadInput]: ...
def answer_each(
    encoder: Encoder, pairs: Iterable[Pair | BadInput | Pause], *, top: int | None = None, **options: Unpack[Options]
) -> Iterator[Answer | BadInput] | Iterator[list[Answer] | BadInput]:
    """As `answer`, of a stream of questions with their contexts; one that cannot be answered gives its error in its place."""
    found = extractor(encoder, top=1 if top is None else top, **options)(pairs)
    return (of if isinstance(of, BadInput) or top is not None else of[0] for of in found)  # type: ignore[return-value]  # as the overloads


def extractor(
    encoder: Encoder, *, top: int = 1, threshold: float | None = None, longest: int | None = None, stride: int = STRIDE
) -> Callable[[Iterable[Pair | BadInput | Pause]], Iterator[list[Answer] | BadInput]]:
    """What answers streams of questions with their contexts, `top` answers each, best first; its options are checked once."""
    of, top, most = extractors.find(encoder), whole("top", top, TOP), min(LONGEST, encoder.config.longest)
    of = replace(
        of,
        threshold=of.threshold if threshold is None else _threshold(threshold),
        longest=of.longest if longest is None else whole("longest", longest, LONGEST),
    )
    stride = whole("stride", stride, LONGEST)

    def prepare(pair: Pair) -> Question:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise BadInput(f"found {shorten(pair)}, wanted a question and its context")
        return Question(pair[1], windows(encoder.tokenizer, *pair, most, stride))

    def found(batch: list[Question]) -> list[list[Answer]]:
        rows = [window.ids for question in batch for window in question.windows]
        logits = hidden.last(encoder, rows, lambda states: hidden.finite(classes.linear(of.weights, states)))
        seen = ([with_logits(window, next(logits)) for window in question.windows] for question in batch)
        return [ranked(question.context, windows, of.longest, of.threshold, top) for question, windows in zip(batch, seen, strict=True)]

    return lambda pairs: answers.each(pairs, prepare, found)


def windows(tokenizer: Tokenizer, question: str, context: str, longest: int = LONGEST, stride: int = STRIDE) -> list[Window]:
    """The rows of a question and its context, of at most `longest` tokens, as training has them too; each part of the context shares
    `stride` tokens with the next, and no more than half of them.

    Raises BadInput where one is no text or far too long, or `longest` leaves no room.
    """
    if longest < LEAST:
        raise BadInput(f"a question and its context have {longest} tokens together; wanted {LEAST} at least")
    asked = tokenizer.encode(bounded(question), longest=2 + min(ASKED, (longest - 4) // 2)).ids[1:-1]
    encoding = tokenizer.encode(bounded(context))
    ids, places = encoding.ids[1:-1], encoding.offsets[1:-1]
    before = [tokenizer.bos_id, *asked, tokenizer.eos_id, tokenizer.eos_id]
    room = longest - len(before) - 1
    step = room - min(stride, room // 2)
    return [
        Window(
            [*before, *ids[begin : begin + room], tokenizer.eos_id],
            [*[(0, 0)] * len(before), *places[begin : begin + room], (0, 0)],
            len(before),
            len(before) + min(room, len(ids) - begin),
        )
        for begin in range(0, max(1, len(ids) - room + step), step)
    ]


def ranked(context: str, seen: list[extraction.Window], longest: int, threshold: float, top: int = 1) -> list[Answer]:
    """The `top` best answers in a context, or that there is none among them, from what the head says of its windows."""
    spans = extraction.merge(seen, longest, max(top, LOOKED_AT))
    null = extraction.null_score(seen) if threshold < inf or not spans else -inf
    shares = extraction.probabilities(spans, null).tolist()
    none = Answer(None, None, None, shares.pop())
    found = [Answer(context[span.start : span.end], span.start, span.end, share) for span, share in zip(spans, shares, strict=True)]
    if not spans or null - spans[0].score > threshold:
        found.insert(0, none)
    elif null > -inf:
        found.insert(1 + sum(span.score >= null for span in spans[1:]), none)
    return found[:top]


def with_logits(window: Window, logits: np.ndarray) -> extraction.Window:
    """A window and what the head says of it, `[tokens, 2]`."""
    allowed = np.zeros(len(window.ids), bool)
    allowed[window.first : window.last] = True
    return extraction.Window(logits[:, 0], logits[:, 1], allowed, np.array(window.offsets))


def _paired(questions: Iterable[answers.Text], context: str | Iterable[str]) -> Iterator[Pair | BadInput | Pause]:
    contexts = repeat(context) if isinstance(context, str) else iter(context)
    count = 0
    for count, question in enumerate(questions, start=1):
        one = next(contexts, None)
        if one is None:
            raise BadInput(f"found more than {count - 1} questions and {count - 1} contexts; wanted as many, or one context for all")
        yield question if isinstance(question, BadInput | Pause) else (question, one)
    if not isinstance(context, str) and next(contexts, None) is not None:
        raise BadInput(f"found {count} questions and more contexts; wanted as many, or one context for all")


def _threshold(found: float) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or isnan(found):
        raise BadInput(f"threshold is {found!r}, wanted a number")
    return float(found)
