import numpy as np
import pytest

from xlmr.metrics import intervals


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).standard_normal(400) * 3 + 10
    low, high = intervals.bootstrap(values, rounds=4000)
    spread = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - spread, abs=0.05 * spread)
    assert high == pytest.approx(values.mean() + spread, abs=0.05 * spread)


def test_it_holds_the_truth_about_as_often_as_it_says():
    dice, held = np.random.default_rng(1), 0
    for _ in range(300):
        low, high = intervals.bootstrap(dice.random(100) < 0.3, rounds=300)
        held += low <= 0.3 <= high
    assert 0.90 < held / 300 < 0.98


def test_more_items_make_it_narrower_and_less_certainty_too():
    values = np.random.default_rng(2).random(1600)
    narrow, wide = (np.ptp(intervals.bootstrap(values[:items])) for items in (1600, 100))
    assert wide / narrow == pytest.approx(4, rel=0.15)
    assert np.ptp(intervals.bootstrap(values, level=0.5)) < 0.5 * np.ptp(intervals.bootstrap(values))


def test_any_statistic_is_drawn_again_from_its_items():
    values = np.arange(6.0)
    samples = intervals.resample(6, lambda rows: values[rows].max(), rounds=3000)
    assert len(samples) == 3000
    assert np.mean(samples == 5) == pytest.approx(1 - (5 / 6) ** 6, abs=0.03)


def test_equal_items_leave_no_doubt_and_no_items_no_number():
    assert intervals.bootstrap(np.full(7, 0.5)) == (0.5, 0.5)
    assert np.isnan(intervals.bootstrap(np.zeros(0))).all()


def test_a_seed_gives_the_same_again_and_another_seed_something_else():
    values = np.random.default_rng(3).random(50)
    assert intervals.bootstrap(values, seed=(1, 2)) == intervals.bootstrap(values, seed=(1, 2))
    assert intervals.bootstrap(values, seed=(1, 2)) != intervals.bootstrap(values, seed=(1, 3))


def test_the_mean_of_several_languages_is_surer_than_each():
    drawn = np.random.default_rng(4).random((4, 200))
    each = [intervals.resample(200, lambda rows, of=of: of[rows].mean(), seed=(0, i)) for i, of in enumerate(drawn)]
    mean = np.ptp(intervals.interval(np.mean(each, 0)))
    assert mean == pytest.approx(np.mean([np.ptp(intervals.interval(of)) for of in each]) / 2, rel=0.15)
