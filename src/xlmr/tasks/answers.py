"""How every task answers: one text or many, in order, and what cannot be answered harms no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from xlmr import batching
from xlmr.batching import Pause
from xlmr.errors import BadInput
from xlmr.limits import FILLED

Text = str | BadInput | Pause
"""What a stream of texts may hold: a text, the reason why there is none in its place, a pause until there is more."""
Pair = tuple[str, str]
"""Two texts that are asked about together."""


class Question(Protocol):
    """A text, prepared."""

    @property
    def length(self) -> int:
        """Tokens of a row that it asks about."""

    @property
    def held(self) -> int:
        """Characters or bytes of its answer, about."""


I = TypeVar("I", str, Pair, Sequence[str], str | Pair)  # noqa: E741  # an item of a stream
Q = TypeVar("Q", bound=Question)
R = TypeVar("R")

Answerer = Callable[[Iterable[Text]], Iterator[R | BadInput]]
"""A task with its options: texts in, an answer or an error for each out, in order."""


def each(texts: Iterable[I | BadInput | Pause], prepare: Callable[[I], Q], answer: Callable[[list[Q]], list[R]]) -> Iterator[R | BadInput]:
    """One answer for each text, in order, read a window at a time; where there is none, the reason in its place.

    `prepare` makes a text a question or raises BadInput, `answer` takes a batch of questions. A BadInput among the texts stays one.
    Windows of texts that are all there begin with their full size; a source of them may be slow.
    """

    def prepared() -> Iterator[_Place[Q] | Pause]:
        for text in texts:
            try:
                yield text if isinstance(text, Pause) else _Place(text if isinstance(text, BadInput) else prepare(text))
            except BadInput as error:
                yield _Place(error, characters(text))

    def answered(batch: list[_Place[Q]]) -> list[R | BadInput]:
        questions = [place.found for place in batch if not isinstance(place.found, BadInput)]
        answers = iter(answer(questions) if questions else [])
        return [place.found if isinstance(place.found, BadInput) else next(answers) for place in batch]

    first = batching.WINDOW if isinstance(texts, Sized) else 1
    return batching.run(prepared(), _Place.length, answered, first=first, weight=_Place.held, heaviest=FILLED)


def characters(text: object) -> int:
    """Of a text, or of several that are asked about together; 0 of what is neither."""
    if isinstance(text, list | tuple):
        return sum(map(characters, text))
    return len(text) if isinstance(text, str) else 0


@dataclass(frozen=True, slots=True)
class _Place(Generic[Q]):
    """A place among the answers."""

    found: Q | BadInput
    refused: int = 0
    """Characters of a text that is no question: whoever asked may hold it until this place has its turn."""

    def length(self) -> int:
        return 0 if isinstance(self.found, BadInput) else self.found.length

    def held(self) -> int:
        return self.refused if isinstance(self.found, BadInput) else self.found.held


def like(texts: str | Iterable[str], answers: Answerer[R], stream: bool) -> R | list[R] | Iterator[R]:
    """One answer for one text, a list for many, an iterator for a stream. Raises the first BadInput, with its text's number."""
    if isinstance(texts, str):
        (answer,) = answers([texts])
        if isinstance(answer, BadInput):
            raise answer
        return iter([answer]) if stream else answer
    if not isinstance(texts, Iterable):
        raise BadInput(f"found a {type(texts).__name__}, wanted a text or several")
    found = _raising(answers(texts))
    return found if stream else list(found)


def _raising(answers: Iterator[R | BadInput]) -> Iterator[R]:
    for number, answer in enumerate(answers, start=1):
        if isinstance(answer, BadInput):
            raise type(answer)(f"text {number}: {answer}")
        yield answer
