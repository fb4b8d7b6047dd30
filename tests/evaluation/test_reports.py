import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.evaluation import reports
from xlmr.evaluation.reports import Scored

LANGUAGES = ["en", "de", "en", "sw", "de", "en"]
VALUES = np.array([1.0, 0.0, 0.5, 0.25, 1.0, 0.0])


def scored(languages, values, name="score") -> Scored:
    return Scored("task", languages, {name: lambda rows: float(values[rows].mean())}, values)


def test_each_language_has_the_score_of_its_own_examples():
    found = reports.report(scored(LANGUAGES, VALUES))
    assert found.languages == {"de": 0.5, "en": 0.5, "sw": 0.25}
    assert found.counts == {"de": 2, "en": 3, "sw": 1}
    assert found.mean == found.metrics["score"].mean == pytest.approx(1.25 / 3)
    assert (found.task, found.metric) == ("task", "score")


def test_the_gap_is_from_the_source_to_the_mean_of_the_others():
    found = reports.report(scored(LANGUAGES, VALUES)).transfer
    assert (found.source, found.others, found.gap) == ("en", 0.375, -0.125)
    assert found.gaps == {"de": 0.0, "sw": -0.25}
    other = reports.report(scored(LANGUAGES, VALUES), source="sw").transfer
    assert (other.others, other.gap, other.gaps) == (0.5, 0.25, {"de": 0.25, "en": 0.25})


def test_without_the_source_there_is_no_gap_and_with_it_alone_no_number():
    assert reports.report(scored(["de", "fr"], VALUES[:2])).transfer is None
    alone = reports.report(scored(["en", "en"], VALUES[:2])).transfer
    assert (np.isnan(alone.others), alone.interval, alone.gaps) == (True, None, {})


def test_the_first_metric_counts_and_all_are_reported():
    statistics = {"b": lambda rows: 0.5, "a": lambda rows: float(len(rows))}
    found = reports.report(Scored("task", ["en", "de", "en"], statistics, np.zeros(3)))
    assert (found.metric, [*found.metrics]) == ("b", ["b", "a"])
    assert found.metrics["a"].languages == {"de": 1.0, "en": 2.0}


def test_intervals_hold_the_score_and_shrink_with_more_examples():
    dice = np.random.default_rng(0)
    widths = []
    for size in (50, 5_000):
        values = (dice.random(size) < 0.7).astype(float)
        low, high = reports.report(scored(["en"] * size, values)).metrics["score"].intervals["en"]
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        values = dice.normal(0.4, 0.2, 60)
        low, high = reports.report(scored(["en"] * 60, values), rounds=300).metrics["score"].interval
        held += low <= 0.4 <= high
    assert 0.9 <= held / 200 <= 0.99


def test_translations_line_by_line_say_no_more_than_one_language():
    """Where all languages have the same sentences, the mean of many is as unsure as each of them."""
    values = (np.random.default_rng(2).random(80) < 0.6).astype(float)
    one = reports.report(scored(["en"] * 80, values)).metrics["score"].interval
    three = reports.report(scored(["de"] * 80 + ["en"] * 80 + ["fr"] * 80, np.tile(values, 3))).metrics["score"].interval
    assert three == pytest.approx(one)


def test_sentences_of_their_own_make_the_mean_surer():
    values = (np.random.default_rng(3).random(4 * 100) < 0.6).astype(float)
    found = reports.report(scored([code for code in ("de", "en", "fr", "sw") for _ in range(100)], values)).metrics["score"]
    (low, high), (of_low, of_high) = found.interval, found.intervals["de"]
    assert (high - low) < 0.7 * (of_high - of_low)


def test_without_rounds_there_are_no_intervals():
    found = reports.report(scored(LANGUAGES, VALUES), rounds=0)
    assert (found.metrics["score"].intervals, found.metrics["score"].interval, found.transfer.interval) == ({}, None, None)
    assert found.languages == reports.report(scored(LANGUAGES, VALUES)).languages


@given(st.lists(st.tuples(st.sampled_from(["en", "de", "fr"]), st.floats(0, 1)), min_size=1, max_size=30), st.integers(0, 5))
def test_the_order_of_examples_changes_no_score_and_a_seed_gives_the_same_again(rows, seed):
    languages, values = [code for code, _ in rows], np.array([value for _, value in rows])
    found = reports.report(scored(languages, values), rounds=20, seed=seed)
    again = reports.report(scored(languages, values), rounds=20, seed=seed)
    assert found.metrics["score"] == again.metrics["score"]
    order = np.random.default_rng(seed).permutation(len(rows))
    mixed = reports.report(scored([languages[i] for i in order], values[order]), rounds=0)
    assert mixed.languages == pytest.approx(found.languages)
    low, high = found.metrics["score"].interval
    assert 0 <= low <= high <= 1
