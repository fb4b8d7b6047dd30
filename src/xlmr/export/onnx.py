"""An ONNX model, `model.onnx`, and beside it what Hugging Face's consumers want to find: the config, the tokenizer, the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto, checker, external_data_helper, save_model

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import onnx_model, safetensors
from xlmr.export.answers import Task

if TYPE_CHECKING:
    from xlmr.export import Options

PROGRAM = "run_onnx"
GRAPH, DATA = "model.onnx", "model.onnx.data"
LAYOUTS = ("beside", "external", "single")
MOST = 2**31 - 1
"""Bytes of one file of ONNX: protobuf's."""


def write(of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
    """The graph in the layout that was asked for. Raises BadInput where one file cannot hold the model."""
    safetensors.write(of, task, folder, options)
    graph = onnx_model.model(checkpoint.open(folder), task)
    if options.layout == "beside":
        (folder / GRAPH).write_bytes(graph.SerializeToString())
    else:
        weights = folder / WEIGHTS
        if options.layout == "single" and weights.stat().st_size > MOST - len(graph.SerializeToString()):
            raise BadInput(f"the weights have {weights.stat().st_size:,} bytes, and one file of ONNX holds {MOST:,}; take another layout")
        _with_data(graph, folder, options.layout)
        weights.unlink()
    checker.check_model(str(folder / GRAPH), full_check=True)


def _with_data(graph: ModelProto, folder: Path, layout: str) -> None:
    """The graph with its weights inside, or in a file of their own."""
    external_data_helper.load_external_data_for_model(graph, str(folder))
    if layout == "single":
        save_model(graph, folder / GRAPH)
    else:
        save_model(graph, folder / GRAPH, save_as_external_data=True, all_tensors_to_one_file=True, location=DATA)
