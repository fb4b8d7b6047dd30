"""What is exported answers as the checkpoint does, through its own files; what does not is not there."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, export
from xlmr.errors import BadExport, BadInput
from xlmr.export import answers, parity
from xlmr.export.options import TARGETS, Onnx
from xlmr.export.parity import Asked

NEEDS = {"pytorch": "torch", "tensorflow": "tensorflow", "jax": "jax", "safetensors": "safetensors", "onnx": "onnxruntime"}
HEADS = (None, *(task.architecture for task in answers.HEADED))
EVERY = [pytest.param(of, marks=pytest.mark.skipif(find_spec(NEEDS[of]) is None, reason=f"needs {NEEDS[of]}")) for of in TARGETS]


def exported(target: str, model: Path, folder: Path | None, *, force: bool = False, **chosen: object) -> export.Exported:
    return export.run(target, {"source": model, "revision": None}, folder, TARGETS[target](**chosen), force=force)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("target", EVERY)
def test_every_target_answers_as_the_checkpoint_does(target: str, head: str | None, headed: Callable[..., Path], tmp_path: Path) -> None:
    model, chosen = headed(head), {"tensorflow": {"tflite": head is None}, "jax": {"stablehlo": True}}.get(target, {})
    found = exported(target, model, tmp_path / "out", **chosen)
    tasks = [task.name for task in answers.possible(checkpoint.open(model))]
    assert {of.task for of in found.parity.differences} == ({*tasks} if target == "tensorflow" else {*tasks[:1]})
    assert found.parity.largest <= 1e-4
    assert {of.artefact for of in found.parity.differences} <= {Path(name).name for name in found.files}
    report = json.loads((tmp_path / "out" / export.REPORT).read_text(encoding="utf-8"))
    assert report["target"] == target
    assert len(report["differences"]) == len(found.parity.differences)
    assert {path.name for path in tmp_path.iterdir()} <= {"out", head}


@pytest.mark.parametrize("target", EVERY)
def test_the_encoder_alone_can_be_exported(target: str, tiny: Path, tmp_path: Path) -> None:
    found = exported(target, tiny, tmp_path / "out", task="feature-extraction")
    assert {of.output for of in found.parity.differences} == {"last_hidden_state"}


def test_a_model_that_answers_otherwise_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = parity.expected
    monkeypatch.setattr(parity, "expected", lambda *given: {name: of + 2e-4 for name, of in wanted(*given).items()})
    with pytest.raises(BadExport, match=r"fill-mask: logits of the exported model\.onnx is up to 2.* off"):
        exported("onnx", tiny, tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_a_program_that_fails_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "PROGRAMS", tmp_path / "none")
    with pytest.raises(BadExport, match="does not run"):
        exported("onnx", tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_lost(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInput, match=r"holds mine\.txt; choose a new folder, or --force"):
        exported("onnx", tiny, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(parity, "PROGRAMS", tmp_path / "none")
        with pytest.raises(BadExport):
            exported("onnx", tiny, tmp_path, force=True)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"
    exported("onnx", tiny, tmp_path, force=True)
    assert not (tmp_path / "mine.txt").exists()


def test_a_task_that_the_weights_are_no_good_for_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="cannot be exported for 'token-classification'; its weights are good for fill-mask, feature-extraction"
    ):
        exported("onnx", tiny, tmp_path / "out", task="token-classification")


def test_a_target_that_is_not_known_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="target 'coreml' is not known; wanted one of onnx, pytorch"):
        export.run("coreml", {"source": tiny, "revision": None}, tmp_path / "out")
    with pytest.raises(BadInput, match="a new folder, --output, or, as a graph of ONNX, in place"):
        exported("onnx", tiny, None)
    with pytest.raises(BadInput, match="a new folder, --output, or, as a graph of ONNX, in place"):
        exported("onnx", tiny, tmp_path / "out", layout="in-place")


def test_questions_are_ragged_shortest_and_longest(tiny: Path) -> None:
    config = replace(checkpoint.open(tiny).config)
    lengths = [(ids != config.pad_id).sum(1).tolist() for ids in parity.questions(config)]
    assert lengths[0] == [1]
    assert len({*lengths[1]}) > 1
    assert lengths[2] == [config.longest]


def test_an_answer_that_is_missing_or_misshapen_is_no_answer(tiny: Path) -> None:
    ids, wanted = [np.array([[0, 5, 2]])], [{"logits": np.zeros((1, 3, 4), np.float32)}]
    asked = Asked("", tiny, "model", (answers.MASKS,))
    for found in ({}, {"fill-mask.logits.0": np.zeros((1, 3, 5), np.float32)}):
        with pytest.raises(BadExport, match="for logits, wanted the shape"):
            parity._difference(asked, answers.MASKS, "logits", ids, 1, found, wanted)
    off = {"fill-mask.logits.0": np.full((1, 3, 4), np.nan, np.float32)}
    assert not parity._difference(asked, answers.MASKS, "logits", ids, 1, off, wanted).largest <= 1


def test_options_are_those_of_the_command() -> None:
    from xlmr.cli import exporting
    from xlmr.export import options

    commands = exporting.export.commands
    assert commands.keys() == TARGETS.keys()
    shared = {"output", "force", "as_json", "model", "revision"}
    for name, of in TARGETS.items():
        assert {param.name for param in commands[name].params} - shared == {*of.__dataclass_fields__}
    assert [*exporting.TASKS] == [*answers.TASKS]
    layouts = {param.flag_value for param in commands["onnx"].params if param.name == "layout"}
    assert layouts | {Onnx().layout} == {*options.LAYOUTS}
