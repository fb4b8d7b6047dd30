"""Score texts: how likely a model finds them, by their pseudo-log-likelihood.

Each token is masked in turn, and the logarithm of the probability that the model gives it there is added up (Salazar et al. 2020, "Masked
language model scoring", section 2.2). Where a word has several tokens, those that are left give the masked one away, and rare words score
too high; so the tokens of the word to its right are masked with it ("PLL-word-l2r", Kauf and Ivanova 2023, "A better way to do masked
language model scoring"). Here a word is a run of letters, digits and marks: signs stand alone, and so does each token of a script without
spaces.

In a text longer than the model takes, each token is scored in a window of its own, itself in the middle. That costs no more than windows
which several tokens share, because every token needs a run of the model in any case, and each has half a window on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import fsum, inf
from typing import Literal, TypedDict, Unpack, overload

import numpy as np

from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.limits import SCORED
from xlmr.tasks import answers, queries
from xlmr.tasks.contexts import around
from xlmr.tasks.queries import Query
from xlmr.tasks.spelling import goes_on
from xlmr.tokenizer import Encoding
from xlmr.tokenizer.vocabulary import MASK

MASKINGS = ("word-l2r", "token")
"""Kauf and Ivanova's, the default, and Salazar's."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a text and what it scores."""

    text: str
    """The slice `start` to `end` of the text; empty for a space that is a token of its own."""
    start: int
    end: int
    id: int
    score: float
    """The natural logarithm of its probability."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a text scores."""

    score: float
    """The sum of its tokens' scores, in nats: the nearer to 0 the likelier."""
    tokens: tuple[Token, ...]
    """All but `<s>` and `</s>`, in their order."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text in its tokens."""

    text: str
    encoding: Encoding
    length: int
    """Tokens of a row."""

    @property
    def held(self) -> int:
        """Characters of its answer, about: some dozens for each token."""
        return 64 * len(self.encoding.ids)


class Options(TypedDict, total=False):
    """What `score` may be asked for."""

    masking: str


@overload
def score(encoder: Encoder, texts: str, *, stream: Literal[False] = False, **options: Unpack[Options]) -> Score: ...  # type: ignore[overload-overlap]  # a str is one text
@overload
def score(encoder: Encoder, texts: Iterable[str], *, stream: Literal[False] = False, **options: Unpack[Options]) -> list[Score]: ...
@overload
def score(encoder: Encoder, texts: str | Iterable[str], *, stream: Literal[True], **options: Unpack[Options]) -> Iterator[Score]: ...
def score(
    encoder: Encoder, texts: str | Iterable[str], *, stream: bool = False, **options: Unpack[Options]
) -> Score | list[Score] | Iterator[Score]:
    """How likely a text is: its pseudo-log-likelihood, in nats, and that of each token.

    One text gives one score; many give a list of them in the same order, with `stream` an iterator that reads a window of texts at a time.
    `masking` is `word-l2r`, in which the rest of a word is masked with each of its tokens, or `token`, in which a token is masked alone.

    Raises BadInput where a text is blank, has a mask or too many tokens, or is no text, and for a `masking` there is not.
    """
    return answers.like(texts, lambda many: score_each(encoder, many, **options), stream)


def score_each(encoder: Encoder, texts: Iterable[answers.Text], **options: Unpack[Options]) -> Iterator[Score | BadInput]:
    """As `score` with `stream`, but a text that cannot be answered gives its error in its place."""
    return scorer(encoder, **options)(texts)


def scorer(encoder: Encoder, *, masking: str = "word-l2r") -> answers.Answerer[Score]:
    """What answers streams of texts, its options checked once."""
    if masking not in MASKINGS:
        raise BadInput(f"masking {masking!r} is not known; wanted one of {', '.join(MASKINGS)}")

    def answer(batch: list[Question]) -> list[Score]:
        found = queries.ask(encoder, (query for asked in batch for query in masked(encoder, asked, masking)))
        return [_score(asked, list(islice(found, len(asked.encoding.ids) - 2))) for asked in batch]

    return lambda texts: answers.each(texts, lambda text: ask(encoder, text), answer)


def ask(encoder: Encoder, text: str) -> Question:
    """A text in its tokens. Raises BadInput where it cannot be scored."""
    if MASK in bounded(text):
        raise BadInput(f"the text has a {MASK}, which stands for any word; fill it, then score the text")
    encoding = encoder.tokenizer.encode(text)
    tokens = len(encoding.ids) - 2
    if not tokens:
        raise BadInput("the text is empty; wanted at least one word")
    if tokens > SCORED:
        raise BadInput(f"the text has {tokens:,} tokens, and at most {SCORED:,} are scored; split it")
    return Question(text, encoding, min(tokens + 2, encoder.config.longest))


def masked(encoder: Encoder, asked: Question, masking: str) -> Iterator[Query[float]]:
    """A query for each token: the text around it, with itself masked, and with `word-l2r` the rest of its word too."""
    ids, mask = asked.encoding.ids, encoder.tokenizer.mask_id
    tokens, room = ids[1:-1], encoder.config.longest - 2
    ends = word_ends(asked.text, asked.encoding.offsets[1:-1]) if masking == "word-l2r" else range(1, len(tokens) + 1)
    for place, (token, end) in enumerate(zip(tokens, ends, strict=True)):
        begin, stop = around(place, place, len(tokens), room)
        hidden = min(end, stop) - place
        row = [ids[0], *tokens[begin:place], *[mask] * hidden, *tokens[place + hidden : stop], ids[-1]]
        yield Query(row, place - begin + 1, partial(_of, token))


def word_ends(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """For each token, by its slice of the text, the number of the first one after it that is of another word."""
    ends = list(range(1, len(offsets) + 1))
    for i in reversed(range(len(offsets) - 1)):
        (start, end), (following, _) = offsets[i], offsets[i + 1]
        before = text[end - 1 : end] if start < end else text[end : end + 1]  # a space of its own goes with the word it stands before
        if following <= end and goes_on(before, text[following : following + 1]):
            ends[i] = ends[i + 1]
    return ends


def _of(token: int, log_probabilities: np.ndarray) -> float:
    found = float(log_probabilities[token])
    if found == -inf:
        raise BadCheckpoint("the model gives a token of its own vocabulary no probability at all; its weights are broken")
    return found


def _score(asked: Question, found: list[float]) -> Score:
    places = asked.encoding.offsets[1:-1]
    tokens = tuple(
        Token(asked.text[start:end], start, end, i, score)
        for (start, end), i, score in zip(places, asked.encoding.ids[1:-1], found, strict=True)
    )
    return Score(fsum(found), tokens)
