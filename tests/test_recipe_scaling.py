"""What is drawn of loss against tokens, and what is concluded from it."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from xlmr.training import pretraining, recipes

ROOT = Path(__file__).resolve().parent.parent
TOKENS = [50.0, 60.0, 75.0, 90.0, 120.0]


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    return importlib.import_module("scaling")


@pytest.mark.parametrize(("floor", "factor", "power"), [(3.0, 5.0, 0.5), (0.0, 9.0, 0.2), (3.9, 2.0, 1.0)])
def test_the_law_that_made_the_losses_is_found(scaling, floor, factor, power):
    law = scaling.fit(TOKENS, [floor + factor * at**-power for at in TOKENS])
    assert (law.floor, law.factor, law.power) == pytest.approx((floor, factor, power), abs=1e-6)
    assert law.error < 1e-9
    assert law.at(1000.0) == pytest.approx(floor + factor * 1000**-power)


def test_noise_is_what_is_left(scaling):
    dice = np.random.default_rng(0)
    tokens = np.geomspace(50, 500, 200)
    law = scaling.fit(tokens, 3 + 5 * tokens**-0.5 + 0.01 * dice.normal(size=200))
    assert law.error == pytest.approx(0.01, rel=0.2)
    assert law.at(500) == pytest.approx(3 + 5 * 500**-0.5, abs=0.01)


def test_steps_are_spaced_by_their_logarithm(scaling):
    assert scaling.spaced(range(1, 1001), 4) == [1, 10, 100, 1000]
    assert scaling.spaced([500, 1000], 12) == [500, 1000]
    assert scaling.spaced([], 12) == []


def test_the_fit_leaves_out_the_beginning_and_where_the_rate_falls(scaling, tmp_path):
    recipe = recipes.Recipe(
        output=str(tmp_path), objective=recipes.Objective(batch=1_000), optimiser=recipes.Optimiser(tokens=100_000, decay=0.2)
    )
    assert pretraining.plan(recipe).steps == 100
    heldout = dict.fromkeys(range(1, 101), 5.0)
    assert scaling.settled(recipe, heldout) == list(range(6, 81))


def test_losses_are_read_from_the_log(scaling, tmp_path):
    lines = [{"step": 1, "masked": 3.0}, {"step": 1, "heldout": {"loss": 5.5}}, {"step": 2, "heldout": {"loss": 5.0}}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert scaling.losses(tmp_path / "log.jsonl") == {1: 5.5, 2: 5.0}


def test_the_picture_has_the_losses_and_what_was_measured(scaling, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [{"tokens": 1_000_000 * at, "heldout": 5 - at / 100, "words": 0.4, "pos": 0.5, "topics": 0.3} for at in (10, 20, 40)]
    scaling.draw(rows, 55.0, scaling.Law(3.0, 5.0, 0.5, 0.0), tmp_path / "drawn.svg")
    drawn = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert all(label in drawn for label, _ in scaling.COLUMNS.values())
    assert "million tokens, all runs" in drawn
