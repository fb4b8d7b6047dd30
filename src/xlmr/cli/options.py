"""Options that several commands share, and where their texts come from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import click

from xlmr import texts as texts_of
from xlmr.batching import Pause
from xlmr.errors import BadInput, BadLine
from xlmr.examples.sources import parted
from xlmr.languages import find
from xlmr.limits import BEAM, CANDIDATES, PIECES, THREADS, TOP, WORKERS
from xlmr.texts import Line, Row

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
# As `xlmr.runtimes` and `xlmr.tasks.scoring` have them, whose import would cost every `--help` a quarter of a second.
RUNTIMES = ("onnx", "torch", "jax", "tensorflow")
MASKINGS = ("word-l2r", "token")

LANGUAGE, SIDES = "lang", ("source", "english")
"""Columns of labelled data: whose row is in which language; a sentence and its translation."""
PAIR = ("text", "text_pair")
"""Columns of texts that are asked about together."""
QUESTION = ("question", "context")

S = TypeVar("S")

Command = Callable[..., Any]
Model = Mapping[str, Any]
"""What `xlmr.load` takes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Texts with their numbers, and what is numbered: a `text` among the arguments or a `line`."""

    lines: Iterator[Line | Row | Pause]
    unit: str


def with_options(command: Command, options: Sequence[Command]) -> Command:
    """A command with several options, whose help shows them in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def text_options(command: Command) -> Command:
    """TEXT… and --input."""
    kinds = "Lines of text, or .jsonl, .csv, .tsv, .parquet with a `text`; also .gz, .xz."
    command = click.option(
        "--input", "-i", "file", type=click.Path(path_type=Path), metavar="FILE", help=f"Read texts from a file, or `-`. {kinds}"
    )(command)
    return click.argument("texts", nargs=-1, metavar="[TEXT]...")(command)


def source_options(command: Command) -> Command:
    """Which model: --model, --revision."""
    command = click.option("--revision", metavar="R", help="Branch, tag or commit of a hub id.")(command)
    return click.option("--model", "-m", metavar="M", help="A folder or a hub id; without it, the small model inside.")(command)


def model_options(command: Command) -> Command:
    """Which model, and how it runs: --model, --revision, --runtime, --threads; the command is handed them as one `model`."""

    @wraps(command)
    def told(model: str | None, revision: str | None, runtime: str, threads: int | None, **others: Any) -> Any:
        return command(model={"source": model, "revision": revision, "runtime": runtime, "threads": threads}, **others)

    runtimes = click.Choice(RUNTIMES)
    for option in (
        click.option("--threads", type=click.IntRange(1, THREADS), metavar="N", help="Processor threads; without it, the runtime chooses."),
        click.option("--runtime", type=runtimes, default=RUNTIMES[0], show_default=True, help="What runs the model."),
    ):
        told = option(told)
    return source_options(told)


def workers_option(command: Command) -> Command:
    """--workers."""
    return click.option(
        "--workers",
        type=click.IntRange(1, WORKERS),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes that answer side by side, each with a model of its own and its share of the processor threads.",
    )(command)


def filling_options(command: Command) -> Command:
    """What masks are filled with, and how it is searched for: those of `FILLING`."""
    return with_options(command, FILLING)


FILLING = (
    click.option("--top", type=click.IntRange(1, TOP), default=5, show_default=True, metavar="N", help="How many fillings for each text."),
    click.option("--candidates", metavar="A,B,…", help="Only these words or phrases, with commas between them."),
    click.option(
        "--candidates-from", "candidates_file", type=click.Path(path_type=Path), metavar="FILE", help="The same, from a file as of --input."
    ),
    click.option("--whole-word", is_flag=True, help="Whole words, of one piece of the vocabulary or of several."),
    click.option("--longest-word", type=click.IntRange(1, PIECES), metavar="N", help="Pieces of a whole word, at most.  [default: 4]"),
    click.option("--script", metavar="S", help="Only pieces in this script, such as Cyrl."),
    click.option("--language", metavar="L", help="Only pieces in the scripts that this language is written in."),
    click.option("--per-piece", is_flag=True, help="Score by the mean of the pieces, which brings longer words forward."),
    click.option(
        "--beam", type=click.IntRange(1, BEAM), default=16, show_default=True, metavar="N", help="Beginnings kept in a search over several."
    ),
)


def candidates_in(listed: str | None, file: Path | None) -> list[str] | None:
    """The candidates of --candidates or of a file; None where there is neither. Raises BadLine where the file has a wrong line."""
    if listed is not None and file is not None:
        raise click.UsageError("Candidates were given both as --candidates and with --candidates-from.")
    if file is None:
        return None if listed is None else listed.split(",")
    lines = list(islice(texts_of.read(file), CANDIDATES + 1))  # one too many, so that the task sees that there are too many
    for line in lines:
        if isinstance(line.text, BadLine):
            raise BadLine(f"{file}: line {line.number}: {line.text}")
    return [str(line.text) for line in lines]


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, one object on a line.")(command)


def among_in(listed: str | None) -> list[str] | None:
    """The languages of --among; None where it is not given."""
    return None if listed is None else [name for name in listed.split(",") if name.strip()]


def labelled_in(sources: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Languages with texts: of `LANG=FILE`, whose texts are all in one language, and of files with `lang` and `text`.

    Raises BadInput for a language that is not known and BadLine for a line that cannot be read, each with its file.
    """
    for code, path in [*map(named, sources)]:
        if code is None:
            yield from ((language, text) for language, (text,) in _by_language(path, "text"))
            continue
        for line in texts_of.read(path):
            if isinstance(line.text, BadLine):
                raise BadLine(f"{path}: line {line.number}: {line.text}")
            yield code, line.text


def pairs_in(sources: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Languages with sentences and their English: of files with `lang`, `source` and `english`; of `LANG=FILE`, with the last two.

    Raises as `labelled_in`.
    """
    for code, path in [*map(named, sources)]:
        rows = _by_language(path, *SIDES) if code is None else ((code, row) for _, row in texts_of.rows(path, *SIDES))
        yield from ((language, ours, english) for language, (ours, english) in rows)


def _by_language(path: Path, *fields: str) -> Iterator[tuple[str, list[str]]]:
    """Rows of a file with their languages."""
    for number, (language, *row) in texts_of.rows(path, LANGUAGE, *fields):
        try:
            yield find(language).code, row
        except BadInput as error:
            raise BadLine(f"{path}: line {number}: {error}") from None


def named(source: str) -> tuple[str | None, Path]:
    """The language and the file of `LANG=FILE`; None and the file of any other. Raises BadInput for a language that is not known."""
    language, path = parted(source)
    return (None if language is None else find(language).code), path


def texts_in(texts: tuple[str, ...], file: Path | None, *, pairs: bool = False) -> Source:
    """The arguments, or a file's texts, or the lines of standard input (`-`). A file that cannot be read is told at once.

    With `pairs`, a file that has the columns of `PAIR` gives those.
    """
    if texts and file:
        raise click.UsageError("Texts were given both as arguments and with --input.")
    if texts:
        return Source((Line(number, text) for number, text in enumerate(texts, start=1)), "text")
    if file and file != Path("-"):
        paired = pairs and PAIR[1] in (texts_of.fields(file) or ())
        return Source(_begun(texts_of.together(file, *PAIR) if paired else texts_of.read(file)), "line")
    if sys.stdin is None or (not file and sys.stdin.isatty()):  # None where it is closed
        raise click.UsageError("No text. Give it as an argument, with --input FILE, or through a pipe.")
    return Source(texts_of.standard_input(sys.stdin.buffer), "line")


def questions_in(question: str | None, context: str | None, file: Path | None) -> Source:
    """The question and its context, or those of a file, or of standard input (`-`), which has a JSON object on each line."""
    if file and not question is context is None:
        raise click.UsageError("A question was given both as --question, --context and with --input.")
    if question is not None and context is not None:
        return Source(iter([Row(1, (question, context))]), "question")
    if question is not None or context is not None:
        raise click.UsageError("A question needs both --question and --context.")
    if file and file != Path("-"):
        return Source(_begun(texts_of.together(file, *QUESTION)), "line")
    if sys.stdin is None or (not file and sys.stdin.isatty()):
        raise click.UsageError("No question. Give it as --question and --context, with --input FILE, or through a pipe.")
    return Source(_parsed(texts_of.standard_input(sys.stdin.buffer)), "line")


def _begun(lines: Iterator[S]) -> Iterator[S]:
    """The lines of a file, the first of which is read at once, so that one that cannot be read is told before a model is loaded."""
    return chain([first for first in [next(lines, None)] if first], lines)


def _parsed(lines: Iterator[Line | Pause]) -> Iterator[Row | Pause]:
    for line in lines:
        if isinstance(line, Pause):
            yield line
        elif not isinstance(line.text, str) or line.text.strip():
            yield texts_of.parsed(line, *QUESTION)
