from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling
from seqeval.scheme import IOB2, Entities

from xlmr.heads import iob
from xlmr.heads.iob import Entity

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TAGS = st.lists(st.sampled_from(LABELS), max_size=12)
ANY_TAGS = st.lists(st.sampled_from([*LABELS, "B-GPE-LOC", "I-GPE-LOC", "B", "I", "B-", "I-_"]), max_size=12)


@given(ANY_TAGS)
def test_entities_are_those_of_seqeval(tags):
    theirs = [Entity(label, first, last + 1) for label, first, last in sequence_labeling.get_entities(tags)]
    assert iob.entities(tags) == theirs


@given(TAGS.filter(lambda tags: iob.broken(tags) is None))
def test_of_unbroken_tags_they_are_those_that_seqeval_finds_when_strict(tags):
    theirs = [Entity(of.tag, of.start, of.end) for of in Entities([tags], IOB2).entities[0]]
    assert iob.entities(tags) == theirs


@given(TAGS)
def test_entities_do_not_overlap_and_unbroken_tags_can_be_made_from_them_again(tags):
    found = iob.entities(tags)
    assert all(a.end <= b.first for a, b in pairwise(found))
    made = ["O"] * len(tags)
    for entity in found:
        made[entity.first : entity.end] = [f"B-{entity.label}"] + [f"I-{entity.label}"] * (entity.end - entity.first - 1)
    assert iob.broken(made) is None
    assert iob.entities(made) == found
    assert (made == tags) == (iob.broken(tags) is None)


@given(TAGS)
def test_constraints_allow_what_is_not_broken_and_nothing_else(tags):
    allowed = iob.constraints(LABELS)
    path = [LABELS.index(tag) for tag in tags]
    legal = not path or (allowed.start[path[0]] and all(allowed.transitions[step] for step in pairwise(path)))
    assert legal == (iob.broken(tags) is None)


@given(st.permutations(LABELS))
def test_constraints_follow_the_order_of_the_labels(labels):
    place = [labels.index(label) for label in LABELS]
    usual, allowed = iob.constraints(LABELS), iob.constraints(labels)
    assert np.array_equal(allowed.transitions[np.ix_(place, place)], usual.transitions)
    assert np.array_equal(allowed.start[place], usual.start)


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        ("O B-PER I-PER O", None),
        ("", None),
        ("I-PER", 0),
        ("O I-PER", 1),
        ("B-PER I-LOC", 1),
        ("B-PER I-PER I-LOC I-PER", 2),
        ("B-PER O I-PER", 2),
        ("B-PER B-PER I-PER", None),
        ("O NOUN", 1),
        ("B-PER S-PER", 1),
        ("B I", None),
    ],
)
def test_the_first_broken_tag_is_told(tags, place):
    assert iob.broken(tags.split()) == place


def test_spans_of_the_older_iob1_are_read_and_not_bound():
    """As of models learnt on CoNLL-2003 in its first form, which has no `B-PER` at all."""
    labels = ["B-LOC", "I-LOC", "I-PER", "O"]
    assert iob.is_iob(labels)
    assert iob.constraints(labels) is None
    assert iob.entities("I-PER I-PER O I-LOC B-LOC I-LOC".split()) == [Entity("PER", 0, 2), Entity("LOC", 3, 4), Entity("LOC", 4, 6)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("O B-PER I-PER", True),
        ("B-PER O", True),
        ("O B I", True),
        ("NOUN VERB O", False),
        ("O B-PER I-PER S-PER E-PER", False),
        ("LABEL_0 LABEL_1", False),
        ("O", False),
        ("", False),
        ("Beach Inn O", False),
    ],
)
def test_labels_mark_spans_where_all_of_them_are_of_iob(labels, expected):
    assert iob.is_iob(labels.split()) == expected
    assert (iob.constraints(labels.split()) is not None) == expected


def test_a_span_of_one_kind_goes_on_where_its_first_word_is_begun_alone():
    allowed = iob.constraints(["O", "B", "I"])
    assert allowed.start.tolist() == [True, True, False]
    assert allowed.transitions.tolist() == [[True, True, False], [True, True, True], [True, True, True]]
