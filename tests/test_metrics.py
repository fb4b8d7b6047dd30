import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import metrics


def test_accuracy_is_the_share_that_is_right():
    assert metrics.accuracy(np.array(["a", "b", "c", "d"]), np.array(["a", "x", "c", "d"])) == 0.75
    assert np.isnan(metrics.accuracy(np.array([]), np.array([])))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_a_rank_is_the_place_in_a_stable_sort(scores, data):
    wanted = data.draw(st.integers(0, len(scores) - 1))
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    assert metrics.ranks(np.array([scores], float), np.array([wanted])).tolist() == [order.index(wanted)]


def test_retrieval_equals_brute_force():
    dice = np.random.default_rng(0)
    a, b = dice.standard_normal((2, 30, 4))
    b += 0.7 * a

    def cosine(x, y):
        return sum(x * y) / (sum(x * x) * sum(y * y)) ** 0.5

    there = sum(max(range(30), key=lambda j, i=i: cosine(a[i], b[j])) == i for i in range(30)) / 30
    back = sum(max(range(30), key=lambda i, j=j: cosine(a[i], b[j])) == j for j in range(30)) / 30
    assert metrics.retrieval(a, b) == (there, back)
    assert there != back


def test_retrieval_heeds_directions_alone():
    a = np.random.default_rng(1).standard_normal((20, 5))
    assert metrics.retrieval(a, a * np.linspace(0.01, 100, 20)[:, None]) == (1.0, 1.0)


def test_equal_vectors_are_not_found():
    """A model that gives every text the same vector must not look good."""
    same = np.ones((10, 3))
    assert metrics.retrieval(same, same) == (0.1, 0.1)


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 100))
def test_retrieval_is_the_same_in_blocks(rows, held, seed):
    dice = np.random.default_rng(seed)
    a, b = (dice.standard_normal((4, 3))[dice.integers(4, size=rows)] for _ in range(2))  # many rows are equal
    there, back = (np.array([int(np.flatnonzero(np.isclose(of, of.max()))[0]) for of in near]) for near in cosines(a, b))
    own = np.arange(rows)
    assert metrics.retrieval(a, b, held=held) == ((there == own).mean(), (back == own).mean())


def cosines(a, b):
    """Both ways, a pair of rows at a time."""
    unit = [side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (a, b)]
    near = np.array([[float(x @ y) for y in unit[1]] for x in unit[0]])
    return near, near.T


def test_of_equal_rows_the_first_is_the_answer():
    a = np.random.default_rng(2).standard_normal((700, 33)).astype(np.float32)
    a[350:] = a[:350]
    for held in (1, 5_000, 1 << 24):
        assert metrics.retrieval(a, a, held=held) == (0.5, 0.5)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    found, wanted = np.array(["a", "a", "b", "c"]), np.array(["a", "b", "b", "b"])
    assert metrics.f1(found, wanted, "a") == pytest.approx(2 / (1 / 0.5 + 1 / 1))
    assert metrics.f1(found, wanted, "b") == pytest.approx(2 / (1 / 1 + 1 / (1 / 3)))
    assert metrics.f1(found, wanted, "d") == 0
    assert metrics.macro_f1(found, wanted) == pytest.approx((2 / 3 + 0.5) / 2)


def test_a_sure_answer_that_is_wrong_is_an_error_of_calibration():
    assert metrics.calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    assert metrics.calibration_error(np.array([1.0, 1.0]), np.array([True, False])) == pytest.approx(0.5)
    assert metrics.calibration_error(np.array([0.5, 0.5, 0.9]), np.array([True, False, True])) == pytest.approx(0.1 / 3)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_the_area_is_how_often_a_positive_is_above_a_negative(positive, negative):
    wanted = np.mean([(a > b) + (a == b) / 2 for a in positive for b in negative])
    assert metrics.area(np.array(positive), np.array(negative)) == pytest.approx(wanted)
