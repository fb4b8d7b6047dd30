"""What is exported answers as the checkpoint does, through its own files; what does not is not there."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, export
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadExport, BadInput
from xlmr.export import answers, onnx_model, parity
from xlmr.export.options import TARGETS, Onnx
from xlmr.export.parity import Asked
from xlmr.runtimes.onnx_graph import Graph

NEEDS = {"pytorch": "torch", "tensorflow": "tensorflow", "jax": "jax", "safetensors": "safetensors", "onnx": "onnxruntime"}
HEADS = (None, *(task.architecture for task in answers.HEADED))
EVERY = [pytest.param(of, marks=pytest.mark.skipif(find_spec(NEEDS[of]) is None, reason=f"needs {NEEDS[of]}")) for of in TARGETS]


def exported(target: str, model: Path, folder: Path | None, *, force: bool = False, **chosen: object) -> export.Exported:
    return export.run(target, model, folder, TARGETS[target](**chosen), force=force)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("target", EVERY)
def test_every_target_answers_as_the_checkpoint_does(target: str, head: str | None, headed: Callable[..., Path], tmp_path: Path) -> None:
    lite = find_spec("ai_edge_litert") is not None
    model, chosen = headed(head), {"tensorflow": {"tflite": lite}, "jax": {"stablehlo": True}}.get(target, {})
    found = exported(target, model, tmp_path / "out", **chosen)
    tasks = [task.name for task in answers.possible(checkpoint.open(model))]
    assert {of.task for of in found.parity.differences} == ({*tasks} if target == "tensorflow" else {*tasks[:1]})
    assert found.parity.largest <= 1e-4
    assert {of.artefact for of in found.parity.differences} <= {Path(name).name for name in found.files}
    assert ("model.tflite" in {of.artefact for of in found.parity.differences}) == chosen.get("tflite", False)
    report = json.loads((tmp_path / "out" / export.REPORT).read_text(encoding="utf-8"))
    assert report["target"] == target
    assert report["versions"].keys() >= {"python", "xlmr", "numpy"}
    assert not [path for path in (tmp_path / "out").rglob("*") if "pycache" in path.name or path.name.startswith(".")]
    assert len(report["differences"]) == len(found.parity.differences)
    assert {path.name for path in tmp_path.iterdir()} <= {"out", head}


@pytest.mark.parametrize("target", EVERY)
def test_the_encoder_alone_can_be_exported(target: str, tiny: Path, tmp_path: Path) -> None:
    found = exported(target, tiny, tmp_path / "out", task="feature-extraction")
    assert {of.output for of in found.parity.differences} == {"last_hidden_state"}


ODD = {
    "untied": ({"tied": False, "pad_id": 5, "norm_epsilon": 1e-6}, {"dtype": "bfloat16"}),
    "headless": ({"layers": 1}, {"dtype": "float16", "head": False}),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("target", EVERY)
def test_other_models_answer_as_the_checkpoint_does(
    target: str, kind: str, tiny: Path, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """A head of its own, other padding, half precision; no head at all."""
    sizes, stored = ODD[kind]
    found = exported(target, make_checkpoint(replace(checkpoint.open(tiny).config, **sizes), **stored), tmp_path / "out")
    assert found.parity.largest <= 1e-4


def test_a_regression_keeps_its_problem(tuned: Callable[..., Path], tmp_path: Path) -> None:
    model = tuned("XLMRobertaForSequenceClassification", ("stars",), problem="regression")
    exported("onnx", model, tmp_path / "out")
    assert checkpoint.open(tmp_path / "out").config.problem == "regression"


def test_a_model_that_answers_otherwise_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = parity.expected
    monkeypatch.setattr(parity, "expected", lambda *given: {name: of + 2e-4 for name, of in wanted(*given).items()})
    with pytest.raises(BadExport, match=r"fill-mask: logits of the exported model\.onnx is up to 2.* off .* --tolerance allows more"):
        exported("onnx", tiny, tmp_path / "out")
    assert not [*tmp_path.iterdir()]
    assert exported("onnx", tiny, tmp_path / "out", tolerance=3e-4).parity.largest > 1e-4


def test_in_half_precision_what_is_off_on_average_is_no_rounding(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a factor of less than the largest number may be off."""
    wanted = parity.expected
    monkeypatch.setattr(parity, "expected", lambda *given: {name: 1.015 * of for name, of in wanted(*given).items()})
    with pytest.raises(BadExport, match=r"fill-mask: logits of the exported model\.onnx is on average .* off .* --tolerance allows more"):
        exported("onnx", tiny, tmp_path / "out", dtype="float16")
    assert not [*tmp_path.iterdir()]
    (apart,) = exported("onnx", tiny, tmp_path / "out", dtype="float16", tolerance=0.1).parity.differences
    assert apart.allowed == apart.allowed_mean == 0.1
    monkeypatch.undo()
    (apart,) = exported("onnx", tiny, tmp_path / "out", dtype="float16", force=True).parity.differences
    assert 4 * apart.mean < apart.allowed_mean < apart.allowed


def test_a_model_that_does_not_look_at_its_mask_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask is taken from the ids instead, which no padded batch could tell."""
    made = onnx_model.Portable.__init__

    def blind(parts: onnx_model.Portable, graph: Graph, config: Config, lowest: float) -> None:
        made(parts, graph, config, lowest)
        seen = graph.node("Not", graph.node("Equal", "input_ids", graph.constant(config.pad_id)))
        wide = graph.node("Unsqueeze", seen, graph.constant([1, 2]))
        parts._unseen = graph.node("Where", wide, graph.number(0), graph.number(lowest))

    monkeypatch.setattr(onnx_model.Portable, "__init__", blind)
    with pytest.raises(BadExport, match=r"logits of the exported model\.onnx depends on tokens that attention_mask hides"):
        exported("onnx", tiny, tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_a_program_that_fails_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "PROGRAMS", tmp_path / "none")
    with pytest.raises(BadExport, match="does not run"):
        exported("onnx", tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_lost(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    exported("onnx", tiny, out)
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInput, match=r"holds config\.json, mine\.txt, model\.onnx …; choose a new folder, or --force"):
        exported("onnx", tiny, out)
    with monkeypatch.context() as broken:
        broken.setattr(parity, "PROGRAMS", tmp_path / "none")
        with pytest.raises(BadExport):
            exported("onnx", tiny, out, force=True)
    assert (out / "mine.txt").read_text(encoding="utf-8") == "mine"
    exported("onnx", tiny, out, force=True)
    assert not (out / "mine.txt").exists()


def test_nothing_but_an_export_is_replaced(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, around = tmp_path / "around" / "model", tmp_path / "around"
    shutil.copytree(tiny, model)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=r"holds thesis\.txt and no parity\.json, so it is not an export"):
        exported("onnx", model, tmp_path / "mine", force=True)
    for output in (model, around, Path("/")):
        with pytest.raises(BadInput, match="is the model itself, or holds it; choose a folder of its own"):
            exported("onnx", model, output, force=True)
    monkeypatch.chdir(tmp_path / "mine")
    for output in (Path(), tmp_path / "mine"):
        with pytest.raises(BadInput, match="is the folder you are in, or holds it"):
            exported("onnx", model, output, force=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_tokenizer_is_found_before_anything_is_written(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("no json", encoding="utf-8")
    with pytest.raises(BadCheckpoint, match=r"tokenizer\.json"):
        exported("safetensors", tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_head_that_is_not_exported_is_not_left_out_unasked(tuned: Callable[..., Path], tmp_path: Path) -> None:
    model = tuned("XLMRobertaForMultipleChoice")
    with pytest.raises(BadInput, match="its head is for multiple choice, which is not exported; --task feature-extraction leaves it out"):
        exported("onnx", model, tmp_path / "out")
    exported("onnx", model, tmp_path / "out", task="feature-extraction")


@pytest.mark.parametrize(
    "chosen", [{"dtype": "bfloat16"}, {"layout": "sngle"}, {"server": "tf-serving"}, {"tolerance": 0.0}, {"tolerance": float("inf")}]
)
def test_an_option_that_is_not_known_is_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(chosen))} is .*, wanted"):
        Onnx(**chosen)


def test_a_task_that_the_weights_are_no_good_for_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="cannot be exported for 'token-classification'; its weights are good for fill-mask, feature-extraction"
    ):
        exported("onnx", tiny, tmp_path / "out", task="token-classification")


def test_a_target_that_is_not_known_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="target 'coreml' is not known; wanted one of onnx, pytorch"):
        export.run("coreml", tiny, tmp_path / "out")
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
    opened, ids = checkpoint.open(tiny), [np.array([[0, 5, 2]])]
    asked = Asked("", tiny, "model", (answers.MASKS,))
    for found in ({}, {"fill-mask.logits.0": np.zeros((1, 3, 5), np.float32)}):
        with pytest.raises(BadExport, match=r"for fill-mask\.logits\.0, wanted the shape"):
            parity._compare(answers.MASKS, [(asked, found)], ids, opened)
    off = {"fill-mask.logits.0": np.full((1, 3, opened.config.vocabulary), np.nan, np.float32)}
    (found,) = parity._compare(answers.MASKS, [(asked, off)], ids, opened)
    assert found.largest == np.inf


def test_options_are_those_of_the_command() -> None:
    from xlmr.cli import exporting
    from xlmr.export import options

    commands = exporting.export.commands
    assert commands.keys() == TARGETS.keys()
    shared = {"output", "force", "as_json", "model", "revision"}
    for name, of in TARGETS.items():
        layouts = {flag.removeprefix("--").replace("-", "_"): "layout" for flag in exporting.LAYOUTS}
        assert {layouts.get(str(param.name), param.name) for param in commands[name].params} - shared == {*of.__dataclass_fields__}
    assert [*exporting.TASKS] == [*answers.TASKS]
    assert {*exporting.LAYOUTS.values(), Onnx().layout} == {*options.LAYOUTS}
