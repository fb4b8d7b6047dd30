import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import Said

from xlmr import encoder as encoders
from xlmr.batching import WINDOW
from xlmr.encoder import Encoder
from xlmr.tasks.queries import Query, ask, best, lead


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    """A model whose likeliest piece at a place is the length of the row, and the next likeliest the place."""

    def says(row: list[int], place: int) -> np.ndarray:
        logits = np.zeros(500)
        logits[[place, len(row)]] = 5, 9
        return logits

    found = encoders.load(tiny, threads=1)
    return Encoder(found.config, found.tokenizer, Said(says))


def query(length: int, place: int = 0) -> Query:
    return Query([5] * length, place, lambda logs: int(logs.argmax()))


@given(st.lists(st.integers(2, 60), max_size=40))
def test_what_is_asked_is_answered_in_order(encoder, lengths):
    assert list(ask(encoder, map(query, lengths))) == lengths


def searching(steps: list[list[int]]):
    """A search that asks rows of these lengths, step by step, and comes to all it was told."""
    told = []
    for lengths in steps:
        told.append(list((yield [query(length) for length in lengths])))
    return told


@given(st.lists(st.lists(st.lists(st.integers(2, 30), max_size=4), max_size=4), max_size=6))
def test_searches_side_by_side_come_to_what_each_comes_to_alone(encoder, searches):
    assert lead(encoder, [searching(steps) for steps in searches]) == searches


def test_answers_are_taken_while_later_ones_are_not_there_yet(encoder):
    """Those of a wide search, each with the best of a vocabulary, are a gigabyte together."""
    taken = []

    def wide():
        found = yield [Query([5, 6], 0, taken.append)] * (4 * WINDOW)
        next(found)
        assert len(taken) <= WINDOW
        return len(list(found))

    assert lead(encoder, [wide()]) == [4 * WINDOW - 1]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.data())
def test_the_best_among_some_are_those_of_sorting_them(scores, data):
    among = sorted(data.draw(st.sets(st.integers(0, len(scores) - 1))))
    top = data.draw(st.integers(1, 70))
    ids, logs = best(np.array(scores, np.float64), np.array(among, np.int64), top)
    assert ids.tolist() == sorted(among, key=lambda i: (-scores[i], i))[:top]
    assert logs.tolist() == [scores[i] for i in ids]
