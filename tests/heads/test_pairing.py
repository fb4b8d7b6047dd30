import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlmr.heads.pairing import itermax, mutual

SIMILARITIES = arrays(np.float64, st.tuples(st.integers(0, 6), st.integers(0, 6)), elements=st.floats(-1, 1), unique=True)


@given(SIMILARITIES)
def test_mutual_pairs_are_those_of_brute_force(similarity):
    found = mutual(similarity)
    for i, j in np.ndindex(similarity.shape):
        assert found[i, j] == (similarity[i, j] == similarity[i].max() == similarity[:, j].max())


@given(SIMILARITIES)
def test_a_mutual_word_has_one_partner_and_itermax_adds_to_them(similarity):
    found = mutual(similarity)
    assert (found.sum(0) <= 1).all()
    assert (found.sum(1) <= 1).all()
    assert found.any() or not found.size
    assert (itermax(similarity) >= found).all()


def test_itermax_gives_a_word_that_is_left_its_next_best():
    similarity = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7]])
    assert np.argwhere(mutual(similarity)).tolist() == [[0, 0], [2, 1]]
    assert np.argwhere(itermax(similarity)).tolist() == [[0, 0], [1, 0], [2, 1]]


def test_pairs_are_those_of_the_translation_swapped():
    similarity = np.random.default_rng(0).random((7, 5))
    assert np.array_equal(mutual(similarity).T, mutual(similarity.T))
    assert np.array_equal(itermax(similarity).T, itermax(similarity.T))
