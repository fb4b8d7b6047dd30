from __future__ import annotations

import pytest

from xlmr.compression import progress


def test_a_stream_stays_as_it_is_and_its_length_is_told_when_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    assert [*progress.told(iter("abc"), said.append, "letters")] == ["a", "b", "c"]
    assert said == []
    monkeypatch.setattr(progress, "SECONDS", -1.0)
    assert [*progress.told(iter("abc"), said.append, "letters")] == ["a", "b", "c"]
    assert said == ["letters: 1", "letters: 2", "letters: 3"]
