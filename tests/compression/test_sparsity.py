"""Which weights become zero, and that the others stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xlmr.compression import sparsity

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6).map(lambda n: 4 * n))
MATRICES = arrays.arrays(np.float32, SHAPES, elements=st.floats(-9, 9, width=32))


@given(MATRICES, st.floats(0.01, 0.99))
def test_in_each_row_the_smallest_go(matrix: np.ndarray, share: float) -> None:
    thin, gone = sparsity.magnitude(matrix, share), int(share * matrix.shape[1])
    for row, old in zip(thin, matrix, strict=True):
        kept = np.flatnonzero(row != old)
        assert len(kept) <= gone
        assert np.count_nonzero(row) <= len(row) - gone
        np.testing.assert_array_equal(np.sort(np.abs(row))[gone:], np.sort(np.abs(old))[gone:])


@given(MATRICES)
def test_of_every_four_the_two_larger_stay(matrix: np.ndarray) -> None:
    thin = sparsity.two_of_four(matrix)
    for row, old in zip(thin, matrix, strict=True):
        for at in range(0, len(old), 4):
            assert np.count_nonzero(row[at : at + 4]) <= 2
            np.testing.assert_array_equal(np.sort(np.abs(row[at : at + 4]))[2:], np.sort(np.abs(old[at : at + 4]))[2:])
            assert all(new in (0, before) for new, before in zip(row[at : at + 4], old[at : at + 4], strict=True))


@pytest.mark.parametrize("share", [0.5, None])
def test_what_was_thinned_is_known(share: float | None) -> None:
    weights = {"layers.0.grow.weight": np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)}
    assert not sparsity.is_done(weights, share)
    assert sparsity.is_done(sparsity.Thinned(weights, share), share)
    assert not sparsity.is_done(sparsity.Thinned(weights, 0.25), share)
