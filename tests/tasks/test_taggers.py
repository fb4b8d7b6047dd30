from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tuners import NAMES, TAGGER, TOPICS

import xlmr
from xlmr.errors import BadCheckpoint
from xlmr.heads import iob
from xlmr.heads.crf import Crf
from xlmr.tasks import taggers
from xlmr.tasks.taggers import pack, unpack

FIELD = Crf(np.arange(9, dtype=np.float64).reshape(3, 3), np.ones(3), np.zeros(3))


@pytest.mark.parametrize("pooling", taggers.POOLINGS)
@pytest.mark.parametrize("field", [None, FIELD])
def test_what_is_packed_is_unpacked(pooling: str, field: Crf | None) -> None:
    words, found = unpack(pack(pooling, field), 3)
    assert words == pooling
    assert (found is None) == (field is None)
    for name in ("transitions", "start", "end") if field else ():
        np.testing.assert_array_equal(getattr(found, name), getattr(field, name))


@pytest.mark.parametrize(
    ("facts", "arrays", "complaint"),
    [
        ({"words": "last"}, {}, "tagging.safetensors: words is 'last', wanted one of first, mean; fine-tune it again"),
        ({"words": 1}, {}, "words"),
        ({}, {"start": None}, "has no array start"),
        ({}, {"start": np.zeros(4, np.float32)}, r"start is float32 \[4\], wanted \[3\]"),
        ({}, {"transitions": np.zeros((3, 4), np.float32)}, r"transitions is float32 \[3, 4\], wanted \[3, 3\]"),
        ({}, {"end": np.zeros(3, np.int32)}, "end is int32"),
    ],
)
def test_what_does_not_fit_is_refused(facts: dict[str, Any], arrays: dict[str, Any], complaint: str) -> None:
    packed = pack("mean", FIELD)
    held = {name: array for name, array in {**packed.arrays, **arrays}.items() if array is not None}
    with pytest.raises(BadCheckpoint, match=complaint):
        unpack(replace(packed, arrays=held, facts={**packed.facts, **facts}), 3)


def test_without_an_attachment_a_word_is_its_first_piece_and_there_is_no_field(tuned) -> None:
    found = taggers.find(xlmr.load(tuned(TAGGER, NAMES), threads=1))
    assert (found.pooling, found.crf, found.labels, found.marks_spans) == ("first", None, NAMES, True)
    wanted = iob.constraints(NAMES)
    assert found.allowed is not None
    assert wanted is not None
    np.testing.assert_array_equal(found.allowed.transitions, wanted.transitions)
    plain = taggers.find(xlmr.load(tuned(TAGGER, TOPICS), threads=1))
    assert (plain.allowed, plain.marks_spans) == (None, False)


def test_an_attachment_of_other_labels_is_refused(tuned) -> None:
    field = Crf(np.zeros((3, 3)), np.zeros(3), np.zeros(3))
    model = xlmr.load(tuned(TAGGER, NAMES, attachments={"tagging": pack("mean", field)}), threads=1)
    with pytest.raises(BadCheckpoint, match=r"transitions is float32 \[3, 3\], wanted \[5, 5\]"):
        model.tag("a")
