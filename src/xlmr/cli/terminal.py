"""What may be shown on a terminal, and what a command writes to it."""

from __future__ import annotations

import io
import os
import re
import sys

import click

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """A text that cannot move the cursor: control characters are written out."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def prepare() -> None:
    """Make the standard streams fit to be written to: results in UTF-8, and messages nowhere where standard error is closed."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process runs
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever the system's: JSON is UTF-8, and most scripts have no other encoding. A file's name may be no UTF-8.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(line: str) -> None:
    """Print a line of results. Raises OSError, by its name, where standard output takes no more."""
    try:
        click.echo(line)
    except BrokenPipeError:  # click ends quietly then
        raise
    except OSError as error:
        raise OSError(error.errno, f"standard output: {error.strerror}") from None


def note(message: str) -> None:
    """Say on standard error what goes on."""
    click.echo(visible(message), err=True)
