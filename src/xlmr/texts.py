"""Texts in files: one in each line, in the JSON object of each line, or in a column of a table; also compressed.

Files are read a line or a few rows at a time, so their size does not matter.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import os
import select
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from reprlib import repr as shorten
from typing import IO, Any

from xlmr.batching import PAUSE, Pause
from xlmr.errors import BadInput, BadLine
from xlmr.limits import LINE
from xlmr.xz import Xz

FIELD = "text"
"""The key, or the column, that holds the text."""
ARRIVING = 1 << 16
"""Bytes read of a pipe at once; as many as a pipe holds."""
BOM = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of a file (in a table: one row) holds; `number` counts from 1."""

    number: int
    text: str | BadLine


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of a file holds of several texts that belong together, in the order in which they were asked for."""

    number: int
    text: tuple[str, ...] | BadLine


def read(path: Path, field: str = FIELD) -> Iterator[Line]:
    """The texts of a file: `.jsonl`, `.csv`, `.tsv` and `.parquet` are known by their names, any other has a text in each line.

    `field` is the key of the objects, or the column of the table, that is taken. Behind `.gz` and `.xz` files are
    unpacked. A line that cannot be read gives a BadLine in its place.

    Raises BadInput where the file cannot be read at all, MissingExtra where it is Parquet and that package is missing.
    """
    with _open(path) as (kind, file):
        yield from KINDS[kind](file, field) if kind in KINDS else plain(file)


def kind_of(path: Path) -> str:
    """The end of a file's name, such as `.jsonl`, without that of a packing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[:-1][-1:] if suffixes and suffixes[-1] in UNPACKED else suffixes[-1:])


def lines(path: Path) -> Iterator[Line]:
    """Every line of a file, whatever its name says; behind `.gz` and `.xz` it is unpacked. Raises BadInput where it cannot be read."""
    with _open(path) as (_, file):
        yield from plain(file)


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file, one on each line, with their numbers. Blank lines are left out.

    Raises BadInput where the file cannot be read, BadLine, with its number, where a line is no object.
    """
    for line in lines(path):
        if isinstance(line.text, BadLine):
            raise BadLine(f"{path}: line {line.number}: {line.text}")
        if not line.text.strip():
            continue
        try:
            value = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise BadLine(f"{path}: line {line.number}: not JSON ({error})") from None
        if not isinstance(value, dict):
            raise BadLine(f"{path}: line {line.number}: found {shorten(value)}, wanted a JSON object")
        yield line.number, value


def fields(path: Path) -> frozenset[str] | None:
    """What else a file says of its texts: the columns of a table, the keys of the first object on a line; None of lines of plain text.

    Raises BadInput where the file cannot be read at all.
    """
    if kind_of(path) not in HEADS:  # not opened: what can be read once only, such as a pipe, is read later
        return None
    with _open(path) as (kind, file):
        return HEADS[kind](file)


def rows(path: Path, *fields: str) -> Iterator[tuple[int, list[str]]]:
    """Several columns of a table, or keys of JSON objects: each row's number and texts.

    Raises BadInput where the file cannot be read, BadLine, with its number, where a line cannot: half a set of examples is none.
    """
    for row in together(path, *fields):
        if isinstance(row.text, BadLine):
            raise BadLine(f"{path}: line {row.number}: {row.text}")
        yield row.number, [*row.text]


def together(path: Path, *fields: str) -> Iterator[Row]:
    """The same, but a line that cannot be read gives a BadLine in its place. Raises BadInput where the file cannot be read at all."""
    if kind_of(path) not in KINDS:
        wanted = " and ".join([", ".join(map(repr, fields[:-1])), repr(fields[-1])])
        raise BadInput(f"{path}: wanted a table, {', '.join(KINDS)}, with {wanted}")
    for row in zip(*(read(path, field) for field in fields), strict=True):
        yield _row_of(row[0].number, [part.text for part in row])


def parsed(line: Line, *fields: str) -> Row:
    """The same of a line that is a JSON object, such as one of standard input."""
    found = [line.text if isinstance(line.text, BadLine) else _field(line.text, field) for field in fields]
    return _row_of(line.number, found)


def _row_of(number: int, parts: Sequence[str | BadLine]) -> Row:
    broken = next((part for part in parts if isinstance(part, BadLine)), None)
    return Row(number, tuple(map(str, parts)) if broken is None else broken)


def standard_input(file: IO[bytes]) -> Iterator[Line | Pause]:
    """The lines of standard input; before it is waited for more, a pause. Raises BadInput where it cannot be read."""
    try:
        yield from _plain(_lines(_read(file) if _on_disk(file) else _arriving(file)))
    except OSError as error:
        raise BadInput(f"standard input: cannot be read ({error.strerror or error})") from None


def plain(file: IO[bytes]) -> Iterator[Line]:
    """Each line is a text."""
    return (line for line in _plain(_lines(_read(file))) if isinstance(line, Line))


def json_lines(file: IO[bytes], field: str) -> Iterator[Line]:
    """Each line is a JSON object with such a key. Blank lines are left out."""
    for line in plain(file):
        if isinstance(line.text, BadLine):
            yield line
        elif line.text.strip():
            yield Line(line.number, _field(line.text, field))


def table(file: IO[bytes], field: str, dialect: type[csv.Dialect]) -> Iterator[Line]:
    """Rows under a header, which names such a column. Blank rows are left out."""
    lines = _TableLines(file)
    rows = csv.reader(lines, dialect)
    header = _row(rows, lines)
    if isinstance(header, BadLine):
        raise BadInput(f"line {rows.line_num}: {header}")
    if not header or field not in header:
        raise BadInput(f"its columns are {shorten(header) if header else 'none'}; wanted one called {field!r}")
    column = header.index(field)
    while (row := _row(rows, lines)) is not None:
        if row:
            yield Line(rows.line_num, row if isinstance(row, BadLine) else _cell(row, column, field))


def columns(file: IO[bytes], field: str) -> Iterator[Line]:
    """The rows of a Parquet file, numbered from 1, with such a column."""
    from xlmr import parquet  # an extra's, and slow to import

    for number, value in enumerate(parquet.column(file, field, numbers=field != FIELD), start=1):
        yield Line(number, BadLine(f"{field!r} is null, wanted a text") if value is None else _bounded(value))


def _bounded(value: bytes) -> str | BadLine:
    return _decoded(value) if len(value) <= LINE else BadLine(f"the text has more than {LINE:,} bytes")


@contextmanager
def _open(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The bytes of a file, unpacked, and its kind, by the end of its name. Raises BadInput for what goes wrong while it is read."""
    kind = kind_of(path)
    opened = UNPACKED.get(path.suffix.lower())
    if kind in REFUSED or (opened and kind == PARQUET):
        raise BadInput(f"{path}: {REFUSED.get(kind, PACKED_TWICE)}")
    try:
        with opened(path) if opened else path.open("rb") as file:
            yield kind, file
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise BadInput(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _keys(file: IO[bytes]) -> frozenset[str]:
    """The keys of the first object on a line; none where that is no object."""
    for line in plain(file):
        if isinstance(line.text, str) and line.text.strip():
            try:
                value = json.loads(line.text)
            except (ValueError, RecursionError):
                value = None
            return frozenset(value) if isinstance(value, dict) else frozenset()
    return frozenset()


def _header(file: IO[bytes], dialect: type[csv.Dialect]) -> frozenset[str]:
    lines = _TableLines(file)
    header = _row(csv.reader(lines, dialect), lines)
    return frozenset(header) if isinstance(header, list) else frozenset()


def _schema(file: IO[bytes]) -> frozenset[str]:
    from xlmr import parquet

    return parquet.names(file)


def _plain(lines: Iterable[tuple[int, bytes | BadLine] | Pause]) -> Iterator[Line | Pause]:
    for found in lines:
        if isinstance(found, Pause):
            yield found
            continue
        number, line = found
        yield Line(number, line if isinstance(line, BadLine) else _decoded(line.removesuffix(b"\n").removesuffix(b"\r")))


def _lines(read: Iterable[bytes | Pause]) -> Iterator[tuple[int, bytes | BadLine] | Pause]:
    """Lines with their ends and numbers, from lines and parts of long ones. Of one that is too long no more is held than a part."""
    number = 1
    first = True  # the line begins with what comes next
    for part in read:
        if isinstance(part, Pause):
            yield part
            continue
        if first and len(part) <= LINE:
            yield number, part.removeprefix(BOM) if number == 1 else part
        elif first:
            yield number, BadLine(f"the line has more than {LINE:,} bytes")
        first = part.endswith(b"\n")
        number += first


def _read(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; long ones in parts."""
    return iter(lambda: file.readline(LINE + 1), b"")


def _arriving(file: IO[bytes]) -> Iterator[bytes | Pause]:
    """The same of a pipe, each line as soon as it is there; a pause before every reading that would wait."""
    held = b""
    while True:
        if _would_wait(file):
            yield PAUSE
        found = file.read1(ARRIVING)  # type: ignore[attr-defined]  # every buffered reader has it
        if not found:
            break
        *whole, held = (held + found).split(b"\n")
        yield from (line + b"\n" for line in whole)
        while len(held) > LINE:
            yield held[: LINE + 1]
            held = held[LINE + 1 :]
    if held:
        yield held


def _on_disk(file: IO[bytes]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except io.UnsupportedOperation:
        return False


def _would_wait(file: IO[bytes]) -> bool:
    """Whether there is nothing to read yet; yes where the system cannot tell, as Windows cannot of a pipe."""
    try:
        return not select.select([file], [], [], 0)[0]
    except (OSError, ValueError):
        return True


class _TableLines:
    """The lines of a table, of which `left` bytes may still be in the same row: quotes can hold it open to the end of the file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = _lines(_read(file))
        self.left = LINE

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        found = next(self._lines)
        assert not isinstance(found, Pause)  # a file has none
        number, line = found
        if isinstance(line, BadLine):
            raise BadInput(f"line {number}: {line}")
        self.left -= len(line)
        if self.left < 0:
            raise BadInput(f"line {number}: the row that it belongs to has more than {LINE:,} bytes; is a quote not closed?")
        return line.decode("utf-8", "surrogateescape")  # what is not UTF-8 is seen in its cell, after the CSV reader


def _row(rows: Iterator[list[str]], lines: _TableLines) -> list[str] | BadLine | None:
    lines.left = LINE
    try:
        return next(rows, None)
    except csv.Error as error:
        return BadLine(f"not a row of a table ({error})")


def _cell(row: list[str], column: int, field: str) -> str | BadLine:
    if column >= len(row):
        return BadLine(f"the row has {len(row)} columns, and {field!r} is column {column + 1}")
    return _decoded(row[column].encode("utf-8", "surrogateescape"))


def _field(line: str, field: str) -> str | BadLine:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadLine(f"not JSON ({error})")
    found = value.get(field) if isinstance(value, dict) else None
    if field != FIELD and type(found) is int:  # a number is a name as well, though no text
        return str(found)
    return found if isinstance(found, str) else BadLine(f"not a JSON object with a string as {field!r}")


def _decoded(line: bytes) -> str | BadLine:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return BadLine(f"not UTF-8 (byte {error.start + 1} is 0x{line[error.start]:02x})")


class Commas(csv.excel):
    """Cells between commas, perhaps in quotes; a quote that is not closed, or closed too early, is no row."""

    strict = True


class Tabs(csv.Dialect):
    """Cells between tabs; quotes mean nothing."""

    delimiter, quoting, lineterminator = "\t", csv.QUOTE_NONE, "\n"


PARQUET = ".parquet"
UNPACKED: dict[str, Callable[[Path], Any]] = {  # both give an IO[bytes], though not both say so
    ".gz": gzip.GzipFile,
    ".xz": lambda path: io.BufferedReader(Xz(path)),
}
KINDS: dict[str, Callable[[IO[bytes], str], Iterator[Line]]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".csv": partial(table, dialect=Commas),
    ".tsv": partial(table, dialect=Tabs),
    PARQUET: columns,
}
HEADS: dict[str, Callable[[IO[bytes]], frozenset[str]]] = {
    ".jsonl": _keys,
    ".ndjson": _keys,
    ".csv": partial(_header, dialect=Commas),
    ".tsv": partial(_header, dialect=Tabs),
    PARQUET: _schema,
}
PACKED = "is packed in a way that is not read here; unpack it, or pack it as .gz or .xz"
PACKED_TWICE = "is Parquet, which packs its columns itself, packed once more; unpack it"
REFUSED = {
    ".zip": PACKED,
    ".bz2": PACKED,
    ".zst": PACKED,
    ".xlsx": "is a spreadsheet; save its texts as .csv, in a column called 'text'",
    ".json": "is one JSON value; write an object on each line and call it .jsonl",
}
