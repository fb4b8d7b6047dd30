"""A graph lies as it was asked to, in operators that every engine has, and other engines answer with it."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from test_export import HEADS, exported

from xlmr import checkpoint
from xlmr.checkpoint import saving
from xlmr.checkpoint.folder import TOKENIZER, WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import answers, onnx_model, parity
from xlmr.export.onnx import DATA, GRAPH

SESSION = {"providers": ["CPUExecutionProvider"]}


def answered(path: Path, ids: np.ndarray, pad_id: int) -> list[np.ndarray]:
    feed = {"input_ids": ids, "attention_mask": (ids != pad_id).astype(np.int64)}
    return onnxruntime.InferenceSession(path, **SESSION).run(None, feed)


@pytest.mark.parametrize("layout", ["beside", "external", "single"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_graph_lies_as_it_was_asked_to(layout: str, dtype: str, tiny: Path, tmp_path: Path) -> None:
    found = exported("onnx", tiny, tmp_path / "out", layout=layout, dtype=dtype)
    data = {"beside": WEIGHTS, "external": DATA}.get(layout)
    assert {*found.files} & {WEIGHTS, DATA} == {data} - {None}
    kinds = Counter(of.data_type for of in onnx.load(tmp_path / "out" / GRAPH).graph.initializer if of.name.endswith("weight"))
    assert kinds.keys() == {onnx.TensorProto.FLOAT if dtype == "float32" else onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("head", HEADS)
def test_inputs_outputs_and_axes_are_named_as_hugging_face_names_them(
    head: str | None, headed: Callable[..., Path], tmp_path: Path
) -> None:
    model = checkpoint.open(headed(head))
    for task in answers.possible(model):
        exported("onnx", model.folder, tmp_path / task.name, task=task.name)
        graph = onnx.load(tmp_path / task.name / GRAPH, load_external_data=False).graph
        sizes = {of.name: [dim.dim_param or dim.dim_value for dim in of.type.tensor_type.shape.dim] for of in (*graph.input, *graph.output)}
        assert sizes.pop("input_ids") == sizes.pop("attention_mask") == ["batch", "sequence"]
        assert sizes == {name: [*shape] for name, shape in answers.shapes(task, model).items()}


def test_operators_are_those_of_the_standard(tiny: Path) -> None:
    model = onnx_model.model(checkpoint.open(tiny), answers.MASKS)
    assert {of.domain: of.version for of in model.opset_import} == {"": 17}
    assert {node.domain for node in model.graph.node} == {""}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("head", HEADS)
def test_fused_operators_answer_alike(head: str | None, dtype: str, headed: Callable[..., Path], tmp_path: Path) -> None:
    exported("onnx", headed(head), tmp_path / "out", fused=True, dtype=dtype)
    graph = onnx.load(tmp_path / "out" / GRAPH, load_external_data=False).graph
    kinds = {of.data_type for of in graph.initializer if of.name.endswith("weight")}
    assert kinds == {onnx.TensorProto.FLOAT if dtype == "float32" else onnx.TensorProto.FLOAT16}
    found = {node.op_type for node in graph.node if node.domain}
    assert found == {"MultiHeadAttention", "SkipLayerNormalization", "BiasGelu"}


def test_in_place_nothing_is_copied(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    opened = checkpoint.open(tiny)
    saving.save(model, opened.config, checkpoint.weights(opened), tokenizer=tiny / TOKENIZER)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    found = exported("onnx", model, None, layout="in-place")
    assert {*found.files} == {GRAPH, "parity.json"}
    assert {path.name for path in model.iterdir()} == {*before, *found.files}
    assert all((model / name).read_bytes() == held for name, held in before.items())
    assert (model / GRAPH).stat().st_size < 100_000
    with pytest.raises(BadInput, match=r"model\.onnx: is there already; --force replaces it"):
        exported("onnx", model, None, layout="in-place")
    exported("onnx", model, None, layout="in-place", force=True, task="feature-extraction")
    assert json.loads((model / "parity.json").read_text(encoding="utf-8"))["options"]["task"] == "feature-extraction"


def test_a_model_with_a_graph_in_place_is_no_export_that_another_may_replace(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    opened = checkpoint.open(tiny)
    saving.save(model, opened.config, checkpoint.weights(opened), tokenizer=tiny / TOKENIZER)
    exported("onnx", model, None, layout="in-place")
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    with pytest.raises(BadInput, match="is a model whose graph was exported in place"):
        exported("onnx", tiny, model, force=True)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


def test_a_graph_in_place_that_answers_otherwise_is_not_there(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = checkpoint.open(tiny)
    saving.save(tmp_path / "model", opened.config, checkpoint.weights(opened), tokenizer=tiny / TOKENIZER)
    before = {*(tmp_path / "model").iterdir()}
    monkeypatch.setattr(parity, "expected", lambda *given: {"logits": np.zeros((*given[-1].shape, opened.config.vocabulary), np.float32)})
    with pytest.raises(parity.BadExport):
        exported("onnx", tmp_path / "model", None, layout="in-place")
    assert {*(tmp_path / "model").iterdir()} == before


def test_the_model_inside_is_not_written_to() -> None:
    with pytest.raises(BadInput, match="the model inside belongs to the package; export it to an --output"):
        exported("onnx", None, None, layout="in-place")


def test_one_file_that_would_be_too_large_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlmr.export.onnx.MOST", 1000)
    with pytest.raises(BadInput, match=r"and one file of ONNX holds 1,000; leave out --single-file"):
        exported("onnx", tiny, tmp_path / "out", layout="single")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["beside", "external", "single"])
def test_onnx_itself_computes_it(layout: str, tiny: Path, tmp_path: Path) -> None:
    """By its reference evaluator, which is in NumPy and has nothing of ONNX Runtime."""
    exported("onnx", tiny, tmp_path / "out", layout=layout)
    from onnx.reference import ReferenceEvaluator

    config, ids = checkpoint.open(tiny).config, parity.questions(checkpoint.open(tiny).config)[1]
    feed = {"input_ids": ids, "attention_mask": (ids != config.pad_id).astype(np.int64)}
    (found,) = ReferenceEvaluator(onnx.load(tmp_path / "out" / GRAPH)).run(None, feed)
    (wanted,) = answered(tmp_path / "out" / GRAPH, ids, config.pad_id)
    assert np.abs(found - wanted)[ids != config.pad_id].max() <= 1e-4


@pytest.mark.parametrize("layout", ["beside", "single"])
def test_openvino_computes_it(layout: str, tiny: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    exported("onnx", tiny, tmp_path / "out", layout=layout)
    config, ids = checkpoint.open(tiny).config, parity.questions(checkpoint.open(tiny).config)[1]
    model = openvino.compile_model(tmp_path / "out" / GRAPH, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # else some processors take bf16
    found = model([ids, (ids != config.pad_id).astype(np.int64)])["logits"]
    (wanted,) = answered(tmp_path / "out" / GRAPH, ids, config.pad_id)
    assert np.abs(found - wanted)[ids != config.pad_id].max() <= 1e-4


@pytest.mark.parametrize("layout", ["beside", "external", "single"])
def test_onnx_runtime_quantizes_it_unmodified(layout: str, tiny: Path, tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static

    exported("onnx", tiny, tmp_path / "out", layout=layout)
    config, batches = checkpoint.open(tiny).config, parity.questions(checkpoint.open(tiny).config)

    left = [{"input_ids": ids, "attention_mask": (ids != config.pad_id).astype(np.int64)} for ids in batches]

    class Batches(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return left.pop() if left else None

    quantize_dynamic(tmp_path / "out" / GRAPH, tmp_path / "dynamic.onnx")
    quantize_static(tmp_path / "out" / GRAPH, tmp_path / "static.onnx", Batches())
    (wanted,) = answered(tmp_path / "out" / GRAPH, batches[1], config.pad_id)
    real = batches[1] != config.pad_id
    for name, operator in (("dynamic", "MatMulInteger"), ("static", "DequantizeLinear")):
        assert operator in {node.op_type for node in onnx.load(tmp_path / f"{name}.onnx").graph.node}
        (found,) = answered(tmp_path / f"{name}.onnx", batches[1], config.pad_id)
        one, other = found[real].ravel(), wanted[real].ravel()
        assert one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) > 0.98


def test_a_folder_can_be_moved(tiny: Path, tmp_path: Path) -> None:
    exported("onnx", tiny, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    code = f"import onnxruntime; onnxruntime.InferenceSession({str(tmp_path / 'elsewhere' / GRAPH)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={**os.environ})
