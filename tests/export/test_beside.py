"""An export that is a checkpoint answers as the model does: with what was fitted to it, and with its head's transitions."""

from pathlib import Path

import pytest
from safetensors.numpy import load_file
from test_export import exported
from tuners import NAMES

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments

TEXT = "the cat drinks water."


@pytest.mark.parametrize("target", ["onnx", "pytorch", "safetensors"])
def test_transitions_come_along_with_the_emissions(target: str, linked: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch" if target == "pytorch" else "onnx")
    (note,) = exported(target, linked, tmp_path / "out").notes
    assert "of a CRF the transitions, lie in tagging.safetensors" in note
    assert xlmr.load(tmp_path / "out").tag(TEXT) == xlmr.load(linked).tag(TEXT)
    assert load_file(tmp_path / "out" / "tagging.safetensors").keys() == load_file(linked / "tagging.safetensors").keys()
    assert load_file(tmp_path / "out" / "tagging.safetensors")["transitions"].shape == (len(NAMES), len(NAMES))


def test_of_the_encoder_alone_the_head_is_left_out(linked: Path, tmp_path: Path) -> None:
    exported("onnx", linked, tmp_path / "out", task="feature-extraction")
    assert checkpoint.open(tmp_path / "out").task is None
    assert attachments.names(tmp_path / "out") == []


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_fitted_to_the_encoder_fits_the_export(dtype: str, speaking: Path, tmp_path: Path) -> None:
    exported("safetensors", speaking, tmp_path / "out", dtype=dtype)
    assert xlmr.load(tmp_path / "out").identify_language(TEXT)[0].code == xlmr.load(speaking).identify_language(TEXT)[0].code
