"""Of a quantized model the floats are exported that its integers stand for, and all that was fitted to it goes on fitting."""

import json
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, export, tensors
from xlmr.checkpoint import SavedHead, attachments, packing
from xlmr.checkpoint.folder import QUANTIZED
from xlmr.checkpoint.integers import Quantized
from xlmr.checkpoint.packing import Plan
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.export import WIDENED, beside
from xlmr.export.options import TARGETS, Onnx

MODES = {"int8 arithmetic": ("columns", 8), "int8 weights": ("blocks", 8), "int4 weights": ("blocks", 4)}


def integers(model: Path, folder: Path, layout: str = "columns", bits: int = 8) -> Path:
    """The model, its matrices rounded to integers, with what lies beside it."""
    of = checkpoint.open(model)
    head = SavedHead(of.task.architecture, of.task.labels, checkpoint.head_weights(of)) if of.task else None
    plans = {
        tensor.name: Plan("rows") if tensor.axes[0] in tensors.TABLES else Plan(layout, bits)
        for tensor in (*tensors.encoder(of.config), *tensors.mlm_head(of.config))
        if tensor.name in of.stored and len(tensor.axes) == 2 and tensor.axes[0] != "types"
    }
    folder.mkdir()
    beside.write(of, export.answers.find(of, None), folder)
    packing.write(folder / QUANTIZED, of.config, beside.Weights(of, export.answers.MASKS), plans, head)
    encoder = attachments.fingerprint(checkpoint.open(folder))
    for name in attachments.names(model):
        attachments.write(folder, name, attachments.read(of, name, ""), encoder)
    return folder


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", ["onnx", "safetensors"])
def test_what_is_written_has_the_floats_that_the_integers_stand_for(target: str, mode: str, tiny: Path, tmp_path: Path) -> None:
    model = integers(tiny, tmp_path / "model", *MODES[mode])
    found = export.run(target, model, tmp_path / "out", TARGETS[target]())
    before, after = checkpoint.open(model), checkpoint.open(tmp_path / "out")
    assert any(isinstance(held, Quantized) for held in before.stored.values())
    assert {held.dtype for held in after.stored.values()} == {"float32"}
    for name in before.stored:
        assert np.array_equal(checkpoint.read(before, name), checkpoint.read(after, name)), name
    assert found.parity.largest <= 1e-4
    assert WIDENED in found.notes
    assert {path.name for path in tmp_path.iterdir()} == {"model", "out"}


def test_a_quantized_tagger_keeps_its_head_and_its_field(linked: Path, tmp_path: Path) -> None:
    model = integers(linked, tmp_path / "model")
    found = export.run("onnx", model, tmp_path / "out")
    before, after = checkpoint.open(model), checkpoint.open(tmp_path / "out")
    assert [of.task for of in found.parity.differences] == ["token-classification"]
    assert after.task
    assert before.task
    assert after.task.labels == before.task.labels
    assert attachments.read(after, "tagging", "").arrays.keys() >= {"transitions", "start", "end"}


def test_what_was_fitted_to_a_quantized_encoder_fits_what_is_exported(speaking: Path, tmp_path: Path) -> None:
    export.run("safetensors", integers(speaking, tmp_path / "model"), tmp_path / "out")
    before, after = (attachments.read(checkpoint.open(tmp_path / name), "languages", "") for name in ("model", "out"))
    assert {name: array.tolist() for name, array in before.arrays.items()} == {name: array.tolist() for name, array in after.arrays.items()}


def test_what_was_fitted_to_another_encoder_is_refused(speaking: Path, tmp_path: Path) -> None:
    model = integers(speaking, tmp_path / "model")
    (model / "languages.safetensors").write_bytes((speaking / "languages.safetensors").read_bytes())
    with pytest.raises(BadCheckpoint, match="another encoder"):
        export.run("safetensors", model, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_a_graph_of_floats_does_not_lie_beside_integers(tiny: Path, tmp_path: Path) -> None:
    model = integers(tiny, tmp_path / "model")
    with pytest.raises(BadInput, match="quantized"):
        export.run("onnx", model, None, Onnx(layout="in-place"))


def test_the_report_says_of_what_kind_the_model_is(tiny: Path, tmp_path: Path) -> None:
    for name, model in (("floats", tiny), ("integers", integers(tiny, tmp_path / "model"))):
        export.run("safetensors", model, tmp_path / name)
        assert json.loads((tmp_path / name / export.REPORT).read_text(encoding="utf-8"))["quantized"] == (name == "integers")
