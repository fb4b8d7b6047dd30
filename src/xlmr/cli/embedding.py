"""Commands about vectors: `embed`, `align`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlmr.cli.options import Model, Source, json_option, model_options, text_options, texts_in, with_options, workers_option
from xlmr.cli.terminal import say
from xlmr.limits import TOP

if TYPE_CHECKING:
    from xlmr.cli.jobs import Job

# As `xlmr.tasks.embeddings`, `xlmr.heads.forms`, `xlmr.writers` and `xlmr.heads.pairing` have them.
LEVELS = ("text", "word", "token")
TEXT_POOLINGS = ("mean", "cls", "max")
POOLINGS = ("mean", "cls", "first", "max")
DTYPES = ("float32", "float16", "int8", "binary")
FORMATS = (".npy", ".parquet", ".jsonl")
METHODS = ("mutual", "itermax")

FROM_STATES = (
    click.option("--raw", is_flag=True, help="Vectors of texts without the calibration, where the model has one."),
    click.option(
        "--layer", "layers", type=int, multiple=True, metavar="N", help="0: the embeddings, -1: the last. Again for several, side by side."
    ),
    click.option("--layer-mean", is_flag=True, help="The mean of several layers."),
)
PROMPT = click.option("--prompt", metavar="NAME", help="The model's prompt of that name before each text.")
TEXT_OPTIONS = (
    *FROM_STATES,
    click.option("--pooling", type=click.Choice(TEXT_POOLINGS), help="From the states of a text to its vector."),
    PROMPT,
)
"""What the vectors of texts are."""
OPTIONS = (
    click.option("--level", type=click.Choice(LEVELS), default=LEVELS[0], show_default=True, help="What has a vector."),
    *FROM_STATES,
    click.option(
        "--pooling",
        type=click.Choice(POOLINGS),
        help="From the states of a text or a word to its vector; `cls` of texts, `first` of words.",
    ),
    PROMPT,
    click.option("--size", type=click.IntRange(1), metavar="N", help="Keep the first N numbers."),
    click.option("--unit", is_flag=True, help="Vectors of length 1."),
    click.option("--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True, help="How numbers are stored."),
)


def vector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which vectors, and in which form: those of `OPTIONS`."""
    return with_options(command, OPTIONS)


def text_vector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which vectors of texts: those of `TEXT_OPTIONS`."""
    return with_options(command, TEXT_OPTIONS)


@click.command()
@text_options
@vector_options
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help=f"Write a file whose name ends in {', '.join(FORMATS)}."
)
@click.option("--language", is_flag=True, help="Also which languages each text is in, from the same pass of the model.")
@click.option("--top", type=click.IntRange(1, TOP), metavar="N", help="How many languages for each text.  [default: 3]")
@json_option
@workers_option
@model_options
def embed(
    texts: tuple[str, ...],
    file: Path | None,
    output: Path | None,
    language: bool,
    top: int | None,
    as_json: bool,
    workers: int,
    model: Model,
    layers: tuple[int, ...],
    **options: Any,
) -> int:
    """The vector of each TEXT, or of its words or tokens.

    Texts are the arguments, or those of a file, or the lines of standard input.
    With --json there is one object for each text, in their order: {"text", "vector"}, or with --level word
    {"text", "words": [{"text", "start", "end", "vector"}]}, and so with `tokens`;
    with --language also the `languages`, as of `xlmr language`;
    one that cannot be answered has {"line", "error": {"kind", "message"}} in its place, and the exit status is 1.
    With --output they are written to a file, which appears when all is done. .jsonl holds the same objects, .parquet the same in columns,
    .npy an array with a row for each text: there is no place in it for an error, so the first ends the command.

    \b
    Examples:
      xlmr embed 'good morning' 'guten Morgen'
      xlmr embed --level word --layer 2 --json 'Das ist gut.'
      xlmr embed --input sentences.txt --output vectors.npy --unit --dtype float16
      xlmr embed --input sentences.txt --output vectors.parquet --language --top 1
    """
    if output and as_json:
        raise click.UsageError("--json prints, and --output writes to a file: one of them.")
    if output and output.suffix.lower() not in FORMATS:
        raise click.UsageError(f"--output is {output.name!r}; wanted a name that ends in one of {', '.join(FORMATS)}.")
    if top and not language:
        raise click.UsageError("--top says how many languages, and --language was not given.")
    source = texts_in(texts, file)
    options["layers"] = layers or None
    from xlmr.cli import jobs, printing
    from xlmr.tasks.embeddings import embedder, language_embedder

    show: Callable[[str, Any], Any] = itself if output else printing.embedding_json if as_json else printing.embedding
    task = partial(language_embedder, top=top or 3) if language else embedder
    job = jobs.Job(model, task, options, show)
    return write(source, job, workers, output, language) if output else jobs.run(source, job, workers, as_json)


def itself(text: str, answer: Any) -> Any:
    """An answer, which a file takes as it is."""
    return answer


def write(source: Source, job: Job[Any], count: int, path: Path, languages: bool = False) -> int:
    """Do a job and write a file, whose name is printed. Gives the exit status."""
    import xlmr
    from xlmr import writers
    from xlmr.cli import jobs, printing
    from xlmr.errors import BadInput
    from xlmr.tasks.embeddings import plan

    model = xlmr.load(**job.model)
    made = plan(model, **job.options)
    failed = 0
    with writers.open(path, made.level, made.form, languages) as writer:
        for line, of in printing.progress(jobs.answered(source, jobs.start(job, count, model)), elsewhere=True):
            writer.write(writers.Row(line.number, str(line.text), of))
            failed += isinstance(of, BadInput)
    say(str(path))
    if failed:
        click.echo(f"xlmr: {failed:,} of the {source.unit}s could not be answered; each has its error in its place", file=sys.stderr)
    return int(bool(failed))


@click.command()
@click.argument("source", metavar="TEXT")
@click.argument("target", metavar="TEXT")
@click.option("--layer", type=int, metavar="N", help="Whose states are compared; without it, the one that aligns best.")
@click.option(
    "--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="Each other's most similar; or more pairs."
)
@json_option
@model_options
def align(source: str, target: str, layer: int | None, method: str, as_json: bool, model: Model) -> None:
    """Which words of a TEXT and of its translation, the second TEXT, belong together.

    With --json: {"pairs": [[i, j, score], …], "words": [[…], […]]}, where i and j count the words of either text from 0.

    \b
    Examples:
      xlmr align 'The cat sleeps.' 'Die Katze schläft.'
      xlmr align --method itermax --json 'I read a book.' '我看书。'
    """
    import xlmr
    from xlmr.cli import printing

    found = xlmr.load(**model).align(source, target, layer=layer, method=method)
    say(printing.alignment_json(found) if as_json else printing.alignment(found))
