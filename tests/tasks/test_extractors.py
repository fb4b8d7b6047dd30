from dataclasses import replace
from math import inf
from typing import Any

import pytest
from tuners import EXTRACTOR

import xlmr
from xlmr.errors import BadCheckpoint
from xlmr.tasks import extractors
from xlmr.tasks.extractors import pack, unpack


@pytest.mark.parametrize("threshold", [-3.5, 0, 12.25, inf])
def test_what_is_packed_is_unpacked(threshold: float) -> None:
    assert unpack(pack(threshold, 17)) == (threshold, 17)


def test_what_lies_beside_the_head_is_read(tuned) -> None:
    found = extractors.find(xlmr.load(tuned(EXTRACTOR, attachments={"answering": pack(1.5, 9)}), threads=1))
    assert (found.threshold, found.longest) == (1.5, 9)
    plain = extractors.find(xlmr.load(tuned(EXTRACTOR), threads=1))
    assert (plain.threshold, plain.longest) == (0, 30)
    assert plain.weights["out.weight"].shape == (2, 32)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"threshold": "1"}, "answering.safetensors: threshold is 1, wanted a number, or null; fine-tune it again"),
        ({"threshold": True}, "threshold is True, wanted a number"),
        ({"threshold": 10**400}, "threshold is 1000"),
        ({"longest": 0}, "longest is 0, wanted 1 or more tokens"),
        ({"longest": 2.5}, "longest"),
    ],
)
def test_what_does_not_fit_is_refused(facts: dict[str, Any], complaint: str) -> None:
    packed = pack(0, 30)
    with pytest.raises(BadCheckpoint, match=complaint):
        unpack(replace(packed, facts={**packed.facts, **facts}))


def test_a_fact_that_is_missing_is_told() -> None:
    with pytest.raises(BadCheckpoint, match="threshold is none, wanted a number"):
        unpack(replace(pack(0, 30), facts={"longest": 30}))
