"""A shallower model is made of a model's layers, and taught by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calibrated import calibrate
from lectures import sources

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.compression.distilling import Distil, distil, shallower, taken
from xlmr.compression.parts import put, take
from xlmr.errors import BadInput

pytest.importorskip("torch")

QUICK = {"steps": 20, "batch": 256, "longest": 32, "rate": 3e-3}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return sources(tmp_path_factory.mktemp("spoken"))


def silent(_: str) -> None:
    pass


def test_six_of_twelve_are_those_of_distilbert() -> None:
    assert taken(6, 12) == [0, 2, 4, 7, 9, 11]


def test_of_two_layers_as_near_the_lower_is_taken() -> None:
    assert taken(3, 4) == [0, 1, 3]


@pytest.mark.parametrize("many", [2, 3, 4, 12, 24])
def test_layers_are_taken_evenly_and_each_once(many: int) -> None:
    for few in range(1, many + 1):
        found = taken(few, many)
        assert len({*found}) == len(found) == few
        assert found == sorted(found)
        assert found[0] == 0
        assert few == 1 or found[-1] == many - 1


def test_all_layers_of_a_model_are_the_model(tiny: Path, tmp_path: Path) -> None:
    parts = take(checkpoint.open(tiny))
    put(shallower(parts, taken(2, 2)), tmp_path)
    again = checkpoint.open(tmp_path)
    assert again.config == parts.config
    for name in parts.weights:
        np.testing.assert_array_equal(checkpoint.read(again, name), parts.weights[name])


def test_some_layers_are_those_of_the_model_in_their_order(tiny: Path) -> None:
    parts = take(checkpoint.open(tiny))
    found = shallower(parts, [1])
    assert found.config == replace(parts.config, layers=1)
    np.testing.assert_array_equal(found.weights["layers.0.grow.weight"], parts.weights["layers.1.grow.weight"])
    assert len(found.weights) == len([name for name in parts.weights if not name.startswith("layers.1.")])


def test_a_student_is_written_with_what_was_fitted_to_its_teacher(speaking: Path, spoken: tuple[str, ...], tmp_path: Path) -> None:
    facts = distil(take(checkpoint.open(speaking)), tmp_path, Distil(layers=1, data=spoken, **QUICK), silent)
    assert facts["layers"] == [0]
    assert facts["of"] == 2
    assert facts["after"]["loss"] < facts["before"]["loss"]
    assert facts["attachments"]["languages"]["kept"] == ("languages" in attachments.names(tmp_path))
    assert len(facts["notes"]) == 1
    student = xlmr.load(tmp_path)
    assert checkpoint.open(tmp_path).config.layers == 1
    assert student.fill_mask("the cat <mask> water")


def test_a_calibration_of_pieces_goes_along(tiny: Path, spoken: tuple[str, ...], tmp_path: Path) -> None:
    folder, student = tmp_path / "teacher", tmp_path / "student"
    put(take(checkpoint.open(tiny)), folder_made(folder))
    calibrate(folder)
    distil(take(checkpoint.open(folder)), folder_made(student), Distil(layers=1, data=spoken, **QUICK | {"steps": 1}), silent)
    text = "der Hund schläft"
    np.testing.assert_array_equal(xlmr.load(student).embed(text), xlmr.load(folder).embed(text))


def folder_made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_would_not_be_shallower_is_refused(tiny: Path, spoken: tuple[str, ...], tmp_path: Path) -> None:
    for layers in (2, 3):
        with pytest.raises(BadInput, match="has 2 layers"):
            distil(take(checkpoint.open(tiny)), tmp_path, Distil(layers=layers, data=spoken), silent)
    with pytest.raises(BadInput, match="--data"):
        distil(take(checkpoint.open(tiny)), tmp_path, Distil(layers=1, data=()), silent)
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_taught_is_refused(spoken: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="layers is 0"):
        Distil(layers=0, data=spoken)
    with pytest.raises(BadInput, match="temperature"):
        Distil(layers=1, data=spoken, temperature=-1)
    with pytest.raises(BadInput, match="compress prune"):
        Distil(layers=1, data=spoken, steps=0)
