"""How every task answers: one text or many, in order, and what cannot be answered harms no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from xlmr import batching
from xlmr.errors import BadInput

Q = TypeVar("Q")
R = TypeVar("R")


def each(
    texts: Iterable[str | BadInput], prepare: Callable[[str], Q], length: Callable[[Q], int], answer: Callable[[list[Q]], list[R]]
) -> Iterator[R | BadInput]:
    """One answer for each text, in order, read a window at a time; where there is none, the reason in its place.

    `prepare` makes a text a question or raises BadInput, `answer` takes a batch of questions. A BadInput among the texts stays one.
    """

    def prepared() -> Iterator[Q | BadInput]:
        for text in texts:
            try:
                yield text if isinstance(text, BadInput) else prepare(text)
            except BadInput as error:
                yield error

    def answered(batch: list[Q | BadInput]) -> list[R | BadInput]:
        questions = [question for question in batch if not isinstance(question, BadInput)]
        answers = iter(answer(questions) if questions else [])
        return [question if isinstance(question, BadInput) else next(answers) for question in batch]

    return batching.run(prepared(), lambda question: 0 if isinstance(question, BadInput) else length(question), answered)


def like(texts: str | Iterable[str], answers: Callable[[Iterable[str]], Iterator[R | BadInput]], stream: bool) -> R | list[R] | Iterator[R]:
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
