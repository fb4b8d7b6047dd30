"""A sample of texts: as many as were asked for, the same for the same seed, translations together."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.errors import BadLine
from xlmr.maps import Row
from xlmr.maps.sampling import TOLD, sample


def rows(count: int, languages: int = 1) -> list[Row]:
    return [Row(f"f{k}: line {i}", f"text {i}", name=str(i) if languages > 1 else None) for k in range(languages) for i in range(count)]


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 5))
def test_as_many_as_asked_for_in_their_order(count, most, seed):
    of = rows(count)
    found = sample(iter(of), most, seed)
    assert (len(found.rows), found.total, found.failed) == (min(count, most), count, 0)
    assert found.rows == sorted(found.rows, key=of.index)


def test_the_seed_alone_chooses():
    assert sample(rows(500), 20, 1) == sample(rows(500), 20, 1)
    assert sample(rows(500), 20, 1) != sample(rows(500), 20, 2)
    backwards = sample(rows(500)[::-1], 20, 1).rows
    assert backwards[::-1] == sample(rows(500), 20, 1).rows


def test_every_row_is_as_likely():
    counts = Counter(row.place for seed in range(400) for row in sample(rows(20), 5, seed).rows)
    assert len(counts) == 20
    assert all(60 < count < 145 for count in counts.values())  # 100 wanted, five standard deviations of 8.7


def test_translations_are_drawn_together():
    found = Counter(row.name for row in sample(rows(100, languages=4), 42, 0).rows)
    assert sorted(found.values()) == [2, *[4] * 10]


def test_no_more_is_held_than_a_bound(monkeypatch):
    monkeypatch.setattr("xlmr.maps.sampling.HELD", 1_000)
    of = [Row(str(i), "x" * (50 + i % 100)) for i in range(300)]
    found = sample(of, 300, 3)
    assert 500 < sum(len(row.text) for row in found.rows) <= 1_000
    assert found.total == 300
    assert {row.place for row in sample(of[::-1], 300, 3).rows} == {row.place for row in found.rows}


def test_what_cannot_be_answered_is_told_and_blank_texts_are_left_out():
    bad = [Row(f"f: line {i}", BadLine("not UTF-8")) for i in range(TOLD + 5)]
    found = sample([Row("a", "  \t"), *bad, Row("b", "Haus"), Row("c", "x" * 100_001), Row("d", "\ud83d")], 9)
    assert [row.place for row in found.rows] == ["b"]
    assert (found.total, found.failed, len(found.told)) == (1, TOLD + 7, TOLD)
    assert found.told[0] == "f: line 0: not UTF-8"


@pytest.mark.parametrize("text", ["x" * 100_001, "\ud83d"])
def test_a_text_that_no_task_takes_fails_before_it_is_held(text):
    assert sample([Row("f: line 1", text)], 9).told[0].startswith("f: line 1: ")
