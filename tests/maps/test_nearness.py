"""What is measured of a map equals what counting by hand gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlmr.maps import Dot, Shares, nearness


def dots_of(draw: list[tuple[str, int | None]]) -> list[Dot]:
    return [Dot("", language, group=group) for language, group in draw]


DRAWN = st.lists(st.tuples(st.sampled_from(["de", "fr", "ru"]), st.none() | st.integers(0, 4)), min_size=2, max_size=30)


@settings(deadline=None)
@given(DRAWN, st.integers(0, 9))
def test_shares_are_those_of_brute_force(draw, seed):
    dots = dots_of(draw)
    points = np.random.default_rng(seed).standard_normal((len(dots), 3))
    same, met = [], []
    for i, dot in enumerate(dots):
        order = sorted((j for j in range(len(dots)) if j != i), key=lambda j: np.linalg.norm(points[i] - points[j]))
        near = order[: nearness.NEAREST]
        same.append(sum(dots[j].language == dot.language for j in near) / len(near))
        others = [j for j in order if dots[j].language != dot.language]
        if dot.group is not None and any(dots[j].group == dot.group for j in others):
            met.append(dots[others[0]].group == dot.group)
    found = nearness.shares(points, dots)
    assert found.language == pytest.approx(np.mean(same))
    assert found.translation == (pytest.approx(np.mean(met)) if met else None)
    np.testing.assert_allclose(nearness.own(points, dots), same)


def test_chance_is_what_places_drawn_by_chance_give():
    dots = dots_of([(language, group) for group in range(8) for language in ("de", "fr", "ru", "zh", "de")])
    dice = np.random.default_rng(0)
    drawn = [nearness.shares(dice.standard_normal((len(dots), 5)), dots) for _ in range(300)]
    wanted = nearness.chance(dots)
    assert wanted.language == pytest.approx(np.mean([of.language for of in drawn]), abs=0.02)
    assert wanted.translation == pytest.approx(np.mean([of.translation for of in drawn]), abs=0.02)


def test_more_texts_than_are_compared_at_once(monkeypatch):
    dots = dots_of([("de" if i % 3 else "fr", i % 7) for i in range(50)])
    points = np.random.default_rng(1).standard_normal((50, 4))
    whole = nearness.shares(points, dots)
    monkeypatch.setattr(nearness, "BLOCK", 7)
    assert nearness.shares(points, dots) == whole


def test_one_text_has_no_neighbours():
    assert nearness.shares(np.zeros((1, 2)), [Dot("", "de")]) == nearness.chance([Dot("", "de")]) == Shares(None, None)
