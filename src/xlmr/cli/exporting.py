"""The command that writes a model as files for other programs: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xlmr.cli.options import json_option, source_options
from xlmr.cli.terminal import say

# As `xlmr.export` has them, whose import would cost every `--help` a quarter of a second.
TARGETS = ("onnx", "pytorch", "tensorflow", "jax", "safetensors")
TASKS = ("feature-extraction", "fill-mask", "text-classification", "token-classification", "question-answering")
LAYOUTS = ("beside", "external", "single")


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option("--task", type=click.Choice(TASKS), help="What is asked of it.  [default: what the model's head is for]")
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True,
              help="Of the weights as they are stored; the arithmetic is in float32.")  # fmt: skip
@click.option("--layout", type=click.Choice(LAYOUTS), default="beside", show_default=True,
              help="Of ONNX: a graph beside model.safetensors, which it points into, or model.onnx.data; or one file.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what the folder holds, when the new one is whole.")
@json_option
@source_options
def export(target: str, output: Path, force: bool, as_json: bool, model: str | None, revision: str | None, **chosen: Any) -> None:
    """Write a model as files that other programs run, and print them with how far their answers are from the model's own. They are asked
    in a process that does not know xlmr; where they differ by more than 1e-4, nothing is written.

    \b
    Examples:
      xlmr export onnx --output small-onnx
      xlmr export tensorflow --model my-tagger --output tagger-tf
      xlmr export onnx --model FacebookAI/xlm-roberta-base --task feature-extraction --dtype float16 --layout single --output base-onnx
    """
    from xlmr import export as exports
    from xlmr.cli import printing

    found = exports.run(target, {"source": model, "revision": revision}, output, exports.Options(**chosen), force=force)
    say(printing.dumped(found.as_json()) if as_json else printing.exported(found))
