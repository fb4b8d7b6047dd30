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
from xlmr.export import Options, answers, parity

NEEDS = {"pytorch": "torch", "tensorflow": "tensorflow", "jax": "jax", "safetensors": "transformers", "onnx": "onnxruntime"}
HEADS = (None, "XLMRobertaForSequenceClassification", "XLMRobertaForTokenClassification", "XLMRobertaForQuestionAnswering")
TARGETS = [pytest.param(of, marks=pytest.mark.skipif(find_spec(NEEDS[of]) is None, reason=f"needs {NEEDS[of]}")) for of in export.TARGETS]


def exported(target: str, model: Path, folder: Path, *, force: bool = False, **chosen: object) -> export.Exported:
    return export.run(target, {"source": model, "revision": None}, folder, Options(**chosen), force=force)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_answers_as_the_checkpoint_does(target: str, head: str | None, headed: Callable[..., Path], tmp_path: Path) -> None:
    found = exported(target, headed(head), tmp_path / "out")
    assert found.parity.task == next(
        task.name for task in answers.TASKS.values() if task.architecture == head and task.name != "feature-extraction"
    )
    assert all(of.largest <= 1e-4 for of in found.parity.outputs.values())
    report = json.loads((tmp_path / "out" / export.REPORT).read_text(encoding="utf-8"))
    assert report["target"] == target
    assert report["outputs"].keys() == found.parity.outputs.keys()
    assert {path.name for path in tmp_path.iterdir()} <= {"out", head}


@pytest.mark.parametrize("target", TARGETS)
def test_the_encoder_alone_can_be_exported(target: str, tiny: Path, tmp_path: Path) -> None:
    found = exported(target, tiny, tmp_path / "out", task="feature-extraction")
    assert {*found.parity.outputs} == {"last_hidden_state"}


@pytest.mark.parametrize("layout", ["beside", "external", "single"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_graph_lies_as_it_was_asked_to(layout: str, dtype: str, tiny: Path, tmp_path: Path) -> None:
    found = exported("onnx", tiny, tmp_path / "out", layout=layout, dtype=dtype)
    data = {"beside": "model.safetensors", "external": "model.onnx.data"}.get(layout)
    assert {*found.files} & {"model.safetensors", "model.onnx.data"} == {data} - {None}


def test_a_model_that_answers_otherwise_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = parity.expected
    monkeypatch.setattr(parity, "expected", lambda *given: {name: of + 2e-4 for name, of in wanted(*given).items()})
    with pytest.raises(BadExport, match=r"fill-mask: logits of the exported model is up to 2.* off"):
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
    with pytest.raises(BadInput, match="target 'coreml' is not known"):
        exported("coreml", tiny, tmp_path / "out")


def test_questions_are_ragged_shortest_and_longest(tiny: Path) -> None:
    config = replace(checkpoint.open(tiny).config)
    lengths = [(ids != config.pad_id).sum(1).tolist() for ids in parity.questions(config)]
    assert lengths[0] == [1]
    assert len({*lengths[1]}) > 1
    assert lengths[2] == [config.longest]


def test_an_answer_that_is_missing_or_misshapen_is_no_answer(tiny: Path) -> None:
    ids, wanted = [np.array([[0, 5, 2]])], [{"logits": np.zeros((1, 3, 4), np.float32)}]
    for found in ({}, {"logits.0": np.zeros((1, 3, 5), np.float32)}):
        with pytest.raises(BadExport, match="for logits, wanted the shape"):
            parity._difference("logits", ids, found, wanted, 1)
    off = {"logits.0": np.full((1, 3, 4), np.nan, np.float32)}
    assert not parity._difference("logits", ids, off, wanted, 1).largest <= 1
