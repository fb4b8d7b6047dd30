"""An ONNX model, `model.onnx`, and what Hugging Face's consumers want to find beside it: the config, the tokenizer, the weights.

A safetensors file is a header and then the numbers as they are, so a graph can point into one, under whatever name (`runtimes.onnx_graph`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from onnx import ModelProto, checker, external_data_helper, save_model

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import BadInput
from xlmr.export import answers, beside, onnx_model, safetensors, servers
from xlmr.export.answers import ENCODER
from xlmr.export.options import Onnx
from xlmr.export.parity import Asked, Made
from xlmr.runtimes import onnx_graph

GRAPH, DATA = "model.onnx", "model.onnx.data"
MOST = 2**31 - 1
"""Bytes of one file of ONNX: protobuf's."""


def write(of: Checkpoint, folder: Path, options: Onnx) -> list[Asked]:
    """The graph, in the layout that was asked for. Raises BadInput where one file cannot hold the model."""
    task = answers.find(of, options.task)
    place = folder / servers.VERSION if options.server == "triton" else folder
    place.mkdir(exist_ok=True)
    safetensors.place(of, task, place, options.dtype)
    opened = checkpoint.open(place)
    if options.layout == "external":
        (place / WEIGHTS).rename(place / DATA)
        opened = _renamed(opened, place / DATA)
    graph = onnx_model.model(opened, task, options.dtype, fused=options.fused)
    if options.layout == "single":
        _take_in(graph, place)
    save_model(graph, place / GRAPH)
    checker.check_model(str(place / GRAPH), full_check=not options.fused)
    if options.server == "triton":
        servers.triton(opened, task, folder, place)
    elif options.server == "tei":
        if task != ENCODER:
            raise BadInput(f"vectors of texts are made by the encoder alone; ask for --task {ENCODER.name}")
        beside.pool(folder, of.config)
    return [Asked("run_onnx", place / GRAPH, GRAPH, (task,), options.dtype)]


@contextmanager
def in_place(of: Checkpoint, options: Onnx, force: bool) -> Iterator[Made]:
    """The graph alone, in the model's own folder: under another name as long as it is asked, then, if it answers, as `model.onnx`.

    Raises BadInput where the graph could not lie beside the weights, or one lies there.
    """
    _check_in_place(of, options, force)
    task = answers.find(of, options.task)
    new = of.folder / f".{GRAPH}.{secrets.token_hex(4)}.new"
    try:
        new.write_bytes(onnx_model.model(of, task, options.dtype, fused=options.fused).SerializeToString())
        yield Made(of.folder, [Asked("run_onnx", new, GRAPH, (task,), options.dtype)])
        new.replace(of.folder / GRAPH)
    finally:
        new.unlink(missing_ok=True)


def _check_in_place(of: Checkpoint, options: Onnx, force: bool) -> None:
    if options.server is not None:
        raise BadInput(f"a folder for {options.server} is a new one; in place nothing but the graph is written")
    where = onnx_graph.folder({**of.stored, **(of.task.stored if of.task else {})})
    if where.resolve() != of.folder.resolve():  # the hub's cache, where a folder holds links
        raise BadInput(f"{of.folder}: its weights lie in {where}, and a graph points only into its own folder; export to an --output")
    if of.folder.is_relative_to(str(files("xlmr"))):
        raise BadInput("the model inside belongs to the package; export it to an --output")
    if (of.folder / GRAPH).exists() and not force:
        raise BadInput(f"{of.folder / GRAPH}: is there already; --force replaces it")


def _renamed(of: Checkpoint, file: Path) -> Checkpoint:
    """The checkpoint, its weights in a file that has another name now."""
    stored = {name: replace(held, file=file) for name, held in of.stored.items()}
    task = of.task and replace(of.task, stored={name: replace(held, file=file) for name, held in of.task.stored.items()})
    return replace(of, stored=stored, task=task)


def _take_in(graph: ModelProto, place: Path) -> None:
    """The weights into the graph itself; their file goes."""
    weights = place / WEIGHTS
    size = weights.stat().st_size + graph.ByteSize()
    if size > MOST:
        raise BadInput(f"graph and weights have {size:,} bytes, and one file of ONNX holds {MOST:,}; leave out --single-file")
    external_data_helper.load_external_data_for_model(graph, str(place))
    weights.unlink()
