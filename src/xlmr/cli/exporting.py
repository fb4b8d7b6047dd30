"""The commands that write a model as files for other programs: `export onnx`, `export pytorch` and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xlmr.cli.options import Command, json_option, source_options, with_options
from xlmr.cli.terminal import note, say

# As `xlmr.export.answers` has them, whose import would cost every `--help` a quarter of a second.
TASKS = ("feature-extraction", "fill-mask", "text-classification", "token-classification", "question-answering")
LAYOUTS = {"--in-place": "in-place", "--single-file": "single", "--external-data": "external"}


@click.group()
def export() -> None:
    """Write a model as files that other programs run.

    What was written is asked, through its own files, in a process that does not know xlmr, and every answer held against the model's
    own: `parity.json` says how far they are apart. Where that is too far, nothing is left.

    \b
    Examples:
      xlmr export onnx --output small-onnx
      xlmr export tensorflow --model my-tagger --output tagger-tf
      xlmr export onnx --model FacebookAI/xlm-roberta-base --task feature-extraction --single-file --output base-onnx
    """


def shared(command: Command) -> Command:
    """The options of every target."""
    options = (
        click.option("--task", type=click.Choice(TASKS), help="What is asked of it.  [default: what the model's head is for]"),
        click.option(
            "--tolerance",
            type=click.FloatRange(min=0, min_open=True),
            metavar="X",
            help="How far an answer may be from the model's.  [default: 1e-4, and in float16 2 % of the largest, on average 1 %]",
        ),
        click.option("--force", is_flag=True, help="Replace an export that is there, when the new one is whole."),
        json_option,
        source_options,
    )
    return with_options(command, options)


output = click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
dtype = click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", show_default=True,
                     help="Of the weights; of ONNX of the arithmetic too.")  # fmt: skip


@export.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option("--in-place", is_flag=True, help="The graph alone, into the model's own folder: nothing is copied.")
@click.option("--single-file", is_flag=True, help="Weights inside model.onnx; 2 GB at most.")
@click.option("--external-data", is_flag=True, help="Weights in model.onnx.data.")
@click.option("--fused", is_flag=True, help="With ONNX Runtime's own operators, which no other engine has.")
@click.option("--server", type=click.Choice(["triton", "tei"]), help="The folder as a server loads it.")
@dtype
@shared
def onnx(output: Path | None, in_place: bool, single_file: bool, external_data: bool, **chosen: Any) -> None:
    """ONNX: model.onnx beside model.safetensors, which it points into.

    Operators of the standard (opset 17), any batch and length; inputs input_ids and attention_mask, outputs last_hidden_state or
    logits, as Hugging Face names them.

    \b
    Examples:
      xlmr export onnx --output small-onnx
      xlmr export onnx --model ./my-model --in-place
      xlmr export onnx --model my-tagger --server triton --output repository/my-tagger
    """
    flags = {"--in-place": in_place, "--single-file": single_file, "--external-data": external_data}
    asked = [flag for flag, given in flags.items() if given]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other.")
    layout = LAYOUTS[asked[0]] if asked else "beside"
    run("onnx", output, layout=layout, **chosen)


@export.command()
@output
@shared
def pytorch(output: Path, **chosen: Any) -> None:
    """PyTorch: a folder of Hugging Face's with model.pt, plain weights, and model.pt2, a torch.export program (extra train).

    \b
    Examples:
      xlmr export pytorch --output small-pt
      xlmr export pytorch --model my-tagger --output tagger-pt
    """
    run("pytorch", output, **chosen)


@export.command()
@output
@click.option("--tflite", is_flag=True, help="model.tflite too, for LiteRT; 2 GB at most.")
@click.option("--server", type=click.Choice(["tf-serving"]), help="The folder as a server loads it.")
@shared
def tensorflow(output: Path, **chosen: Any) -> None:
    """TensorFlow: a SavedModel, with a signature for each task (extra tensorflow).

    \b
    Examples:
      xlmr export tensorflow --output small-tf
      xlmr export tensorflow --model my-tagger --server tf-serving --output models/my-tagger
      xlmr export tensorflow --task feature-extraction --tflite --output small-lite
    """
    run("tensorflow", output, **chosen)


@export.command()
@output
@click.option("--stablehlo", is_flag=True, help="model.stablehlo too, by jax.export, for any batch and length.")
@shared
def jax(output: Path, **chosen: Any) -> None:
    """JAX: params.safetensors, a nested dict of arrays, and model.py, the pure functions of it (extra jax).

    \b
    Examples:
      xlmr export jax --output small-jax
      xlmr export jax --model my-classifier --stablehlo --output classifier-jax
    """
    run("jax", output, **chosen)


@export.command()
@output
@click.option("--server", type=click.Choice(["tei"]), help="The folder as a server loads it.")
@dtype
@shared
def safetensors(output: Path, **chosen: Any) -> None:
    """Safetensors: a folder of Hugging Face's, which transformers loads.

    \b
    Examples:
      xlmr export safetensors --output small-hf
      xlmr export safetensors --task feature-extraction --server tei --output small-tei
    """
    run("safetensors", output, **chosen)


def run(target: str, output: Path | None, *, force: bool, as_json: bool, model: str | None, revision: str | None, **chosen: Any) -> None:
    """Export, and print what was made."""
    from xlmr import export as exports
    from xlmr.cli import printing
    from xlmr.export.options import TARGETS

    options = TARGETS[target](**chosen)
    found = exports.run(target, model, output, options, revision=revision, force=force, step=note)
    say(printing.dumped(found.as_json()) if as_json else printing.exported(found))
