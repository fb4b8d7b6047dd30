from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.heads import loglinear
from xlmr.heads.loglinear import MEASURED, SEEN, SIGNALS, Classifier, Evidence

WIDTH, CLASSES, VOCABULARY, RUNS, RANK = 5, 3, 7, 11, 4


def made() -> Classifier:
    dice = np.random.default_rng(0)
    return Classifier(
        classes=("de", "nl", "el"),
        layer=1,
        centre=dice.normal(size=WIDTH).astype(np.float32),
        spread=dice.uniform(0.5, 2, WIDTH).astype(np.float32),
        means=dice.normal(size=(CLASSES, WIDTH)).astype(np.float32),
        geometry=dice.normal(size=(WIDTH, CLASSES)).astype(np.float32),
        bias=dice.normal(size=CLASSES).astype(np.float32),
        pieces=dice.integers(-127, 128, (VOCABULARY, RANK)).astype(np.int8),
        keys=np.sort(dice.choice(2**32, RUNS, replace=False)).astype(np.uint32),
        runs=dice.integers(-127, 128, (RUNS, RANK)).astype(np.int8),
        outward=(dice.normal(size=(2, RANK, CLASSES)) / 127).astype(np.float32),
        seen=dice.integers(0, 256, (CLASSES, SEEN // 8)).astype(np.uint8),
        temperature=1.5,
        usual=dice.normal(size=(CLASSES, MEASURED)).astype(np.float32),
        known=dice.normal(size=SIGNALS + 1).astype(np.float32),
        threshold=0.5,
        switch=3.0,
    )


@pytest.fixture
def classifier() -> Classifier:
    return made()


def texts_of(classifier: Classifier, seed: int, sizes: list[tuple[int, int]]) -> Evidence:
    """Texts with so many pieces and runs, half of the runs known."""
    dice = np.random.default_rng(seed)
    runs = [dice.choice([*classifier.keys.tolist(), *dice.integers(0, 2**32, RUNS)], count) for _, count in sizes]
    return Evidence(
        dice.normal(size=(len(sizes), WIDTH)).astype(np.float32),
        dice.integers(0, VOCABULARY, sum(count for count, _ in sizes)),
        np.cumsum([0, *(count for count, _ in sizes)]),
        np.concatenate([*runs, []]).astype(np.uint32),
        np.cumsum([0, *map(len, runs)]),
        dice.dirichlet(np.ones(CLASSES), len(sizes)).astype(np.float32),
    )


def by_hand(of: Classifier, texts: Evidence, i: int, kind: int) -> float:
    """One number of the formula at the head of the module, term by term."""
    z = (texts.pooled[i] - of.centre) / of.spread
    found = float(of.bias[kind] + z @ of.geometry[:, kind])
    pieces = texts.pieces[texts.piece_starts[i] : texts.piece_starts[i + 1]]
    runs = [np.flatnonzero(of.keys == run) for run in texts.runs[texts.run_starts[i] : texts.run_starts[i + 1]]]
    rows = [int(place[0]) for place in runs if len(place)]
    for table, picked, outward in ((of.pieces, pieces, of.outward[0]), (of.runs, rows, of.outward[1])):
        for row in picked:
            found += float(table[row].astype(float) @ outward[:, kind]) / len(picked) ** 0.5
    return (found + loglinear.SCRIPT * float(np.log(texts.shares[i, kind] + loglinear.EPSILON))) / of.temperature


@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=5))
def test_evidence_is_the_formula(seed, sizes):
    of = made()
    texts = texts_of(of, seed, sizes)
    wanted = [[by_hand(of, texts, i, kind) for kind in range(CLASSES)] for i in range(len(sizes))]
    np.testing.assert_allclose(loglinear.evidence(of, texts), wanted, rtol=1e-3, atol=1e-3)


def test_a_text_is_judged_alone(classifier):
    many = texts_of(classifier, 1, [(2, 3), (0, 0), (5, 9)])
    scores = loglinear.evidence(classifier, many)
    certain = loglinear.certainty(classifier, many, scores)
    for i in range(3):
        pieces, runs = (slice(*starts[i : i + 2]) for starts in (many.piece_starts, many.run_starts))
        one = Evidence(
            many.pooled[i : i + 1], many.pieces[pieces], np.array([0, pieces.stop - pieces.start]), many.runs[runs],
            np.array([0, runs.stop - runs.start]), many.shares[i : i + 1],
        )  # fmt: skip
        alone = loglinear.evidence(classifier, one)
        np.testing.assert_allclose(alone[0], scores[i], rtol=1e-5)
        np.testing.assert_allclose(loglinear.certainty(classifier, one, alone)[0], certain[i], rtol=1e-5)


def test_letters_in_no_script_of_a_class_rule_it_out(classifier):
    texts = replace(texts_of(classifier, 1, [(2, 3)]), shares=np.array([[0, 1, 0]], np.float32))
    assert loglinear.evidence(replace(classifier, temperature=1.0), texts).argmax() == 1


def test_an_answer_between_relatives_is_not_clear_but_that_it_is_one_of_them_is(classifier):
    texts = texts_of(classifier, 1, [(2, 3)])
    (clear,), (unclear,) = (loglinear.signals(classifier, texts, np.array([row])) for row in ([9.0, -9.0, -9.0], [9.0, 9.0, -30.0]))
    assert clear[0] > 1 > unclear[0] > -0.1
    assert unclear[1] > 1


def test_a_text_as_usual_in_its_class_stands_out_in_nothing(classifier):
    texts = texts_of(classifier, 2, [(4, 6)])
    scores = loglinear.evidence(classifier, texts)
    usual = np.repeat(loglinear.measured(classifier, texts, scores), CLASSES, axis=0)
    found = loglinear.signals(replace(classifier, usual=usual), texts, scores)
    assert (found[0, 2 : 2 + MEASURED] == 0).all()
    assert (loglinear.signals(classifier, texts, scores)[0, 2 : 2 + MEASURED] != 0).all()


def test_the_script_is_no_part_of_what_is_measured(classifier):
    texts = texts_of(classifier, 3, [(4, 6)])
    one = loglinear.measured(classifier, texts, scores := loglinear.evidence(classifier, texts))
    own = np.zeros((1, CLASSES), np.float32)
    own[0, scores.argmax()] = 1
    scripted = replace(texts, shares=own)
    other = loglinear.measured(classifier, scripted, loglinear.evidence(classifier, scripted))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_run_is_seen_where_its_bit_is_set():
    seen = np.zeros((2, SEEN // 8), np.uint8)
    seen[1, 3] = 0b100
    runs = np.array([26, 26 + SEEN, 27, 26], np.uint32)
    assert loglinear.is_seen(seen, runs, np.array([1, 1, 1, 0])).tolist() == [True, True, False, False]


def test_probabilities_sum_to_one_also_where_a_class_is_ruled_out():
    found = loglinear.probabilities(np.array([[1.0, -np.inf, 1000.0], [0.0, 0.0, -np.inf]]))
    np.testing.assert_allclose(found, [[0, 0, 1], [0.5, 0.5, 0]])


def test_without_any_listed_runs_there_are_none():
    rows, starts = loglinear.known_runs(np.zeros(0, np.uint32), np.array([1, 2], np.uint32), np.array([0, 1, 2]))
    assert (rows.tolist(), starts.tolist()) == ([], [0, 0, 0])


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40) | st.integers(2**32 - 40, 2**32 - 1), max_size=60, unique=True), st.data())
def test_runs_are_found_by_an_index_as_without(keys, data):
    held = np.array(sorted(keys), np.uint32)
    runs = np.array(data.draw(st.lists(st.sampled_from(keys) | st.integers(0, 2**32 - 1) if keys else st.integers(0, 9))), np.uint32)
    starts = np.array([0, len(runs) // 2, len(runs)])
    wanted = [keys.index(run) for run in runs.tolist() if run in keys]
    for by in (None, loglinear.index(held)):
        rows, cuts = loglinear.known_runs(held, runs, starts, by)
        assert held[rows].tolist() == [keys[i] for i in wanted]
        assert np.diff(cuts).tolist() == [sum(run in keys for run in part) for part in np.split(runs.tolist(), starts[1:-1])]
