"""What was fitted to states is fitted again to those of a smaller model, and left out where that does not go well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calibrated import calibrate
from hypothesis import given
from hypothesis import strategies as st
from speakers import sentences

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.compression import refitting
from xlmr.compression.distilling import shallower
from xlmr.compression.parts import put, take
from xlmr.compression.refitting import FLATTEST, best, matched

TEXTS = [text for _, text in sentences()]


@given(st.integers(0, 2**32 - 1))
def test_numbers_that_were_scaled_and_moved_are_mapped_back(seed: int) -> None:
    dice = np.random.default_rng(seed)
    wanted = dice.standard_normal((40, 6)).astype(np.float32)
    scale, moved = dice.uniform(0.1, 10, 6), dice.standard_normal(6)
    own = (wanted * scale + moved).astype(np.float32)
    found = matched(3, own, wanted)
    np.testing.assert_allclose(own * found.slope + found.shift, wanted, atol=1e-3)
    assert found.layer == 3
    assert found.correlation == pytest.approx(1, abs=1e-4)


def test_of_several_layers_the_nearest_is_taken() -> None:
    dice = np.random.default_rng(0)
    wanted = dice.standard_normal((40, 6)).astype(np.float32)
    layers = [wanted + share * dice.standard_normal((40, 6)).astype(np.float32) for share in (2, 0.1, 1)]
    assert best(layers, wanted).layer == 1
    assert best([wanted, wanted], wanted).layer == 0


def test_numbers_that_do_not_vary_have_a_slope_that_divides() -> None:
    wanted = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    found = matched(0, np.ones((40, 3), np.float32), wanted)
    assert (found.slope == np.float32(FLATTEST)).all()
    np.testing.assert_allclose(found.slope + found.shift, wanted.mean(0), atol=1e-6)


def test_beside_the_same_model_answers_are_the_same(speaking: Path, tmp_path: Path) -> None:
    found = refitting.write(take(checkpoint.open(speaking)), checkpoint.open(speaking), tmp_path, TEXTS)
    assert found["languages"]["kept"]
    assert found["languages"]["agreement"] == 1
    assert found["languages"]["layers"] == [1, 1]
    for text in TEXTS[:5]:
        a, b = (xlmr.load(folder).identify_language(text)[0] for folder in (speaking, tmp_path))
        assert (a.code, a.script) == (b.code, b.script)
        assert a.confidence == pytest.approx(b.confidence, abs=0.01)


def test_a_calibration_with_states_moves_with_them(tiny: Path, tmp_path: Path) -> None:
    """A model whose second layer is the only one left of the first's states."""
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    for folder in (teacher, student):
        folder.mkdir()
    put(take(checkpoint.open(tiny)), teacher)
    calibrate(teacher, states=True)
    of = checkpoint.open(teacher)
    found = refitting.write(shallower(take(of), [0]), of, student, TEXTS)["calibration"]  # after its first layer all is as it was
    assert found["kept"]
    assert found["layers"] == [1, 1]
    np.testing.assert_allclose(xlmr.load(student).embed(TEXTS), xlmr.load(teacher).embed(TEXTS), atol=2e-3)


def test_where_answers_agree_too_little_it_is_left_out(speaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refitting, "LEAST", 1.01)
    found = refitting.write(take(checkpoint.open(speaking)), checkpoint.open(speaking), tmp_path, TEXTS)
    assert not found["languages"]["kept"]
    assert attachments.names(tmp_path) == []
    (note,) = refitting.notes(found)
    assert "is left out" in note
    assert "xlmr fit languages" in note


def test_without_texts_it_is_left_out(speaking: Path, tmp_path: Path) -> None:
    found = refitting.write(take(checkpoint.open(speaking)), checkpoint.open(speaking), tmp_path, ["", " "])
    assert found == {"languages": {"kept": False, "texts": 0, "agreement": 0.0}}
    assert attachments.names(tmp_path) == []
    assert "there were no texts to fit it on" in refitting.notes(found)[0]
