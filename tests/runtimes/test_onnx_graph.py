"""What the graphs hold and point at. That they compute the right thing is shown in test_parity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from xlmr import checkpoint, tensors
from xlmr.config import Config
from xlmr.runtimes import onnx as runtimes_onnx
from xlmr.runtimes import onnx_graph

CONFIG = Config(vocabulary=500, width=32, layers=3, heads=4, inner=64, positions=66)
WHOLE = range(CONFIG.layers + 1)
IDS = np.array([[0, 20, 30, 40, 2, 1, 1], [0, 7, 2, 1, 1, 1, 1], [0, 9, 8, 7, 6, 5, 2]])
REAL = np.flatnonzero(CONFIG.pad_id != IDS)


@pytest.fixture(scope="module", params=["float32", "float16", "bfloat16"])
def model(request, make_checkpoint):
    return checkpoint.open(make_checkpoint(CONFIG, dtype=request.param))


def graphs(model):
    return onnx_graph.encoder(model.config, model.stored, WHOLE), onnx_graph.mlm_head(model.config, model.stored)


def outside(graph):
    """The tensors a graph points at: name, and location, offset, length."""
    held = [tensor for tensor in graph.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    return {tensor.name: {entry.key: entry.value for entry in tensor.external_data} for tensor in held}


def test_no_weight_lies_inside(model):
    for graph in graphs(model):
        inside = [tensor for tensor in graph.graph.initializer if tensor.data_location != TensorProto.EXTERNAL]
        assert max((len(tensor.raw_data) for tensor in inside), default=0) <= 32


def test_the_graph_of_a_large_model_is_small():
    """94 kB for 2.2 GB, whatever the sizes: it is written from where the tensors lie, and nothing of them is read."""
    config = Config(width=1_024, layers=24, heads=16, inner=4_096)
    nowhere = {
        tensor.name: checkpoint.Stored(Path("nowhere"), offset=8, length=4, dtype="float32", shape=tensor.shape(config))
        for tensor in tensors.encoder(config)
    }
    assert onnx_graph.encoder(config, nowhere, range(25)).ByteSize() < 150_000


def test_every_tensor_is_pointed_at_where_it_lies(model):
    pointed = {}
    for graph in graphs(model):
        pointed |= outside(graph)
    assert pointed.keys() == model.stored.keys()
    for name, held in model.stored.items():
        assert pointed[name] == {"location": held.file.name, "offset": str(held.offset), "length": str(held.length)}


def test_a_tied_head_points_at_the_embeddings(make_checkpoint):
    tied, untied = (checkpoint.open(make_checkpoint(replace(CONFIG, tied=tied))) for tied in (True, False))
    words = "embeddings.words.weight"
    assert outside(onnx_graph.mlm_head(tied.config, tied.stored))[words] == outside(graphs(tied)[0])[words]
    assert words not in outside(onnx_graph.mlm_head(untied.config, untied.stored))


def test_a_span_points_at_its_own_layers_only(model):
    found = outside(onnx_graph.encoder(model.config, model.stored, range(2, 3)))
    assert {name.split(".")[1] for name in found} == {"1"}
    assert len(found) == len(tensors.LAYER)


def test_a_table_is_never_converted_whole(model):
    graph, _ = graphs(model)
    tables = {name for name in outside(graph) if name.startswith("embeddings.") and "norm" not in name}
    readers = {node.op_type for node in graph.graph.node if tables & set(node.input)}
    assert len(tables) == 3
    assert readers == {"Gather"}


def test_only_standard_operators(model):
    for graph in graphs(model):
        assert {node.domain for node in graph.graph.node} == {""}
        path = model.folder / "graph.onnx"  # beside the weights it points at
        path.write_bytes(graph.SerializeToString())
        onnx.checker.check_model(path, full_check=True)
        path.unlink()


def test_another_engine_computes_the_same(model):
    """ONNX's reference in NumPy, operator by operator, from the standard's text."""
    encoder, head = (ReferenceEvaluator(loaded(graph, model.folder)) for graph in graphs(model))
    runtime = runtimes_onnx.start(model, threads=1)
    (states,) = encoder.run(None, {"ids": IDS, "picks": REAL})
    np.testing.assert_allclose(states, runtime.hidden_states(IDS)[0].reshape(-1, CONFIG.width)[REAL], atol=1e-4)
    (logits,) = head.run(None, {"states": states})
    np.testing.assert_allclose(logits, runtime.mlm_logits(IDS, np.argwhere(CONFIG.pad_id != IDS)), atol=1e-4)


@pytest.mark.parametrize("cut", WHOLE[1:])
def test_two_spans_are_one_whole(model, cut):
    whole, low, high = (
        ReferenceEvaluator(loaded(onnx_graph.encoder(model.config, model.stored, span), model.folder))
        for span in (WHOLE, range(cut), range(cut, CONFIG.layers + 1))
    )
    picks = np.array([3, 0, 14, 3])
    (below,) = low.run(None, {"ids": IDS, "picks": REAL})
    (states,) = high.run(None, {"ids": IDS, "picks": picks, "below": below})
    np.testing.assert_allclose(states, whole.run(None, {"ids": IDS, "picks": picks})[0], atol=1e-5)


def loaded(graph, folder):
    """A graph with the weights it points at inside, for engines that want them there."""
    onnx.load_external_data_for_model(graph, str(folder))
    return graph
