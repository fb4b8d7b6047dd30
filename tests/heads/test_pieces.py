from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xlmr.heads.pieces import each, match, pool

STATES = np.array([[1, 0], [3, 8], [5, 4], [9, 9]], np.float32)


def slices(draw, most: int = 30) -> list[tuple[int, int]]:
    cuts = sorted(draw(st.sets(st.integers(0, most))))
    return [(start, end) for start, end in pairwise(cuts) if draw(st.booleans())]


def test_a_word_has_the_mean_of_its_pieces():
    found = match([(0, 3), (4, 9)], [(0, 3), (4, 4), (4, 6), (6, 9)])
    assert [(word.pieces, word.shares) for word in found] == [([0], [1]), ([2, 3], [1, 1])]
    np.testing.assert_allclose(pool("mean", found, STATES), [[1, 0], [7, 6.5]])
    np.testing.assert_allclose(pool("first", found, STATES), [[1, 0], [5, 4]])
    np.testing.assert_allclose(pool("max", found, STATES), [[1, 0], [9, 9]])


def test_a_piece_that_spans_two_words_counts_for_each_by_its_share():
    first, second = match([(0, 2), (2, 5)], [(0, 1), (1, 5)])
    assert (first.pieces, first.shares) == ([0, 1], [1, 0.25])
    assert (second.pieces, second.shares) == ([1], [0.75])
    np.testing.assert_allclose(pool("mean", [first, second], STATES), [[(1 + 0.25 * 3) / 1.25, 0.25 * 8 / 1.25], [3, 8]])


def test_pieces_of_one_character_count_alike():
    (word,) = match([(0, 1)], [(0, 1), (0, 1)])
    assert word.shares == [1, 1]


def test_a_word_without_pieces_is_left_out_and_none_give_no_vectors():
    assert match([(0, 1)], [(1, 1)]) == []
    assert pool("mean", [], STATES).shape == (0, 2)


def test_each_word_is_there_and_one_without_pieces_has_a_state_of_zeros():
    found = each([(0, 1), (1, 2), (2, 4)], [(0, 1), (2, 3), (3, 4)])
    assert [(word.place, word.pieces) for word in found] == [((0, 1), [0]), ((1, 2), []), ((2, 4), [1, 2])]
    for mode in ("mean", "first", "max"):
        assert pool(mode, found, STATES).tolist()[1] == [0, 0]
    np.testing.assert_allclose(pool("mean", found, STATES), [[1, 0], [0, 0], [4, 6]])


@given(st.data())
def test_shares_are_those_of_brute_force(data):
    words, pieces = slices(data.draw), slices(data.draw)
    pieces += [(place, place) for place in data.draw(st.lists(st.integers(0, 30)))]
    data.draw(st.randoms()).shuffle(pieces)
    wanted = {
        word: {
            i: len({*range(*word)} & {*range(*piece)}) / (piece[1] - piece[0])
            for i, piece in enumerate(pieces)
            if {*range(*word)} & {*range(*piece)}
        }
        for word in words
    }
    found = {word.place: dict(zip(word.pieces, word.shares, strict=True)) for word in match(words, pieces)}
    assert found == {word: shares for word, shares in wanted.items() if shares}
