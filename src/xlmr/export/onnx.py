"""An ONNX model, `model.onnx`, and what Hugging Face's consumers want to find beside it: the config, the tokenizer, the weights.

A safetensors file is a header and then the numbers as they are, so a graph can point into one, under whatever name (`runtimes.onnx_graph`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from math import prod
from pathlib import Path

from onnx import checker, external_data_helper, save_model

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import VERSION, WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import answers, beside, onnx_model, safetensors, servers
from xlmr.export.answers import Task
from xlmr.export.onnx_model import DATA, GRAPH
from xlmr.export.options import Onnx
from xlmr.export.parity import REPORT, Asked, Made
from xlmr.runtimes import onnx_graph

MOST = 2**31 - 1
"""Bytes of one file of ONNX: protobuf's."""
GRAPH_SIZE = 1 << 20
"""Bytes that a graph without weights has at most."""
FACTS = {"opset": onnx_model.OPSET}


def write(of: Checkpoint, folder: Path, options: Onnx) -> Made:
    """The graph, in the layout that was asked for. Raises BadInput where one file cannot hold the model."""
    task, triton = answers.find(of, options.task), options.server == "triton"
    _check(of, task, options)
    place = folder / VERSION if triton else folder
    place.mkdir(exist_ok=True)
    safetensors.place(of, task, place, options.dtype, vectors=not triton)
    opened = checkpoint.open(place)
    if options.layout == "external":
        (place / WEIGHTS).rename(place / DATA)
        opened = _renamed(opened, place / DATA)
    graph = onnx_model.model(opened, task, options.dtype, fused=options.fused)
    if options.layout == "single":
        external_data_helper.load_external_data_for_model(graph, str(place))
        (place / WEIGHTS).unlink()
    save_model(graph, place / GRAPH)
    checker.check_model(str(place / GRAPH), full_check=not options.fused)
    if triton:
        servers.triton(opened, task, folder, place)
    elif options.server == "tei":
        beside.pool(of, folder)
    return Made(folder, [Asked("run_onnx", place / GRAPH, GRAPH, (task,), options.dtype)], FACTS)


def _check(of: Checkpoint, task: Task, options: Onnx) -> None:
    """Before anything is written."""
    if options.server == "tei":
        beside.check_pool(of, task)
    numbers = sum(prod(shape) for shape in beside.Weights(of, task).shapes.values())
    size = numbers * (2 if options.dtype == "float16" else 4) + GRAPH_SIZE
    if options.layout == "single" and size > MOST:
        raise BadInput(f"graph and weights have {size:,} bytes, and one file of ONNX holds {MOST:,}; leave out --single-file")


@contextmanager
def in_place(of: Checkpoint, options: Onnx, force: bool) -> Iterator[Made]:
    """The graph alone, in the model's own folder: under another name as long as it is asked, then, if it answers, as `model.onnx`.

    Raises BadInput where the graph could not lie beside the weights, or one lies there.
    """
    _check_in_place(of, options, force)
    task, mark = answers.find(of, options.task), secrets.token_hex(4)
    new, report = (f".{name}.{mark}.new" for name in (GRAPH, REPORT))
    try:
        graph = onnx_model.model(of, task, options.dtype, fused=options.fused)
        (of.folder / new).write_bytes(graph.SerializeToString())
        yield Made(of.folder, [Asked("run_onnx", of.folder / new, GRAPH, (task,), options.dtype)], FACTS, report)
        (of.folder / new).replace(of.folder / GRAPH)
        (of.folder / report).replace(of.folder / REPORT)
    finally:
        for name in (new, report):
            (of.folder / name).unlink(missing_ok=True)


def _check_in_place(of: Checkpoint, options: Onnx, force: bool) -> None:
    if of.quantized:
        raise BadInput(f"{of.folder}: its weights are quantized, and graphs are written for floats; export to an --output, where they are")
    if options.server is not None:
        raise BadInput(f"a folder for {options.server} is a new one; in place nothing but the graph is written")
    where = onnx_graph.folder({**of.stored, **(of.task.stored if of.task else {})})
    if where.resolve() != of.folder.resolve():  # the hub's cache, where a folder holds links
        raise BadInput(f"{of.folder}: its weights lie in {where}, and a graph points only into its own folder; export to an --output")
    if of.folder.resolve().is_relative_to(Path(str(files("xlmr"))).resolve()):
        raise BadInput("the model inside belongs to the package; export it to an --output")
    if (there := [name for name in (GRAPH, REPORT) if (of.folder / name).exists()]) and not force:
        raise BadInput(f"{of.folder / there[0]}: is there already; --force replaces it")


def _renamed(of: Checkpoint, file: Path) -> Checkpoint:
    """The checkpoint, its weights in a file that has another name now."""
    stored = {name: replace(held, file=file) for name, held in of.stored.items()}
    task = of.task and replace(of.task, stored={name: replace(held, file=file) for name, held in of.task.stored.items()})
    return replace(of, stored=stored, task=task)
