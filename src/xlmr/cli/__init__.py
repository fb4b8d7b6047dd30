"""The command line: `xlmr`. A command parses, calls one function and prints; what is slow to import is imported in it.

Results go to standard output, everything else to standard error. Exits with 0, 1 where something failed, 2 where it was called
wrongly, 130 where it was interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

import xlmr
from xlmr.cli.jobs import Job
from xlmr.cli.options import (
    MASKINGS,
    SETTINGS,
    Source,
    candidates_in,
    filling_options,
    json_option,
    model_options,
    source_options,
    text_options,
    texts_in,
    workers_option,
)
from xlmr.cli.terminal import prepare, say, visible
from xlmr.errors import XlmrError
from xlmr.limits import IMPORT_SECONDS


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit."""
    prepare()
    if sys.stdout is None:
        fail("standard output: closed, and results go there")
    try:
        sys.exit(commands.main(arguments, prog_name="xlmr", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except XlmrError as error:
        fail(str(error))
    except OSError as error:
        fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def fail(message: str) -> NoReturn:
    """Say in one line why, and exit with 1."""
    click.echo(f"xlmr: {visible(message)}", err=True)
    sys.exit(1)


def answer(source: Source, job: Job, count: int, as_json: bool) -> int:
    """Do a job, here or in several processes, and print. Gives the exit status."""
    from xlmr.cli import printing, workers

    if count == 1:
        return printing.answers(source, job.begin(), as_json)
    threads = job.model["threads"] or workers.threads(count)
    return printing.answers(source, workers.run(replace(job, model={**job.model, "threads": threads}), count), as_json)


@click.group(context_settings=SETTINGS)
@click.version_option(xlmr.__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """XLM-RoBERTa at work: masked words in about 100 languages, and how likely texts are.

    \b
    Examples:
      xlmr fill-mask 'Paris est la <mask> de la France.'
      xlmr score 'Paris est la capitale de la France.'
      xlmr info
    """


@commands.command("fill-mask")
@text_options
@filling_options
@json_option
@workers_option
@model_options
def fill_mask(
    texts: tuple[str, ...],
    file: Path | None,
    as_json: bool,
    candidates: str | None,
    candidates_file: Path | None,
    workers: int,
    model: str | None,
    revision: str | None,
    runtime: str,
    threads: int | None,
    **options: Any,
) -> int:
    """The likeliest words for each <mask> in each TEXT, best first; several masks are filled together.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "fillings": [{"score", "words", "ids", "text"}]};
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr fill-mask 'Paris est la <mask> de la France.'
      xlmr fill-mask --top 1 'Guten <mask>!' 'Buenos <mask>!'
      xlmr fill-mask --whole-word --language ru 'Я живу в <mask>.'
      xlmr fill-mask --candidates 'happy,unhappy,over the moon' 'She is <mask>.'
      xlmr fill-mask --json --input sentences.jsonl.gz > filled.jsonl
      cat sentences.txt | xlmr fill-mask --model FacebookAI/xlm-roberta-base
    """
    source = texts_in(texts, file)
    options["candidates"] = candidates_in(candidates, candidates_file)
    from xlmr.cli import printing
    from xlmr.tasks.masks import filler

    settings = {"source": model, "runtime": runtime, "threads": threads, "revision": revision}
    return answer(source, Job(settings, filler, options, printing.fillings_json if as_json else printing.fillings), workers, as_json)


@commands.command()
@text_options
@click.option(
    "--masking",
    type=click.Choice(MASKINGS),
    default=MASKINGS[0],
    show_default=True,
    help="What is masked with each token: the rest of its word, or nothing.",
)
@json_option
@workers_option
@model_options
def score(
    texts: tuple[str, ...],
    file: Path | None,
    masking: str,
    as_json: bool,
    workers: int,
    model: str | None,
    revision: str | None,
    runtime: str,
    threads: int | None,
) -> int:
    """How likely each TEXT is: its pseudo-log-likelihood, and that of each of its tokens. The nearer to 0 the likelier.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "score", "tokens": [{"text", "start", "end", "id", "score"}]};
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.

    \b
    Examples:
      xlmr score 'She goes to school.' 'She go to school.'
      xlmr score --masking token --json --input sentences.txt > scores.jsonl
    """
    source = texts_in(texts, file)
    from xlmr.cli import printing
    from xlmr.tasks.scoring import scorer

    settings = {"source": model, "runtime": runtime, "threads": threads, "revision": revision}
    show = printing.score_json if as_json else printing.score
    return answer(source, Job(settings, scorer, {"masking": masking}, show), workers, as_json)


@commands.command()
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


@commands.command("import")
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

    FILE is `pytorch_model.bin` or its index, fairseq's `model.pt`, or a folder with one of them or with safetensors beside a
    `sentencepiece.bpe.model`. A pickle is opened in a process of its own, which builds nothing but tensors, with bounds on
    memory and time (extra `train`).

    \b
    Examples:
      xlmr import xlmr.base/model.pt --output xlm-roberta-base
      xlmr import downloads/old-model --output new-model
      xlmr import pytorch_model.bin --output new-model --memory 8 --timeout 120
    """
    from xlmr.checkpoint import importing

    bounds = importing.Bounds(None if memory is None else int(memory * 1e9), timeout)
    say(str(importing.convert(source, output, bounds=bounds)))


@commands.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--from", "start", metavar="MODEL", help="A folder or a hub id to go on from, instead of a model from nothing.")
@click.option("--resume", is_flag=True, help="Go on, exactly, where an earlier run of this recipe was stopped.")
def pretrain(recipe: Path, start: str | None, resume: bool) -> None:
    """Pretrain a model as RECIPE says, and print its folder. Needs the extra `train`.

    \b
    Examples:
      xlmr pretrain recipes/small.toml
      xlmr pretrain recipes/small.toml --resume
      accelerate launch --num_processes 2 -m xlmr pretrain recipes/small.toml
    """
    from xlmr.training import pretraining

    say(str(pretraining.pretrain(recipe, start=start, resume=resume)))
