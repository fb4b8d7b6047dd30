"""A whole model as one ONNX graph for any engine: only operators of the ONNX standard, padded batches, and inputs and outputs by Hugging
Face's names. (The graphs of our own runtime, in `runtimes.onnx_graph`, pack their rows and take picks.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto

from xlmr.checkpoint import Checkpoint
from xlmr.config import Config
from xlmr.export import answers
from xlmr.export.answers import Task
from xlmr.runtimes.onnx_graph import UNSEEN, WORDS, Graph, Inputs, linear, norm

if TYPE_CHECKING:
    pass


def model(of: Checkpoint, task: Task) -> ModelProto:
    """The graph of a checkpoint for a task; it points into the checkpoint's file of weights.

    Inputs: `input_ids` and `attention_mask`, int64 `[batch, sequence]`. Outputs: those of the task, float32 (`answers.shapes`).
    """
    graph = Graph({**of.stored, **(of.task.stored if of.task else {})})
    results = HEADS[task.name](graph, of.config, encoder(graph, of.config))
    inputs: Inputs = {name: (np.int64, ["batch", "sequence"]) for name in answers.INPUTS}
    shapes = answers.shapes(task, of)
    return graph.close_all(task.name, inputs, {name: (result, [*shapes[name]]) for name, result in zip(task.outputs, results, strict=True)})


def encoder(graph: Graph, config: Config) -> str:
    """The last layer's states of all places, `[batch x sequence, width]`."""
    split = graph.node("Concat", graph.node("Shape", "input_ids"), graph.constant([config.heads, config.head_width]), axis=0)
    seen = graph.node("Cast", graph.node("Unsqueeze", "attention_mask", graph.constant([1, 2])), to=TensorProto.BOOL)
    unseen = graph.node("Where", seen, graph.constant(0, np.float32), graph.constant(UNSEEN, np.float32))
    x = embed(graph, config)
    for i in range(config.layers):
        x = block(graph, config, f"layers.{i}", x, split, unseen)
    return x


def embed(graph: Graph, config: Config) -> str:
    """The embeddings. Positions count the ids that are no padding, from `pad_id + 1`; the mask has no part in that, as in transformers."""
    real = graph.node("Cast", graph.node("Not", graph.node("Equal", "input_ids", graph.constant(config.pad_id))), to=TensorProto.INT64)
    counted = graph.node("Mul", graph.node("CumSum", real, graph.constant(1)), real)
    positions = graph.node("Add", counted, graph.constant(config.pad_id))
    words, places = (
        graph.rows_of(name, graph.node("Reshape", ids, graph.constant([-1])))
        for name, ids in ((WORDS, "input_ids"), ("embeddings.positions.weight", positions))
    )
    types = graph.rows_of("embeddings.types.weight", graph.constant([0]))
    return norm(graph, config, "embeddings.norm", graph.node("Add", graph.node("Add", words, places), types))


def block(graph: Graph, config: Config, name: str, x: str, split: str, unseen: str) -> str:
    """One layer, `[batch x sequence, width]`."""
    read = linear(graph, f"{name}.attention_out", attend(graph, config, name, x, split, unseen))
    x = norm(graph, config, f"{name}.attention_norm", graph.node("Add", x, read))
    grown = gelu(graph, linear(graph, f"{name}.grow", x))
    return norm(graph, config, f"{name}.output_norm", graph.node("Add", x, linear(graph, f"{name}.shrink", grown)))


def attend(graph: Graph, config: Config, name: str, x: str, split: str, unseen: str) -> str:
    """What each place reads from its row of the batch."""
    query, key, value = (
        graph.node("Transpose", graph.node("Reshape", linear(graph, f"{name}.{part}", x), split), perm=axes)
        for part, axes in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scores = graph.node("Mul", graph.node("MatMul", query, key), graph.constant(config.head_width**-0.5, np.float32))
    shares = graph.node("Softmax", graph.node("Add", scores, unseen), axis=-1)
    read = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", read, graph.constant([-1, config.width]))


def gelu(graph: Graph, x: str) -> str:
    """Exact, in operators that every engine has: ONNX has had its own only since operator set 20."""
    grown = graph.node("Erf", graph.node("Mul", x, graph.constant(0.5**0.5, np.float32)))
    return graph.node("Mul", graph.node("Mul", x, graph.constant(0.5, np.float32)), graph.node("Add", grown, graph.constant(1, np.float32)))


# -- heads: of the encoder's states, the task's outputs --


def states(graph: Graph, config: Config, x: str) -> list[str]:
    """The states as they are."""
    return [_as_rows(graph, x)]


def masks(graph: Graph, config: Config, x: str) -> list[str]:
    """A score for every piece, at every place. A tied head points at the embeddings' bytes."""
    x = norm(graph, config, "head.norm", gelu(graph, linear(graph, "head.transform", x)))
    words = graph.weight(WORDS if config.tied else "head.words.weight")
    return [_as_rows(graph, graph.node("Gemm", x, words, graph.weight("head.bias"), transB=1))]


def texts(graph: Graph, config: Config, x: str) -> list[str]:
    """A score for every label, from the state of `<s>`."""
    first = graph.node("Gather", _as_rows(graph, x), graph.constant(0), axis=1)
    return [linear(graph, "task.out", graph.node("Tanh", linear(graph, "task.dense", first)))]


def tokens(graph: Graph, config: Config, x: str) -> list[str]:
    """A score for every label, at every place; of a CRF the emissions."""
    return [_as_rows(graph, linear(graph, "task.out", x))]


def spans(graph: Graph, config: Config, x: str) -> list[str]:
    """Whether an answer begins at a place, and whether it ends there."""
    both = _as_rows(graph, linear(graph, "task.out", x))
    return [graph.node("Gather", both, graph.constant(i), axis=2) for i in (0, 1)]


HEADS = {
    "feature-extraction": states,
    "fill-mask": masks,
    "text-classification": texts,
    "token-classification": tokens,
    "question-answering": spans,
}


def _as_rows(graph: Graph, x: str) -> str:
    """`[batch x sequence, n]` to `[batch, sequence, n]`."""
    return graph.node("Reshape", x, graph.node("Concat", graph.node("Shape", "input_ids"), graph.constant([-1]), axis=0))
