from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from seqeval import metrics as seqeval
from sklearn import metrics as sklearn

from xlmr.heads import iob
from xlmr.metrics import counts

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
TAGGED = st.lists(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=9), min_size=1, max_size=5)
NUMBERED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20)


@given(TAGGED)
def test_span_f1_is_that_of_seqeval(sentences):
    found, wanted = ([[pair[side] for pair in sentence] for sentence in sentences] for side in (0, 1))
    ours, theirs = ([iob.entities(tags) for tags in side] for side in (found, wanted))
    each = np.array([counts.of_items(a, b) for a, b in zip(ours, theirs, strict=True)])
    assert counts.micro_f1(each) == pytest.approx(seqeval.f1_score(wanted, found, zero_division=0))
    total = each.sum(0)
    assert counts.precision(total) == pytest.approx(seqeval.precision_score(wanted, found, zero_division=0))
    assert counts.recall(total) == pytest.approx(seqeval.recall_score(wanted, found, zero_division=0))

    labels = counts.of_labels(ours, theirs)
    report = seqeval.classification_report(wanted, found, output_dict=True, zero_division=0) if labels else {}
    for label, of in labels.items():
        for measure, name in ((counts.precision, "precision"), (counts.recall, "recall"), (counts.f1, "f1-score")):
            assert measure(of) == pytest.approx(report[label][name])
        assert of[2] == report[label]["support"]
    assert [*labels] == sorted(name for name in report if " avg" not in name)
    if labels:
        assert counts.macro_f1(np.array([*labels.values()])) == pytest.approx(report["macro avg"]["f1-score"])


@given(NUMBERED)
def test_macro_f1_and_confusions_are_those_of_scikit_learn(pairs):
    found, wanted = np.array(pairs).T
    table = counts.confusions(found, wanted, 5)
    assert np.array_equal(table, sklearn.confusion_matrix(wanted, found, labels=range(5)))
    of = counts.of_confusions(table)
    assert counts.macro_f1(of) == pytest.approx(sklearn.f1_score(wanted, found, average="macro", zero_division=0))
    assert counts.micro_f1(of) == pytest.approx(sklearn.accuracy_score(wanted, found))
    each = sklearn.precision_recall_fscore_support(wanted, found, labels=range(5), zero_division=0)
    assert counts.precision(of) == pytest.approx(each[0])
    assert counts.recall(of) == pytest.approx(each[1])
    assert counts.f1(of) == pytest.approx(each[2])


@given(arrays(bool, st.tuples(st.just(2), st.integers(1, 8), st.integers(2, 4))))
def test_where_any_number_of_labels_may_hold_they_are_scikit_learns_too(both):
    found, wanted = both
    of = counts.of_choices(found, wanted)
    assert counts.micro_f1(of) == pytest.approx(sklearn.f1_score(wanted, found, average="micro", zero_division=0))
    assert counts.f1(of).mean() == pytest.approx(sklearn.f1_score(wanted, found, average="macro", zero_division=0))


def test_a_label_that_is_found_and_never_wanted_lowers_the_macro_f1():
    """Else an answer that is wrong would cost less for being absurd."""
    found, wanted = np.array([0, 0, 2]), np.array([0, 0, 1])
    assert counts.macro_f1(counts.of_confusions(counts.confusions(found, wanted, 4))) == pytest.approx(1 / 3)
    assert np.isnan(counts.macro_f1(np.zeros((4, 3), int)))


def test_a_span_counts_once_and_in_its_own_sentence():
    class Named(NamedTuple):
        label: str
        first: int

    here, there = [Named("PER", 0)], [Named("PER", 1)]
    assert counts.of_items(here * 2, here).tolist() == [1, 1, 1]
    assert counts.of_items(here, []).tolist() == [0, 1, 0]
    assert {label: of.tolist() for label, of in counts.of_labels([here * 2, there], [there, here]).items()} == {"PER": [0, 2, 2]}


def test_names_become_numbers_or_are_refused():
    assert counts.numbered(["a", "b"], ["b", "b", "a"]).tolist() == [1, 1, 0]
    with pytest.raises(KeyError, match="c"):
        counts.numbered(["a", "b"], ["c"])
