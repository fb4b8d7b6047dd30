import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from xlmr.metrics import correlations

PAIRS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20).map(lambda pairs: np.array(pairs).T)


@given(PAIRS)
def test_correlations_are_those_of_scipy(pairs):
    found, wanted = pairs
    assume(np.ptp(found) and np.ptp(wanted))
    assert correlations.pearson(found, wanted) == pytest.approx(stats.pearsonr(found, wanted).statistic, abs=1e-9)
    assert correlations.spearman(found, wanted) == pytest.approx(stats.spearmanr(found, wanted).statistic, abs=1e-9)


def test_ranks_heed_the_order_alone():
    found, wanted = np.array([1.0, 2, 3, 40]), np.array([-9.0, 0, 1e3, 1e9])
    assert correlations.spearman(found, wanted) == pytest.approx(1)
    assert correlations.pearson(found, wanted) < 1
    assert correlations.spearman(found, -wanted) == pytest.approx(-1)


@pytest.mark.parametrize("function", [correlations.pearson, correlations.spearman])
def test_what_does_not_vary_goes_with_nothing(function):
    assert np.isnan(function(np.array([1.0, 1]), np.array([1.0, 2])))
    assert np.isnan(function(np.array([0.1, 0.1, 0.1]), np.array([1.0, 2, 3])))
    assert np.isnan(function(np.array([1.0]), np.array([2.0])))


def test_the_error_is_the_mean_of_squares():
    assert correlations.squared_error(np.array([1, 2], np.uint8), np.array([2.0, 5.0])) == 5
    assert np.isnan(correlations.squared_error(np.array([]), np.array([])))
