"""The answer to a question, found in a context: with a head fine-tuned for it.

Question and context stand in one row, `<s> question </s></s> context </s>`; a context that is too long for that stands in several, whose
windows over it overlap. Of each of its tokens the head says whether the answer begins there and whether it ends there (`heads.extraction`).
Rows are those of transformers' `run_qa`, where the head may come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, repeat
from math import inf, isnan
from typing import Literal, TypedDict, Unpack, overload

import numpy as np

from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.heads import classes, extraction
from xlmr.limits import TOP, whole
from xlmr.tasks import answers, extractors, hidden
from xlmr.tasks.answers import Pair
from xlmr.tasks.extractors import Extractor
from xlmr.tokenizer import Tokenizer

LONGEST = 384
"""Tokens of a row, at most, where the model does not take less."""
STRIDE = 128
"""Tokens that a window over a context shares with the next."""
ASKED = 64
"""Tokens of a question, at most; and no more than half a row."""
LOOKED_AT = 20
"""Answers among which the probability is shared, at least."""
EITHER = -inf
"""A threshold no answer passes …"""


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
def answer(
    encoder: Encoder, question: str, context: str, *, top: None = None, stream: Literal[False] = False, **options: Unpack[Options]
) -> Answer: ...
@overload
def answer(
    encoder: Encoder, question: str, context: str, *, top: int, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[Answer]: ...
@overload
def answer(
    encoder: Encoder,
    question: str | Iterable[str],
    context: str | Iterable[str],
    *,
    top: None = None,
    stream: Literal[False] = False,
    **options: Unpack[Options],
) -> list[Answer]: ...
