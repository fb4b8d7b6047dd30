"""Quantized models on the command line: made, looked at, asked, exported, learnt from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Done, valid
from quantizers import KINDS, quantized
from tuners import CLASSIFIER, TOPICS

ROWS = "text\tlabel\nthe cat\tcats\nthe dog\tdogs\nthe house\thouses\nthe cat reads\tcats\n"
QUICK = ("--epochs", 1, "--batch", 4, "--measurements", 1)


@pytest.fixture
def int8(tiny: Path, tmp_path: Path) -> Path:
    return quantized(tiny, tmp_path / "int8", rounding="nearest").folder


def test_it_is_made_and_told_as_its_schema_says(run: Callable[..., Done], tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the cat drinks water\nthe dog sleeps in the house\n", encoding="utf-8")
    given = ("--model", tiny, "--output", tmp_path / "out", "--sentences", 1, "--calibrate", f"en={tmp_path / 'texts.txt'}")
    (found,) = run("compress", "quantize", *given, "--keep-worst", 1, "--json").lines
    assert valid("compress.json", found)
    assert found["facts"]["calibration"]["languages"] == ["en"]
    assert len(found["facts"]["kept"]) == 1
    assert "model-int8.safetensors" in found["files"]
    assert any("transformers and what builds on it do not" in note for note in found["notes"])


def test_texts_to_calibrate_on_that_are_missing_or_empty_are_told(run: Callable[..., Done], tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    for file, said in (("missing.txt", "missing.txt"), ("empty.txt", "there are no texts to calibrate on")):
        done = run("compress", "quantize", "--model", tiny, "--output", tmp_path / "out", "--calibrate", f"en={tmp_path / file}")
        assert done.code == 1
        assert said in done.err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_info_says_what_is_stored(run: Callable[..., Done], tiny: Path, tmp_path: Path, kind: str) -> None:
    folder = quantized(tiny, tmp_path / "out", rounding="nearest", **KINDS[kind]).folder
    (found,) = run("info", "--model", folder, "--json").lines
    assert valid("info.json", found)
    assert found["types"] == (["float16", "int4", "int8"] if kind == "int4 weights" else ["float16", "int8"])
    written = (folder / "model-int8.safetensors").read_bytes()
    assert found["bytes"] == len(written) - 8 - int.from_bytes(written[:8], "little")
    (before,) = run("info", "--model", tiny, "--json").lines
    assert found["parameters"] == before["parameters"]
    assert found["bytes"] < 0.4 * before["bytes"]
    assert "int8" in run("info", "--model", folder).out


def test_an_export_says_that_it_is_floats(run: Callable[..., Done], int8: Path, tmp_path: Path) -> None:
    done = run("export", "onnx", "--model", int8, "--output", tmp_path / "out")
    assert done.code == 0
    assert "its weights are quantized: what was written has the floats that they stand for" in done.out
    (found,) = run("export", "safetensors", "--model", int8, "--output", tmp_path / "more", "--json").lines
    assert valid("export.json", found)
    assert found["notes"]
    done = run("export", "onnx", "--model", int8, "--in-place")
    assert done.code == 1
    assert "its weights are quantized, and graphs are written for floats; export to an --output" in done.err


def test_a_fine_tuned_model_is_evaluated(run: Callable[..., Done], tuned: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(ROWS, encoding="utf-8")
    folder = quantized(tuned(CLASSIFIER, TOPICS), tmp_path / "out", rounding="nearest").folder
    (found,) = run("evaluate", "classify", "--model", folder, f"en={tmp_path / 'dev.tsv'}", "--json").lines
    assert found["counts"] == {"en": 4}


def test_it_learns_as_floats_and_says_so(run: Callable[..., Done], int8: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.tsv").write_text(ROWS, encoding="utf-8")
    done = run("finetune", "classify", "--model", int8, "--train", f"en={tmp_path / 'train.tsv'}", "--output", tmp_path / "out", *QUICK)
    assert done.code == 0
    assert "is quantized: what learns is the floats that its integers stand for, and is saved as floats" in done.err
    (found,) = run("info", "--model", tmp_path / "out", "--json").lines
    assert found["types"] == ["float32"]
    assert json.loads((tmp_path / "out" / "finetuning.json").read_text(encoding="utf-8"))["model"] == str(int8)
