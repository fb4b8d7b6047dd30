from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from xlmr.errors import BadInput
from xlmr.limits import FILLED
from xlmr.tasks.answers import characters, each, like


@dataclass
class Question:
    text: str
    length: int = 1
    held: int = 1


def prepare(text: str) -> Question:
    if len(text) > 10:
        raise BadInput("too long")
    return Question(text)


def answer(batch: list[Question]) -> list[str]:
    return [question.text.upper() for question in batch]


def test_texts_that_are_refused_are_not_read_ahead_beyond_what_may_be_held():
    """Whoever reads them from a file holds each until its error has been told in its place."""
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "x" * (FILLED // 10)

    answers = each(texts(), prepare, answer)
    for told in range(1, 60):
        assert isinstance(next(answers), BadInput)
        assert read <= told + 10


def test_what_a_source_raises_comes_after_the_answers_to_what_it_gave():
    def texts() -> Iterator[str]:
        yield from ("a", "b", "c")
        raise OSError("gone")

    answers = like(texts(), lambda many: each(many, prepare, answer), True)
    assert [next(answers), next(answers), next(answers)] == ["A", "B", "C"]
    with pytest.raises(OSError, match="gone"):
        next(answers)


def test_the_characters_of_texts_that_belong_together_are_counted_together():
    assert [characters(of) for of in ("abc", ("ab", "c"), ["a", "b", ""], ("a", None), 3, None)] == [3, 3, 2, 1, 0, 0]


def test_pairs_that_are_refused_are_not_read_ahead_beyond_what_may_be_held():
    read = 0

    def pairs() -> Iterator[tuple[str, str]]:
        nonlocal read
        while True:
            read += 1
            yield "x", "x" * (FILLED // 10)

    def refuse(pair: tuple[str, str]) -> Question:
        raise BadInput("too long")

    answers = each(pairs(), refuse, answer)
    for told in range(1, 60):
        assert isinstance(next(answers), BadInput)
        assert read <= told + 10
