from dataclasses import replace

import numpy as np
import pytest
from speakers import sentences

from xlmr import encoder as encoders
from xlmr.heads import loglinear, ngrams
from xlmr.training import confidence, languages, regression
from xlmr.training.crops import draw
from xlmr.training.languages import Plan
from xlmr.training.regression import Settings

SETTINGS = Settings(rank=6, runs=500, common=300, passes=1, least=40, batch=64, rate=2e-2)


@pytest.fixture(scope="module")
def encoder(tiny):
    return encoders.load(tiny, threads=1)


@pytest.fixture(scope="module")
def texts():
    return draw([(language, "tests", text) for language, text in sentences()], {"tests": 99}, 20, seed=1)


@pytest.fixture(scope="module")
def train(encoder, texts):
    return languages.labelled(encoder, texts, sorted({text.kind for text in texts}), 1)


@pytest.fixture(scope="module")
def classes(texts):
    return sorted({text.kind for text in texts})


def test_numpy_computes_what_torch_has_learnt(train, classes, monkeypatch):
    """But for the rounding to int8."""
    made, kept = regression.Weights, []
    monkeypatch.setattr(regression, "Weights", lambda *sizes: kept.append(made(*sizes)) or kept[-1])
    found = regression.learnt(train, classes, 500, 1, SETTINGS)
    texts = regression.prepared(train.evidence, found.centre, found.spread, found.keys, regression.PARTS)
    theirs = kept[0](texts.batch(np.arange(len(train.wanted)))).detach().numpy()
    ours = loglinear.evidence(found, train.evidence)
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.97


def test_the_same_texts_give_the_same_weights(train, classes):
    one, other = (regression.learnt(train, classes, 500, 1, SETTINGS) for _ in range(2))
    for name in ("geometry", "pieces", "runs", "keys", "outward", "seen", "bias"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_part_that_is_left_out_says_nothing(train, classes):
    found = regression.learnt(train, classes, 500, 1, replace(SETTINGS, parts=("geometry",)))
    assert len(found.keys) == 0
    assert not found.outward.any()
    assert not regression.learnt(train, classes, 500, 1, replace(SETTINGS, parts=("runs",))).geometry.any()


def test_decay_makes_the_geometry_smaller_and_alone_it_still_tells_classes_apart(train, classes):
    alone = replace(SETTINGS, parts=("geometry",), least=200)
    free, held = (regression.learnt(train, classes, 500, 1, replace(alone, decay=decay)) for decay in (0.0, 0.1))
    assert np.square(held.geometry).sum() < 0.7 * np.square(free.geometry).sum()
    found = held.bias + loglinear.standard(held, train.evidence.pooled) @ held.geometry
    assert (found.argmax(1) == train.wanted).mean() > 5 / len(classes)


def test_runs_that_tell_classes_apart_are_chosen(train, classes):
    keys = regression.chosen(train, len(classes), 200)
    assert len(keys) == 200
    assert (np.diff(keys.astype(np.int64)) > 0).all()
    only_german, _ = ngrams.hashes(["ü"])
    assert np.isin(only_german[:1], regression.chosen(train, len(classes), 2_000)).all()
    assert np.isin(keys, regression.chosen(train, len(classes), 400)).all()


def test_what_resembles_another_class_is_told_so_and_what_stands_alone():
    near = regression._resemblance(np.array([[0.9, 0.8, 0.1, 0, 0], [0.9, 0.8, 0, 0.1, 0], [0, 0, 0, 0, 0.9]], np.float32))
    np.testing.assert_allclose(near[:2], [near[0]] * 2)
    assert near[0] > 0.9
    assert near[2] == pytest.approx(regression.ALONE**2)


def test_relatives_are_given_more_runs_than_a_class_alone(train, classes):
    keys = set(regression.chosen(train, len(classes), 300).tolist())
    given = {}
    for kind in ("ja", "ru", "sr"):
        rows = np.flatnonzero(train.wanted == classes.index(kind))
        given[kind] = len(keys & set(regression.rows_of(train.evidence, rows, np.arange(len(classes))).runs.tolist()))
    assert given["ja"] < min(given["ru"], given["sr"])


def test_what_is_common_in_a_class_is_seen_there(train, classes):
    seen = regression.common(train, len(classes), 3_000)
    runs, _ = ngrams.hashes(["der Schlüssel", "ключ"])
    german = loglinear.is_seen(seen, runs, np.full(len(runs), classes.index("de")))
    russian = loglinear.is_seen(seen, runs, np.full(len(runs), classes.index("ru")))
    assert german[:20].mean() > russian[:20].mean() + 0.3


def test_some_of_the_texts_are_as_they_were(train):
    rows, kept = np.array([7, 3, 100]), np.array([1, 4])
    some = regression.rows_of(train.evidence, rows, kept)
    for i, row in enumerate(rows):
        for values, starts, ours, begins in (
            (train.evidence.runs, train.evidence.run_starts, some.runs, some.run_starts),
            (train.evidence.pieces, train.evidence.piece_starts, some.pieces, some.piece_starts),
        ):
            np.testing.assert_array_equal(ours[begins[i] : begins[i + 1]], values[starts[row] : starts[row + 1]])
        np.testing.assert_array_equal(some.shares[i], train.evidence.shares[row][kept])


def test_thinning_keeps_about_that_share_and_no_strange_ones(train, classes):
    texts = regression.prepared(train.evidence, np.zeros(32), np.ones(32), regression.chosen(train, len(classes), 500), regression.PARTS)
    rows = np.arange(len(train.wanted))
    whole, thin = texts.batch(rows), texts.batch(rows, 0.5, np.random.default_rng(0))
    assert 0.4 < len(thin.runs) / len(whole.runs) < 0.6
    for i in rows[::17]:
        of = [part.runs[part.run_starts[i] : part.run_starts[i + 1]].tolist() for part in (whole, thin)]
        assert {*of[1]} <= {*of[0]}


# -- calibration --


def test_the_temperature_is_the_one_under_which_texts_are_likeliest(train, classes):
    found = regression.learnt(train, classes, 500, 1, SETTINGS)
    warm = confidence.warmed(found, train.evidence, train.wanted)

    def loss(temperature: float) -> float:
        shares = loglinear.probabilities(loglinear.evidence(replace(found, temperature=temperature), train.evidence))
        return -float(np.log(shares[np.arange(len(train.wanted)), train.wanted]).mean())

    low, high = confidence.SEVERAL
    assert low <= warm.temperature <= high
    assert all(loss(warm.temperature) <= loss(other) + 1e-6 for other in np.linspace(low, high, 30))


def test_what_is_usual_is_the_mean_of_a_classs_own_texts(train, classes):
    found = confidence.accustomed(regression.learnt(train, classes, 500, 1, SETTINGS), train.evidence, train.wanted)
    scores = loglinear.evidence(found, train.evidence)
    measured = loglinear.measured(found, train.evidence, scores)
    right = scores.argmax(1) == train.wanted
    for kind in range(len(classes)):
        own = measured[right & (train.wanted == kind)]
        mean = (own.sum(0) + confidence.FEW * measured[right].mean(0)) / (len(own) + confidence.FEW)
        np.testing.assert_allclose(found.usual[kind], mean, rtol=1e-4, atol=1e-5)


def test_the_regression_tells_what_can_be_told():
    dice = np.random.default_rng(0)
    signals = dice.normal(size=(400, loglinear.SIGNALS)).astype(np.float32)
    known = signals[:, 0] > 0
    folds = [confidence.Seen(signals[rows], known[rows], np.full(200, 1 / 200)) for rows in (slice(200), slice(200, None))]
    crossed = confidence.crossed(folds, 0.98)
    assert crossed["area"] > 0.99
    assert crossed["known_refused"] < 0.1
    assert crossed["unknown_refused"] > 0.8


def test_two_classes_of_a_language_share_it_and_one_alone_has_all_of_it():
    shares = np.exp(languages._shares(["hr", "sr", "sr-Latn"]))
    np.testing.assert_allclose(shares, [1, 0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(np.exp(languages._shares(["hr", "sr-Latn"])), 1, rtol=1e-6)


def test_folds_leave_out_classes_that_do_not_meet():
    first, second = languages.left_out(95, Plan())
    assert len(first) == len(second) == 15
    assert not np.isin(first, second).any()
    assert languages.left_out(3, Plan()) == []


def test_mixtures_know_the_class_of_each_word(texts):
    for text, wanted in languages.mixtures(texts, Plan(mixtures=20)):
        assert len(text.split()) == len(wanted)
        assert 3 <= len(wanted) <= 12
