"""Principal components: those of the singular value decomposition, and always the same way round."""

import numpy as np
import pytest

from xlmr.maps import pca


def test_places_are_those_of_the_singular_values():
    vectors = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32) * [9, 1, 5, 1, 1, 1]
    left, values, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(pca.place(vectors)), np.abs(left[:, :2] * values[:2]), rtol=1e-4)


def test_the_order_of_texts_and_the_seed_change_nothing():
    vectors = np.random.default_rng(0).standard_normal((40, 6))
    np.testing.assert_allclose(pca.place(vectors[::-1], seed=3)[::-1], pca.place(vectors), atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 5), (2, 5), (5, 1), (1, 1)])
def test_the_smallest_maps_have_places(shape):
    places = pca.place(np.random.default_rng(0).standard_normal(shape))
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()
