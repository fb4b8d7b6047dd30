"""A whole model as one ONNX graph for any engine: operators of the standard, padded batches, Hugging Face's inputs and outputs.

The graphs of our own runtime, in `runtimes.onnx_graph`, pack their rows and take picks.

`fused` exchanges three of its parts for ONNX Runtime's own operators, which no other engine has.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from onnx import ModelProto, TensorProto

from xlmr.checkpoint import Checkpoint
from xlmr.config import Config
from xlmr.export import answers
from xlmr.export.answers import Task
from xlmr.runtimes.onnx_graph import UNSEEN, WORDS, Graph, Inputs, linear, norm

GRAPH, DATA = "model.onnx", "model.onnx.data"
"""The files of a model: the graph, and its weights where they are not in safetensors."""
OPSET = 17
"""The first with LayerNormalization: many engines are older than ours."""
IR_VERSION = 8
"""The file format of its time."""
LOWEST = {"float32": UNSEEN, "float16": -3e4}
"""What is added to scores of padding: finite, so that a row of nothing but padding gives numbers."""
MICROSOFT = "com.microsoft"


def model(of: Checkpoint, task: Task, dtype: str = "float32", *, fused: bool = False) -> ModelProto:
    """The graph of a checkpoint for a task; it points into the checkpoint's file of weights. `dtype` is the type of the arithmetic.

    Inputs: `input_ids` and `attention_mask`, int64 `[batch, sequence]`. Outputs: those of the task, float32 (`answers.shapes`).
    """
    graph = Graph({**of.stored, **(of.task.stored if of.task else {})}, dtype)
    parts: Parts = (Fused if fused else Portable)(graph, of.config, LOWEST[dtype])
    results = HEADS[task.name](graph, of.config, parts, encoder(graph, of.config, parts))
    inputs: Inputs = {name: (np.int64, ["batch", "sequence"]) for name in answers.INPUTS}
    shapes = answers.shapes(task, of)
    outputs = {name: (result, [*shapes[name]]) for name, result in zip(task.outputs, results, strict=True)}
    return graph.close(task.name, inputs, outputs, (OPSET, IR_VERSION))


def encoder(graph: Graph, config: Config, parts: Parts) -> str:
    """The last layer's states of all places, `[batch x sequence, width]`."""
    x = embed(graph, config)
    for i in range(config.layers):
        name = f"layers.{i}"
        query, key, value = (linear(graph, f"{name}.{part}", x) for part in ("query", "key", "value"))
        x = parts.add(f"{name}.attention_norm", x, linear(graph, f"{name}.attention_out", parts.attend(query, key, value)))
        x = parts.add(f"{name}.output_norm", x, linear(graph, f"{name}.shrink", parts.grow(f"{name}.grow", x)))
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


# -- the parts of a layer that there are two of; all take and give `[batch x sequence, …]` --


class Parts(Protocol):
    """Of a graph being written."""

    def __init__(self, graph: Graph, config: Config, lowest: float) -> None: ...

    def attend(self, query: str, key: str, value: str) -> str:
        """What each place reads from its row of the batch."""
        ...

    def add(self, name: str, x: str, read: str) -> str:
        """The sum, normalised."""
        ...

    def grow(self, name: str, x: str) -> str:
        """A linear layer, and GELU after it, exact."""
        ...


class Portable:
    """In operators that every engine has: ONNX has had its own GELU only since operator set 20."""

    def __init__(self, graph: Graph, config: Config, lowest: float) -> None:
        self._graph, self._config = graph, config
        self._split = graph.node("Concat", graph.node("Shape", "input_ids"), graph.constant([config.heads, config.head_width]), axis=0)
        seen = graph.node("Cast", graph.node("Unsqueeze", "attention_mask", graph.constant([1, 2])), to=TensorProto.BOOL)
        self._unseen = graph.node("Where", seen, graph.number(0), graph.number(lowest))

    def attend(self, query: str, key: str, value: str) -> str:
        """By scores and shares."""
        graph = self._graph
        query, key, value = (
            graph.node("Transpose", graph.node("Reshape", of, self._split), perm=axes)
            for of, axes in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]), (value, [0, 2, 1, 3]))
        )
        scores = graph.node("Mul", graph.node("MatMul", query, key), graph.number(self._config.head_width**-0.5))
        shares = graph.node("Softmax", graph.node("Add", scores, self._unseen), axis=-1)
        read = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        return graph.node("Reshape", read, graph.constant([-1, self._config.attended]))

    def add(self, name: str, x: str, read: str) -> str:
        """By an addition and a normalisation."""
        return norm(self._graph, self._config, name, self._graph.node("Add", x, read))

    def grow(self, name: str, x: str) -> str:
        """By the error function."""
        graph, x = self._graph, linear(self._graph, name, x)
        grown = graph.node("Add", graph.node("Erf", graph.node("Mul", x, graph.number(0.5**0.5))), graph.number(1))
        return graph.node("Mul", graph.node("Mul", x, graph.number(0.5)), grown)


class Fused:
    """In ONNX Runtime's own operators. Source: its `docs/ContribOperators.md`."""

    def __init__(self, graph: Graph, config: Config, lowest: float) -> None:
        self._graph, self._config, self._lowest = graph, config, lowest
        self._rows = graph.node("Concat", graph.node("Shape", "input_ids"), graph.constant([config.attended]), axis=0)
        self._seen = graph.node("Cast", "attention_mask", to=TensorProto.INT32)

    def attend(self, query: str, key: str, value: str) -> str:
        """By MultiHeadAttention."""
        graph = self._graph
        rows = (graph.node("Reshape", of, self._rows) for of in (query, key, value))
        settings = {"num_heads": self._config.heads, "mask_filter_value": self._lowest}
        read = graph.node("MultiHeadAttention", *rows, "", self._seen, domain=MICROSOFT, **settings)
        return graph.node("Reshape", read, graph.constant([-1, self._config.attended]))

    def add(self, name: str, x: str, read: str) -> str:
        """By SkipLayerNormalization."""
        weight, bias = (self._graph.weight(f"{name}.{part}") for part in ("weight", "bias"))
        return self._graph.node("SkipLayerNormalization", x, read, weight, bias, domain=MICROSOFT, epsilon=self._config.norm_epsilon)

    def grow(self, name: str, x: str) -> str:
        """By BiasGelu."""
        product = self._graph.node("Gemm", x, self._graph.weight(f"{name}.weight"), transB=1)
        return self._graph.node("BiasGelu", product, self._graph.weight(f"{name}.bias"), domain=MICROSOFT)


# -- heads: of the encoder's states, the task's outputs --


def states(graph: Graph, config: Config, parts: Parts, x: str) -> list[str]:
    """The states as they are."""
    return [_as_rows(graph, x)]


def masks(graph: Graph, config: Config, parts: Parts, x: str) -> list[str]:
    """A score for every piece, at every place. A tied head points at the embeddings' bytes."""
    x = norm(graph, config, "head.norm", parts.grow("head.transform", x))
    words = graph.weight(WORDS if config.tied else "head.words.weight")
    return [_as_rows(graph, graph.node("Gemm", x, words, graph.weight("head.bias"), transB=1))]


def texts(graph: Graph, config: Config, parts: Parts, x: str) -> list[str]:
    """A score for every label, from the state of `<s>`."""
    first = graph.node("Gather", _as_rows(graph, x), graph.constant(0), axis=1)
    return [linear(graph, "task.out", graph.node("Tanh", linear(graph, "task.dense", first)))]


def tokens(graph: Graph, config: Config, parts: Parts, x: str) -> list[str]:
    """A score for every label, at every place; of a CRF the emissions."""
    return [_as_rows(graph, linear(graph, "task.out", x))]


def spans(graph: Graph, config: Config, parts: Parts, x: str) -> list[str]:
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
