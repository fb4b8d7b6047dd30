"""Commands about models themselves: `info`, `import`."""

from __future__ import annotations

from pathlib import Path

import click

from xlmr.cli.options import json_option, source_options
from xlmr.cli.terminal import say
from xlmr.limits import IMPORT_SECONDS


@click.command()
@json_option
@source_options
def info(as_json: bool, model: str | None, revision: str | None) -> None:
    """What a model is: its sizes, and where it lies.

    \b
    Examples:
      xlmr info
      xlmr info --model FacebookAI/xlm-roberta-large --json
    """
    from xlmr import checkpoint
    from xlmr.cli import printing

    facts = printing.facts(model or "small", checkpoint.open(model, revision=revision))
    say(printing.dumped(facts) if as_json else printing.described(facts))


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="What opening a pickle may take; without it, 3 × its size + 1.",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=IMPORT_SECONDS, show_default=True, metavar="SECONDS",
              help="How long it may take.")  # fmt: skip
def import_model(source: Path, output: Path, memory: float | None, timeout: float) -> None:
    """Make a folder of ours from weights in another format, and print it.

    FILE is `pytorch_model.bin` or its index, fairseq's `model.pt`, or a folder with one of them, with safetensors beside a
    `sentencepiece.bpe.model`, or with what `xlmr export` made for JAX or TensorFlow. A pickle is opened in a process of its own,
    which builds nothing but tensors, with bounds on memory and time (extra `train`).

    \b
    Examples:
      xlmr import xlmr.base/model.pt --output xlm-roberta-base
      xlmr import downloads/old-model --output new-model
      xlmr import pytorch_model.bin --output new-model --memory 8 --timeout 120
      xlmr import small-tf --output small-again
    """
    from xlmr.checkpoint import importing

    bounds = importing.Bounds(None if memory is None else int(memory * 1e9), timeout)
    say(str(importing.convert(source, output, bounds=bounds)))
