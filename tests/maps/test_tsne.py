"""t-SNE keeps neighbours, and gives the same picture every time."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra `plot` is not installed")
tsne = pytest.importorskip("xlmr.maps.tsne")


def clusters(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    kinds = dice.integers(0, 4, count)
    return (dice.standard_normal((4, 16))[kinds] * 4 + dice.standard_normal((count, 16))).astype(np.float32), kinds


def test_what_is_near_in_the_space_is_near_in_the_plane():
    vectors, kinds = clusters(120)
    places = tsne.place(vectors, 0)
    far = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places)) * 1e9
    assert np.mean(kinds[far.argmin(1)] == kinds) > 0.98
    assert np.mean(kinds[np.random.default_rng(0).permutation(120)] == kinds) < 0.5


def test_the_same_vectors_and_seed_give_the_same_picture():
    vectors, _ = clusters(40)
    assert np.array_equal(tsne.place(vectors, 1), tsne.place(vectors, 1))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_the_smallest_maps_have_places(count):
    places = tsne.place(clusters(count)[0], 0)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_texts_that_are_all_the_same_have_places():
    assert np.isfinite(tsne.place(np.ones((9, 4), np.float32), 0)).all()
    twice = np.repeat(clusters(10)[0], 2, axis=0)
    assert np.isfinite(tsne.place(twice, 0)).all()
