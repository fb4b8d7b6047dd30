"""Options that several commands share, and where their texts come from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click

from xlmr import texts as texts_of
from xlmr.limits import THREADS
from xlmr.texts import Line

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
RUNTIMES = ("onnx", "torch")  # as `xlmr.runtimes` has them, whose import would cost every `--help` a quarter of a second

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Texts with their numbers, and what is numbered: a `text` among the arguments or a `line`."""

    lines: Iterator[Line]
    unit: str


def text_options(command: Command) -> Command:
    """TEXT… and --input."""
    kinds = "Lines of text, or .jsonl, .csv, .tsv with a `text`; also .gz, .xz."
    command = click.option(
        "--input", "-i", "file", type=click.Path(path_type=Path), metavar="FILE", help=f"Read texts from a file, or `-`. {kinds}"
    )(command)
    return click.argument("texts", nargs=-1, metavar="[TEXT]...")(command)


def source_options(command: Command) -> Command:
    """Which model: --model, --revision."""
    command = click.option("--revision", metavar="R", help="Branch, tag or commit of a hub id.")(command)
    return click.option("--model", "-m", metavar="M", help="A folder or a hub id; without it, the small model inside.")(command)


def model_options(command: Command) -> Command:
    """Which model, and how it runs: --model, --revision, --runtime, --threads."""
    command = click.option(
        "--threads", type=click.IntRange(1, THREADS), metavar="N", help="Processor threads; without it, the runtime chooses."
    )(command)
    runtimes = click.Choice(RUNTIMES)
    command = click.option("--runtime", type=runtimes, default=RUNTIMES[0], show_default=True, help="What runs the model.")(command)
    return source_options(command)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, one object on a line.")(command)


def texts_in(texts: tuple[str, ...], file: Path | None) -> Source:
    """The arguments, or a file's texts, or the lines of standard input (`-`). A file that cannot be read is told at once."""
    if texts and file:
        raise click.UsageError("Texts were given both as arguments and with --input.")
    if texts:
        return Source((Line(number, text) for number, text in enumerate(texts, start=1)), "text")
    if file and file != Path("-"):
        lines = texts_of.read(file)
        return Source(chain([first for first in [next(lines, None)] if first], lines), "line")
    if sys.stdin is None or (not file and sys.stdin.isatty()):  # None where it is closed
        raise click.UsageError("No text. Give it as an argument, with --input FILE, or through a pipe.")
    return Source(texts_of.standard_input(sys.stdin.buffer), "line")
