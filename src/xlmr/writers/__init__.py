"""Vectors in files, one file per format. A file appears whole or not at all, and is written row by row, so its size does not matter.

`open` gives a writer, by the name of the file: `.npy` an array with a row for each text, `.parquet` a table, `.jsonl` objects on lines.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from xlmr.errors import BadInput, XlmrError
from xlmr.heads.forms import Form
from xlmr.tasks.embeddings import Embedded, Parts
from xlmr.tasks.recognition import Language

FORMATS: Mapping[str, str] = {".npy": "npy", ".parquet": "parquet", ".jsonl": "jsonl"}
"""By the end of a file's name, the module that writes it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what was found for it."""

    line: int
    """Its number, from 1."""
    text: str
    """Empty where there is none."""
    found: np.ndarray | Parts | Embedded[list[Language]] | BadInput
    """Its vector, with its languages perhaps, its parts, or why there are none."""


class Writer(Protocol):
    """A file that is being written."""

    def write(self, row: Row) -> None:
        """Add a row. Raises BadInput where the format has no place for it."""


@contextmanager
def open(path: Path, level: str, form: Form, languages: bool = False) -> Iterator[Writer]:
    """A writer of vectors of a level in a form, with `languages` or without.

    The file is there once the block has ended without an error; what lay there is replaced.

    Raises BadInput where the name ends otherwise, or the format does not hold such vectors; MissingExtra where Parquet's package is
    missing; OSError where the disk refuses.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"{path}: wanted a file whose name ends in one of {', '.join(FORMATS)}")
    module = import_module(f"xlmr.writers.{FORMATS[path.suffix.lower()]}")
    with appearing(path) as file, module.start(file, level, form, languages) as writer:
        yield writer


@contextmanager
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside its place, `.NAME.….partial`, which takes its place at the end if nothing went wrong, and is removed if something did.

    Where the process is killed it stays, under that name.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(
            f"{path}: " + ("is a folder; wanted the name of a file" if path.is_dir() else "its folder is not there; make it first")
        )
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if isinstance(error, XlmrError):
            raise
        raise OSError(error.errno, f"{error.strerror or error}; nothing was written", str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
