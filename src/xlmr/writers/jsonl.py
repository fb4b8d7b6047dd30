"""JSON, one object on a line; what could not be answered has its error in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

import numpy as np

from xlmr.errors import BadInput
from xlmr.heads.forms import Form
from xlmr.tasks.embeddings import Embedded, Parts
from xlmr.tasks.recognition import Language
from xlmr.writers import Row

LINE_ENDS = {chr(code): f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
"""Line ends to some readers of JSON lines, though not to JSON."""


@contextmanager
def start(file: IO[bytes], level: str, form: Form, languages: bool) -> Iterator[JsonLines]:
    """A writer; lines have any level and form, and languages where there are some."""
    yield JsonLines(file)


class JsonLines:
    """A `Writer`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        """Add a line."""
        value = failed(row.line, row.found) if isinstance(row.found, BadInput) else vectors(row.text, row.found)
        self._file.write(dumped(value).encode("utf-8", "backslashreplace") + b"\n")


def dumped(value: dict[str, Any]) -> str:
    """One line of JSON."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for end, escaped in LINE_ENDS.items():  # str.translate takes fifty times as long
        line = line.replace(end, escaped)
    return line


def failed(line: int, error: BadInput) -> dict[str, Any]:
    """What stands in the place of an answer that could not be given."""
    return {"line": line, "error": {"kind": error.kind, "message": str(error)}}


def vectors(text: str, found: np.ndarray | Parts | Embedded[list[Language]]) -> dict[str, Any]:
    """A text's vector, with its languages perhaps, or its words or tokens with theirs."""
    if isinstance(found, Embedded):
        return {**vectors(text, found.vectors), "languages": [asdict(of) for of in found.languages]}
    if isinstance(found, np.ndarray):
        return {"text": text, **_vector(found)}
    parts = zip(found.places, found.vectors, strict=True)
    listed = [{"text": place.text, "start": place.start, "end": place.end, **_vector(vector)} for place, vector in parts]
    return {"text": text, f"{found.level}s": listed}


def _vector(vector: np.ndarray) -> dict[str, Any]:
    if vector.dtype.names:
        return {name: vector[name].tolist() for name in vector.dtype.names}
    return {"vector": vector.tolist()}
