"""A SavedModel is one that any program of TensorFlow takes."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest
from test_export import exported

from xlmr import checkpoint
from xlmr.errors import BadExport, BadInput, MissingExtra
from xlmr.export import answers

tf = pytest.importorskip("tensorflow")
from xlmr.export import tensorflow as target  # noqa: E402  # which needs it


def test_there_is_a_signature_for_every_task(headed: Callable[..., Path], tmp_path: Path) -> None:
    model = headed("XLMRobertaForQuestionAnswering")
    exported("tensorflow", model, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    tasks = answers.possible(checkpoint.open(model))
    assert {*loaded.signatures} == {"serving_default", *(task.signature for task in tasks)}
    for task in tasks:
        signature = loaded.signatures[task.signature]
        inputs = signature.structured_input_signature[1]
        assert {name: (of.dtype, of.shape.as_list()) for name, of in inputs.items()} == dict.fromkeys(
            answers.INPUTS, (tf.int64, [None, None])
        )
        assert {*signature.structured_outputs} == {*task.outputs}


def test_weights_are_variables(tiny: Path, tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    exported("tensorflow", tiny, tmp_path / "out")
    size = sum(4 * prod(of.shape) for of in checkpoint.open(tiny).stored.values())
    assert (tmp_path / "out" / "variables" / "variables.data-00000-of-00001").stat().st_size >= size
    held = SavedModel.FromString((tmp_path / "out" / "saved_model.pb").read_bytes())
    constants = [node for of in held.meta_graphs[0].graph_def.library.function for node in of.node_def if node.op == "Const"]
    assert len(constants) > 10
    assert max(prod(dim.size for dim in of.attr["value"].tensor.tensor_shape.dim) for of in constants) < 100


def test_a_model_for_litert_that_would_be_too_large_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlmr.export.tensorflow.MOST", 1000)
    with pytest.raises(BadInput, match="a model for LiteRT holds 1,000; leave out --tflite"):
        exported("tensorflow", tiny, tmp_path / "out", tflite=True)
    assert not (tmp_path / "out").exists()


def test_a_model_for_litert_has_the_head_and_any_batch_and_length(headed: Callable[..., Path], tmp_path: Path) -> None:
    head = "XLMRobertaForTokenClassification"
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    found = exported("tensorflow", headed(head), tmp_path / "out", tflite=True)
    task = answers.possible(checkpoint.open(headed(head)))[0]
    assert [(of.task, of.output) for of in found.parity.differences if of.artefact == target.LITE] == [
        (task.name, output) for output in task.outputs
    ]
    runner = interpreter(str(tmp_path / "out" / target.LITE)).get_signature_runner("serving_default")
    for shape in ((1, 3), (4, 7)):
        ids = np.full(shape, 5)
        given = runner(input_ids=ids, attention_mask=np.ones_like(ids))
        assert {*given} == {*task.outputs}
        sizes = {"batch": shape[0], "sequence": shape[1]}
        for name, wanted in answers.shapes(task, checkpoint.open(headed(head))).items():
            assert given[name].shape == tuple(sizes.get(str(size), size) for size in wanted)


def test_what_tensorflow_cannot_convert_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an operator that LiteRT has not."""
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setitem(target.HEADS, "feature-extraction", lambda encoder, states: [tf.math.betainc(states, states, states)])
    with pytest.raises(BadExport, match=r"feature-extraction: TensorFlow cannot convert it to model\.tflite \(.*leave out --tflite"):
        exported("tensorflow", tiny, tmp_path / "out", task="feature-extraction", tflite=True)
    assert not [*tmp_path.iterdir()]


def test_without_litert_its_extra_is_named_before_anything_is_written(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"asking model\.tflite what it answers needs packages .* pip install 'xlmr\[tensorflow\]'"):
        exported("tensorflow", tiny, tmp_path / "out", tflite=True)
    assert not (tmp_path / "out").exists()
