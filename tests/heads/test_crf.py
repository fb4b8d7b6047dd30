from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlmr.errors import BadInput
from xlmr.heads import crf, iob
from xlmr.heads.crf import Constraints, Crf

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@st.composite
def chains(draw, dtype=np.float64, largest=5.0, bound=False, longest=5):
    """A CRF, emissions and constraints: 1 to 4 labels, up to 5 places."""
    labels, places = draw(st.integers(1, 4)), draw(st.integers(0, longest))
    weights = st.floats(-largest, largest, width=32)
    of = [draw(arrays(dtype, shape, elements=weights)) for shape in ((labels, labels), labels, labels, (places, labels))]
    allowed = Constraints(draw(arrays(bool, (labels, labels))), draw(arrays(bool, labels))) if bound else None
    return Crf(*of[:3]), of[3], allowed


def all_paths(model, emissions, allowed):
    """Every sequence that is allowed, and what it weighs, added up one number at a time."""
    found = {}
    for path in product(range(emissions.shape[1]), repeat=len(emissions)):
        steps = list(pairwise(path))
        if allowed and path and not (allowed.start[path[0]] and all(allowed.transitions[step] for step in steps)):
            continue
        weight = sum(float(emissions[i, label]) for i, label in enumerate(path)) + sum(float(model.transitions[step]) for step in steps)
        found[path] = weight + (float(model.start[path[0]]) + float(model.end[path[-1]]) if path else 0.0)
    return found


def log_sum(weights):
    most = max(weights)
    return most + float(np.log(np.sum(np.exp(np.array(weights) - most))))


def shares(paths, emissions):
    total, found = log_sum([*paths.values()]), np.zeros(emissions.shape)
    for path, weight in paths.items():
        found[np.arange(len(path)), list(path)] += np.exp(weight - total)
    return found


@settings(max_examples=300)
@given(chains() | chains(largest=1000.0) | chains(dtype=np.float32))
def test_scores_normaliser_marginals_and_viterbi_equal_brute_force(chain):
    model, emissions, _ = chain
    paths = all_paths(model, emissions, None)
    for path, weight in paths.items():
        assert crf.score(model, emissions, np.array(path, int)) == pytest.approx(weight, abs=1e-9)
    assert crf.normaliser(model, emissions) == pytest.approx(log_sum([*paths.values()]), abs=1e-9)
    assert crf.marginals(model, emissions) == pytest.approx(shares(paths, emissions), abs=1e-9)
    assert paths[tuple(crf.viterbi(model, emissions))] == pytest.approx(max(paths.values()), abs=1e-9)


@settings(max_examples=300)
@given(chains(bound=True) | chains(bound=True, largest=1000.0))
def test_they_do_among_the_sequences_that_constraints_allow(chain):
    model, emissions, allowed = chain
    paths = all_paths(model, emissions, allowed)
    assume(paths)
    assert crf.normaliser(model, emissions, allowed) == pytest.approx(log_sum([*paths.values()]), abs=1e-9)
    assert crf.marginals(model, emissions, allowed) == pytest.approx(shares(paths, emissions), abs=1e-9)
    assert paths[tuple(crf.viterbi(model, emissions, allowed))] == pytest.approx(max(paths.values()), abs=1e-9)


@given(chains(bound=True), st.sampled_from([crf.normaliser, crf.marginals, crf.viterbi]))
def test_where_no_sequence_is_allowed_it_is_said(chain, function):
    model, emissions, allowed = chain
    nowhere = Constraints(allowed.transitions, np.zeros_like(allowed.start))
    assume(len(emissions))
    with pytest.raises(BadInput, match="no sequence of labels is allowed"):
        function(model, emissions, nowhere)
    if len(emissions) > 1:
        with pytest.raises(BadInput, match="no sequence of labels is allowed"):
            function(model, emissions, Constraints(np.zeros_like(allowed.transitions), np.ones_like(allowed.start)))


def test_no_words_have_one_sequence_the_empty_one():
    model, nothing = crf.independent(3), np.zeros((0, 3), np.float32)
    assert crf.score(model, nothing, np.zeros(0, int)) == crf.normaliser(model, nothing) == 0
    assert crf.marginals(model, nothing).shape == (0, 3)
    assert crf.viterbi(model, nothing).shape == (0,)


@pytest.mark.parametrize("spread", [1, 10, 230, 400, 1e5, 1e15])
def test_both_ways_to_marginals_give_the_same_whatever_the_weights(spread):
    """The fast one answers where it can, and says where it cannot; far apart, the likeliest sequence is all there is."""
    dice = np.random.default_rng(int(spread))
    model = Crf(*(spread * dice.standard_normal(shape) for shape in ((5, 5), 5, 5)))
    emissions = spread * dice.standard_normal((40, 5))
    for allowed in (None, iob.constraints(NAMES)):
        transitions, bound = crf._bound(model, emissions, allowed)
        slow, fast = crf._logarithmic(transitions, bound), crf._scaled(transitions, bound)
        assert (fast is not None) == (spread <= 10)
        assert fast is None or np.allclose(fast, slow, rtol=1e-9, atol=0)
        assert np.allclose(crf.marginals(model, emissions, allowed), slow, rtol=1e-9, atol=0)
        if spread >= 1e5:
            assert np.array_equal(slow.argmax(1), crf.viterbi(model, emissions, allowed))


def test_a_label_far_behind_may_yet_be_the_only_one():
    """The first word all but rules out B, and nothing but B can stand before I, as which the second word is 2,000 times as sure."""
    labels = ["O", "B-PER", "I-PER"]
    emissions = np.array([[0.0, -1000.0, 0.0], [0.0, 0.0, 2000.0]])
    found = crf.marginals(crf.independent(3), emissions, iob.constraints(labels))
    assert found == pytest.approx(np.array([[0, 1, 0], [0, 0, 1]]))
    assert crf.viterbi(crf.independent(3), emissions, iob.constraints(labels)).tolist() == [1, 2]


def test_thousands_of_words_neither_overflow_nor_vanish():
    dice = np.random.default_rng(1)
    model = Crf(*(4 * dice.standard_normal(shape) for shape in ((5, 5), 5, 5)))
    emissions = 50 + 4 * dice.standard_normal((3000, 5))  # forward and backward weigh very differently halfway
    emissions[1500:] -= 100
    found = crf.marginals(model, emissions, iob.constraints(NAMES))
    transitions, bound = crf._bound(model, emissions, iob.constraints(NAMES))
    assert np.allclose(found, crf._logarithmic(transitions, bound), atol=1e-9)
    assert np.allclose(found.sum(1), 1)


@given(chains(longest=4))
def test_probabilities_of_all_sequences_sum_to_one(chain):
    model, emissions, _ = chain
    logs = [crf.score(model, emissions, np.array(path, int)) for path in product(range(emissions.shape[1]), repeat=len(emissions))]
    assert np.exp(np.array(logs) - crf.normaliser(model, emissions)).sum() == pytest.approx(1)


@given(chains(largest=3.0))
def test_marginals_are_the_slopes_of_the_normaliser(chain):
    model, emissions, _ = chain
    found, step = crf.marginals(model, emissions), 1e-5
    for place in np.ndindex(emissions.shape):
        higher, lower = emissions.copy(), emissions.copy()
        higher[place] += step
        lower[place] -= step
        slope = (crf.normaliser(model, higher) - crf.normaliser(model, lower)) / (2 * step)
        assert slope == pytest.approx(found[place], abs=1e-6)


@given(arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=st.integers(-9, 9).map(float)))
def test_independent_labels_are_each_place_for_itself(emissions):
    model = crf.independent(emissions.shape[1])
    powers = np.exp(emissions.astype(float))
    assert crf.marginals(model, emissions) == pytest.approx(powers / powers.sum(1, keepdims=True))
    assert np.array_equal(crf.viterbi(model, emissions), emissions.argmax(1))


@given(st.integers(0, 30), st.integers(0, 1000))
def test_a_decoded_sentence_never_breaks_iob2(words, seed):
    emissions = np.random.default_rng(seed).standard_normal((words, len(NAMES)))
    path = crf.viterbi(crf.independent(len(NAMES)), emissions, iob.constraints(NAMES))
    assert iob.broken([NAMES[label] for label in path]) is None


@given(chains(bound=True))
def test_nothing_that_is_given_is_changed(chain):
    model, emissions, allowed = chain
    before = [of.copy() for of in (model.transitions, model.start, model.end, emissions)]
    assume(all_paths(model, emissions, allowed))
    crf.marginals(model, emissions, allowed)
    crf.viterbi(model, emissions, allowed)
    assert all(np.array_equal(a, b) for a, b in zip(before, (model.transitions, model.start, model.end, emissions), strict=True))
