"""The encoder and the masked-language-model head as ONNX graphs that hold no weights.

ONNX lets a tensor's numbers lie in another file, at an offset ("external data" in onnx.proto). A safetensors file is a header
and then the numbers as they are, so a graph can point into it: it is written in milliseconds and nothing is stored twice.

Arithmetic: RoBERTa's (Liu et al. 2019), normalised after each sub-layer. Operators of the ONNX standard, but where weights are quantized.
Linear layers see one row a token, without padding; only attention pads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, helper, numpy_helper

from xlmr.checkpoint.folder import numbers
from xlmr.checkpoint.integers import BLOCK, MOST, ZERO, Quantized
from xlmr.config import Config
from xlmr.errors import BadCheckpoint

if TYPE_CHECKING:
    from xlmr.checkpoint import Stored

WORDS = "embeddings.words.weight"
OPSET, IR_VERSION = 20, 9  # the first with Gelu, and the file format of its time
DTYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
ARITHMETIC: Mapping[str, type] = {"float32": np.float32, "float16": np.float16}
Inputs = dict[str, tuple[type, list[str | int]]]
Outputs = dict[str, tuple[str, list[str | int]]]
INTEGERS = {"rows": TensorProto.UINT8, "columns": TensorProto.INT8, "blocks": TensorProto.UINT8}
MICROSOFT = "com.microsoft"
"""Whose own operators ONNX Runtime has."""
FLOATS, INTEGERS_TOO = 1, 4
"""By which ONNX Runtime's operator for blocks computes in float32, or quantizes what it multiplies too (its `accuracy_level`)."""
NARROWEST, WIDEST = 16, 256
"""Inputs with one scale, that it takes at least and at most: a power of two."""
TINY = 1e-30
"""Of a row of zeros, so that none is divided by."""
UNSEEN = -1e9  # finite, so that a row of nothing but padding gives numbers


def encoder(config: Config, stored: Mapping[str, Stored], layers: range, *, watch: bool = False) -> ModelProto:
    """A span of layers; layer 0 is the embeddings, so `range(config.layers + 1)` is the whole encoder.

    Inputs: `ids` int64 `[batch, tokens]`, padded with `config.pad_id`; `picks` int64 `[picks]`, places in the flattened `ids`; and,
    where the span begins above the embeddings, `below` float32 `[real tokens, width]`, the states after the layer under it.
    Output: `states` float32 `[picks, width]`, after the last layer of the span, at the picked places. With `watch` also what each of the
    linear layers reads, float32 `[rows, in]`, by its name.
    """
    graph = Graph(stored)
    batch = lay_out(graph, config)
    x = "below"
    for layer in layers:
        wanted = "picks" if layer == layers[-1] else batch.real
        x = block(graph, config, batch, f"layers.{layer - 1}", x, wanted) if layer else embed(graph, config, batch, wanted)
    inputs: Inputs = {"ids": (np.int64, ["batch", "tokens"]), "picks": (np.int64, ["picks"])}
    if layers.start:
        inputs["below"] = (np.float32, ["real", config.width])
    read: Outputs = {name: (of, [f"rows.{name}", f"in.{name}"]) for name, of in graph.read.items()} if watch else {}
    return graph.close("encoder", inputs, {"states": (x, ["picks", config.width]), **read})


def mlm_head(config: Config, stored: Mapping[str, Stored], *, watch: bool = False) -> ModelProto:
    """From `states` float32 `[picks, width]` to `logits` float32 `[picks, vocabulary]`. A tied head points at the embeddings' bytes.

    With `watch` also what its matrices read, as in `encoder`: `head.transform` and `head.words`.
    """
    graph = Graph(stored)
    x = norm(graph, config, "head.norm", graph.node("Gelu", linear(graph, "head.transform", "states")))
    words = WORDS if config.tied else "head.words.weight"
    if isinstance(stored[words], Quantized):
        logits = table_times(graph, words, x, graph.weight("head.bias"))
    else:
        # Words times picks, not picks times words: an engine rearranges the right-hand matrix, and a gigabyte is better read as it lies.
        bias = graph.node("Unsqueeze", graph.weight("head.bias"), graph.constant([1]))
        logits = graph.node("Transpose", graph.node("Gemm", graph.weight(words), x, bias, transB=1), perm=[1, 0])
    inputs: Inputs = {"states": (np.float32, ["picks", config.width])}
    read: Outputs = {name: (of, ["picks", config.width]) for name, of in {**graph.read, "head.words": x}.items()} if watch else {}
    return graph.close("mlm_head", inputs, {"logits": (logits, ["picks", config.vocabulary]), **read})


def folder(stored: Mapping[str, Stored]) -> Path:
    """The innermost folder that holds all files of the weights: in the hub's cache several shards may lie in several of its folders."""
    return Path(os.path.commonpath({held.file.parent for held in stored.values()}))


# -- the parts of an encoder, in the order they run --


@dataclass(frozen=True, slots=True)
class Batch:
    """What the layers know of the batch; "places" are those of the flattened ids."""

    ids: str
    """`[real]`: the ids of the real tokens."""
    positions: str
    """`[real]`: their positions, RoBERTa's."""
    real: str
    """`[real]`: the places of the real tokens."""
    token: str
    """`[batch x tokens]`: which real token is at each place; at padding, the one before it (-1 before the first: the last)."""
    unseen: str
    """`[batch, 1, 1, tokens]`: what attention adds to its scores, to look at no padding."""
    split: str
    """The shape batch, tokens, heads, head width."""


def lay_out(graph: Graph, config: Config) -> Batch:
    """Where the real tokens are, and at which positions: everything is told by the ids."""
    seen = graph.node("Not", graph.node("Equal", "ids", graph.constant(config.pad_id)))
    ones = graph.node("Cast", seen, to=TensorProto.INT64)
    counted = graph.node("CumSum", ones, graph.constant(1))
    positions = graph.node("Add", counted, graph.constant(config.pad_id))  # RoBERTa's first is pad_id + 1
    places = graph.node("Reshape", ones, graph.constant([-1]))
    real = graph.node("Reshape", graph.node("NonZero", places), graph.constant([-1]))
    mask = graph.node("Unsqueeze", seen, graph.constant([1, 2]))
    heads = graph.constant([config.heads, config.head_width])
    return Batch(
        ids=graph.rows(graph.node("Reshape", "ids", graph.constant([-1])), real),
        positions=graph.rows(graph.node("Reshape", positions, graph.constant([-1])), real),
        real=real,
        token=graph.node("Sub", graph.node("CumSum", places, graph.constant(0)), graph.constant(1)),
        unseen=graph.node("Where", mask, graph.constant(0, np.float32), graph.constant(UNSEEN, np.float32)),
        split=graph.node("Concat", graph.node("Shape", "ids"), heads, axis=0),
    )


def embed(graph: Graph, config: Config, batch: Batch, wanted: str) -> str:
    """The embeddings at the wanted places, `[wanted, width]`."""
    token = graph.rows(batch.token, wanted)
    words = graph.rows_of(WORDS, graph.rows(batch.ids, token))
    positions = graph.rows_of("embeddings.positions.weight", graph.rows(batch.positions, token))
    types = graph.rows_of("embeddings.types.weight", graph.constant([0]))
    return norm(graph, config, "embeddings.norm", graph.node("Add", graph.node("Add", words, positions), types))


def block(graph: Graph, config: Config, batch: Batch, name: str, x: str, wanted: str) -> str:
    """One layer: `[real, width]` to `[wanted, width]`. Only attention needs the other tokens; the rest is done at the wanted places."""
    read = graph.rows(attend(graph, config, batch, name, x), wanted)
    if wanted != batch.real:
        x = graph.rows(x, graph.rows(batch.token, wanted))
    x = norm(graph, config, f"{name}.attention_norm", graph.node("Add", x, linear(graph, f"{name}.attention_out", read)))
    grown = graph.node("Gelu", linear(graph, f"{name}.grow", x))
    return norm(graph, config, f"{name}.output_norm", graph.node("Add", x, linear(graph, f"{name}.shrink", grown)))


def attend(graph: Graph, config: Config, batch: Batch, name: str, x: str) -> str:
    """What each place reads from its row of the batch, `[batch x tokens, heads x head width]`."""
    query, key, value = (
        graph.node("Transpose", graph.node("Reshape", graph.rows(linear(graph, f"{name}.{part}", x), batch.token), batch.split), perm=axes)
        for part, axes in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scale = graph.constant(config.head_width**-0.5, np.float32)
    scores = graph.node("Mul", graph.node("MatMul", query, key), scale)  # batch heads tokens tokens
    shares = graph.node("Softmax", graph.node("Add", scores, batch.unseen), axis=-1)
    read = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", read, graph.constant([-1, config.attended]))


def linear(graph: Graph, name: str, x: str) -> str:
    """A linear layer. Floats lie as PyTorch has them, `[out, in]`."""
    held = graph.stored[f"{name}.weight"]
    graph.read[name] = x
    if isinstance(held, Quantized):
        return (blocks if held.layout == "blocks" else integers)(graph, name, held, x)
    return graph.node("Gemm", x, graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias"), transB=1)


def integers(graph: Graph, name: str, held: Quantized, x: str) -> str:
    """A linear layer in integers: `x` is quantized with the scale that is stored, or else each row with one of its own.

    By ONNX Runtime's own operator, which writes the sums as floats at once: one buffer, and not three. Raises BadCheckpoint where the
    stored scale is no positive number.
    """
    fixed = None if held.input is None else float(numbers(held.input)[0])
    if fixed is not None and not 0 < fixed < np.inf:
        raise BadCheckpoint(f"{held.file}: the scale of what {name} reads is {fixed}, wanted a positive number; quantize the model again")
    whole, scale = graph.quantized(x, fixed)
    weight, scales, zero = graph.integers(f"{name}.weight"), graph.scales(f"{name}.weight"), graph.constant(ZERO, np.uint8)
    bias = graph.weight(f"{name}.bias")
    if fixed is not None:
        return graph.node("MatMulIntegerToFloat", whole, weight, scale, scales, zero, "", bias, domain=MICROSOFT)
    product = graph.node("MatMulIntegerToFloat", whole, weight, graph.number(1), scales, zero, domain=MICROSOFT)
    return graph.node("Add", graph.node("Mul", product, scale), bias)


def blocks(graph: Graph, name: str, held: Quantized, x: str) -> str:
    """A linear layer of integers times floats, by ONNX Runtime's own operator."""
    bits = int(held.dtype.removeprefix("int"))
    outputs, inputs = held.shape
    return graph.node(
        "MatMulNBits", x, graph.integers(f"{name}.weight"), graph.scales(f"{name}.weight"), "", "", graph.weight(f"{name}.bias"),
        domain=MICROSOFT, K=inputs, N=outputs, bits=bits, block_size=BLOCK, accuracy_level=FLOATS,
    )  # fmt: skip


def table_times(graph: Graph, name: str, x: str, bias: str) -> str:
    """`x` float32 `[picks, width]` times a table of uint8 `[rows, width]`, whose rows have scales: float32 `[picks, rows]`.

    ONNX Runtime's operator quantizes the rows of `x`, block by block. Here it is given them in two parts, which it quantizes without loss
    and next to none: what 8 bits can say, and what that leaves over. With 8 bits alone, of close scores the wrong one would come first; and
    it costs little, for the table is read once. A width that has no whole blocks, which no published model has, is multiplied in floats.
    """
    held = graph.stored[name]
    assert isinstance(held, Quantized)
    rows, width = held.shape
    block = gcd(width, WIDEST)
    if block < NARROWEST:
        return graph.node("Gemm", x, graph.table(name), bias, transB=1)
    blocks = graph.node("Reshape", x, graph.constant([-1, width // block, block]))
    axis = graph.constant([-1])
    low = graph.node("Neg", graph.node("ReduceMin", blocks, axis, keepdims=1))
    high = graph.node("Max", graph.node("ReduceMax", blocks, axis, keepdims=1), low, graph.number(TINY))
    scale = graph.node("Mul", high, graph.number(1 / MOST))
    coarse = graph.node(
        "Reshape", graph.node("Mul", graph.node("Round", graph.node("Div", blocks, scale)), scale), graph.constant([-1, width])
    )
    both = graph.node("Concat", coarse, graph.node("Sub", x, coarse), axis=0)
    scales = graph.node("Expand", graph.node("Unsqueeze", graph.scales(name), graph.constant([1])), graph.constant([rows, width // block]))
    product = graph.node(
        "MatMulNBits", both, graph.integers(name, (rows, width // block, block)), scales,
        domain=MICROSOFT, K=width, N=rows, bits=8, block_size=block, accuracy_level=INTEGERS_TOO,
    )  # fmt: skip
    halves = graph.node("Reshape", product, graph.constant([2, -1, rows]))
    return graph.node("Add", graph.node("ReduceSum", halves, graph.constant([0]), keepdims=0), bias)


def norm(graph: Graph, config: Config, name: str, x: str) -> str:
    """Layer normalisation over the width."""
    weight, bias = graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")
    return graph.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=config.norm_epsilon)


# -- writing --


class Graph:
    """A graph being written. Values are named by strings; a weight's is our name for it."""

    def __init__(self, stored: Mapping[str, Stored], arithmetic: str = "float32") -> None:
        """`arithmetic` is the type that is computed in, a key of `DTYPES`, whatever the weights are stored in."""
        self.stored = stored
        self._arithmetic = arithmetic
        self._folder = folder(stored)
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._casts: dict[str, str] = {}
        self.read: dict[str, str] = {}
        """What each linear layer reads, by its name."""
        self._quantized: dict[tuple[str, float | None], tuple[str, str]] = {}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The value of an operator."""
        name = f"{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: float | Sequence[int], dtype: type = np.int64) -> str:
        """A number or a few, inside the graph."""
        name = f"{np.dtype(dtype)}.{value}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def number(self, value: float) -> str:
        """A number that enters the arithmetic, in its type."""
        return self.constant(value, ARITHMETIC[self._arithmetic])

    def rows(self, values: str, indices: str) -> str:
        """Some of the rows."""
        return self.node("Gather", values, indices, axis=0)

    def rows_of(self, name: str, indices: str) -> str:
        """Some rows of a stored table, in the arithmetic's type: taken first, so that the table itself is never converted."""
        if isinstance(self.stored[name], Quantized):
            whole = self.node("Cast", self.rows(self.integers(name), indices), to=DTYPES[self._arithmetic])
            scale = self.node("Unsqueeze", self.rows(self.scales(name), indices), self.constant([1]))
            return self.node("Mul", self.node("Sub", whole, self.number(ZERO)), scale)
        return self._widened(self.rows(self._point_at(name, self.stored[name]), indices), self.stored[name])

    def table(self, name: str) -> str:
        """All rows of a quantized table, in the arithmetic's type."""
        whole = self.node("Sub", self.node("Cast", self.integers(name), to=DTYPES[self._arithmetic]), self.number(ZERO))
        return self.node("Mul", whole, self.node("Unsqueeze", self.scales(name), self.constant([1])))

    def weight(self, name: str) -> str:
        """A stored tensor, in the arithmetic's type."""
        point = self._point_at(name, self.stored[name])
        if name not in self._casts:
            self._casts[name] = self._widened(point, self.stored[name])
        return self._casts[name]

    def integers(self, name: str, shape: tuple[int, ...] | None = None) -> str:
        """The integers of a quantized tensor, as they lie, or in another shape."""
        held = self.stored[name]
        assert isinstance(held, Quantized)
        return self._point_at(f"{name}.{shape}" if shape else name, replace(held, shape=shape or held.held))

    def scales(self, name: str) -> str:
        """The scales of a quantized tensor, in the arithmetic's type."""
        held = self.stored[name]
        assert isinstance(held, Quantized)
        own = f"{name}.scale"
        if own not in self._casts:
            self._casts[own] = self._widened(self._point_at(own, held.scale), held.scale)
        return self._casts[own]

    def quantized(self, x: str, fixed: float | None) -> tuple[str, str]:
        """Rows of floats as uint8 around `ZERO`, and the scale of each, `[rows, 1]`; or a fixed one, `[]`. Once for all who ask."""
        key = x, fixed
        if key not in self._quantized:
            zero = self.constant(ZERO, np.uint8)
            if fixed is not None:
                scale = self.number(fixed)
                self._quantized[key] = self.node("QuantizeLinear", x, scale, zero), scale
            else:
                axis = self.constant([1])
                low = self.node("Neg", self.node("ReduceMin", x, axis, keepdims=1))
                high = self.node("Max", self.node("ReduceMax", x, axis, keepdims=1), low, self.number(TINY))
                scale = self.node("Mul", high, self.number(1 / MOST))
                row = self.node("Reshape", scale, self.constant([-1]))
                whole = self.node("QuantizeLinear", x, row, self.node("Expand", zero, self.node("Shape", row)), axis=0)
                self._quantized[key] = whole, scale
        return self._quantized[key]

    def close(self, name: str, inputs: Inputs, outputs: Outputs, version: tuple[int, int] = (OPSET, IR_VERSION)) -> ModelProto:
        """The model. Of each output, float32: the value that goes out, and its shape. `version`: of operators and file format."""
        for output, (result, _) in outputs.items():
            if self._arithmetic == "float32":
                last = helper.make_node("Identity", [result], [output], output)
            else:
                last = helper.make_node("Cast", [result], [output], output, to=TensorProto.FLOAT)
            self._nodes.append(last)
        given = [
            helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(of)), size) for key, (of, size) in inputs.items()
        ]
        taken = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, (_, shape) in outputs.items()]
        graph = GraphProto(name=name, node=self._nodes, input=given, output=taken, initializer=self._constants.values())
        operators = [OperatorSetIdProto(domain=of, version=version[0] if not of else 1) for of in sorted({n.domain for n in self._nodes})]
        return ModelProto(ir_version=version[1], producer_name="xlmr", graph=graph, opset_import=operators)

    def _widened(self, value: str, held: Stored) -> str:
        same = held.dtype == self._arithmetic
        return value if same else self.node("Cast", value, to=DTYPES[self._arithmetic])

    def _point_at(self, name: str, held: Stored) -> str:
        if name not in self._constants:
            kind = INTEGERS[held.layout] if isinstance(held, Quantized) else DTYPES[held.dtype]
            tensor = TensorProto(name=name, data_type=kind, dims=held.shape, data_location=TensorProto.EXTERNAL)
            for key, value in (
                ("location", held.file.relative_to(self._folder).as_posix()),
                ("offset", held.offset),
                ("length", held.length),
            ):
                tensor.external_data.add(key=key, value=str(value))
            self._constants[name] = tensor
        return name
