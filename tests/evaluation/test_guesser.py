from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.evaluation import guesser
from xlmr.evaluation.guesser import CONTEXTS, FLOOR, UNIGRAMS, WEIGHT
from xlmr.training.corpus import Corpus

SIZE = 4
LINES = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=6), max_size=8)


def text_of(lines):
    tokens = np.array([piece for line in lines for piece in line], np.uint16)
    starts = np.cumsum([0, *map(len, lines)])
    return guesser.of_lines(tokens, starts[:-1], starts[1:], SIZE)


def naive(lines, line, place, contexts):
    """The same chances with dictionaries, a place at a time."""

    def around(line, place, context):
        return tuple(line[place + offset] if 0 <= place + offset < len(line) else "edge" for offset in context)

    counts = Counter(piece for known in lines for piece in known)
    total = counts.total() + FLOOR * SIZE
    chances = [(counts[piece] + FLOOR) / total for piece in range(SIZE)]
    for context in contexts:
        wanted = around(line, place, context)
        seen = Counter(known[i] for known in lines for i in range(len(known)) if around(known, i, context) == wanted)
        new = WEIGHT * len(seen)
        if seen:
            chances = [(seen[piece] + new * chances[piece]) / (seen.total() + new) for piece in range(SIZE)]
    return chances


@given(LINES, st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=6), st.sampled_from([CONTEXTS, CONTEXTS[:3], UNIGRAMS]))
def test_chances_equal_those_of_dictionaries(lines, line, contexts):
    found = guesser.chances(text_of(lines), text_of([line]), SIZE, contexts)
    np.testing.assert_allclose(found, [naive(lines, line, place, contexts) for place in range(len(line))], rtol=1e-9)
    np.testing.assert_allclose(found.sum(1), 1)


def test_a_neighbourhood_seen_often_decides():
    lines = [[0, 1, 2]] * 50 + [[0, 3, 0]] * 60
    (edge, middle, _) = guesser.chances(text_of(lines), text_of([[0, 1, 2]]), SIZE)
    assert middle.argmax() == 1
    assert edge.argmax() == 0
    assert guesser.chances(text_of(lines), text_of([[0, 1, 2]]), SIZE, UNIGRAMS)[1].argmax() == 0


def test_neighbours_end_with_the_line():
    """What another line begins with says nothing about the end of this one."""
    apart, beside = text_of([[0, 1]] * 9 + [[2, 3]]), text_of([[2, 3]] + [[0, 1]] * 9)
    asked = text_of([[0, 1]])
    np.testing.assert_array_equal(guesser.chances(apart, asked, SIZE), guesser.chances(beside, asked, SIZE))


def test_a_language_knows_its_own_lines_alone():
    corpus = Corpus(
        tokens=np.array([0, 1, 2, 3, 3], np.uint16), starts=np.array([0, 2, 3, 5]), language=np.array([1, 0, 1], np.uint8),
        group=np.full(3, -1), phrase=np.zeros(3, bool), languages=("de", "zh-Hant"),
    )  # fmt: skip
    edge = [SIZE, SIZE]
    assert guesser.of_language(corpus, "zh-hant", SIZE).pieces.tolist() == [*edge, 0, 1, *edge, 3, 3, *edge]
    assert guesser.of_language(corpus, "de", SIZE).pieces.tolist() == [*edge, 2, *edge]
    assert guesser.of_language(corpus, "sw", SIZE).places.tolist() == []


@pytest.mark.parametrize("size", [32_000, 250_002])
def test_neighbourhoods_of_large_vocabularies_stay_apart(size):
    rows = np.random.default_rng(0).integers(size - 50, size, (2_000, 5)).astype(np.uint32)
    starts = np.arange(2_000) * 5
    text = guesser.of_lines(rows.ravel(), starts, starts + 5, size)
    middles = guesser.Text(text.pieces, text.places[2::5])
    keys = guesser._keys(middles, (-2, -1, 1, 2), size)
    assert len(np.unique(keys)) == len({tuple(row) for row in np.delete(rows, 2, axis=1).tolist()})
