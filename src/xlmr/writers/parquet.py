"""Parquet, a table with a row for each text (extra: data): its line, the text, and its vector, or a list of its words or tokens.

Where languages were asked for, it has a list of them too. What could not be answered has its error in its row, and no vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any

import numpy as np

from xlmr.errors import BadInput, MissingExtra
from xlmr.heads.forms import Form
from xlmr.tasks.embeddings import Embedded, Parts
from xlmr.tasks.recognition import Language
from xlmr.writers import Row

try:
    import pyarrow as pa
    from pyarrow import parquet
except Exception as error:
    raise MissingExtra.of("data", "writing Parquet", error) from error

GROUP = 1 << 24
"""Bytes of vectors in a group of rows, about: what is held before it is written."""
ROWS = 1 << 14
"""Rows of a group, at most."""
ERROR = pa.struct([("kind", pa.string()), ("message", pa.string())])
LANGUAGES = pa.list_(pa.struct([("code", pa.string()), ("script", pa.string()), ("confidence", pa.float64())]))
PLACE = [("text", pa.string()), ("start", pa.int64()), ("end", pa.int64())]


@contextmanager
def start(file: IO[bytes], level: str, form: Form, languages: bool) -> Iterator[Table]:
    """A writer of any level and form, with languages or without."""
    table = Table(file, level, form.stored, languages)
    try:
        yield table
        table.flush()
    finally:
        table.close()


class Table:
    """A `Writer`; rows are written a group at a time."""

    def __init__(self, file: IO[bytes], level: str, stored: np.dtype[Any], languages: bool) -> None:
        self._level, self._stored, self._languages = level, stored, languages
        vector = _fields(stored)
        held = vector if level == "text" else [(f"{level}s", pa.list_(pa.struct(PLACE + vector)))]
        self._schema = pa.schema(
            [("line", pa.int64()), ("text", pa.string()), *held, *([("languages", LANGUAGES)] if languages else []), ("error", ERROR)]
        )
        # Numbers of a vector hardly ever come twice, so a dictionary of them is a loss.
        self._table = parquet.ParquetWriter(file, self._schema, compression="zstd", use_dictionary=False)
        self._rows: list[Row] = []
        self._bytes = 0

    def write(self, row: Row) -> None:
        """Add a row."""
        self._rows.append(row)
        self._bytes += len(row.text) + _bytes(row.found)
        if self._bytes >= GROUP or len(self._rows) >= ROWS:
            self.flush()

    def close(self) -> None:
        """Write what a table ends with."""
        self._table.close()

    def flush(self) -> None:
        """Write the rows that are held, as a group."""
        missing = np.array([isinstance(row.found, BadInput) for row in self._rows], bool)
        errors = [{"kind": row.found.kind, "message": str(row.found)} if isinstance(row.found, BadInput) else None for row in self._rows]
        found = [row.found.vectors if isinstance(row.found, Embedded) else row.found for row in self._rows]
        columns = [
            pa.array([row.line for row in self._rows], pa.int64()),
            pa.array([row.text for row in self._rows], pa.string(), mask=missing),
            *(self._texts(found, missing) if self._level == "text" else [self._parts(found, missing)]),
            *([pa.array([_languages(row.found) for row in self._rows], LANGUAGES)] if self._languages else []),
            pa.array(errors, ERROR),
        ]
        self._table.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows, self._bytes = [], 0

    def _texts(self, found: Sequence[Any], missing: np.ndarray) -> list[pa.Array]:
        vectors = np.zeros(len(found), self._stored)
        for i in np.flatnonzero(~missing).tolist():
            vectors[i] = found[i]
        return _columns(vectors, missing)

    def _parts(self, found: Sequence[Any], missing: np.ndarray) -> pa.Array:
        parts = [of for of in found if isinstance(of, Parts)]
        places = [place for of in parts for place in of.places]
        vectors = np.concatenate([np.empty(0, self._stored), *(of.vectors for of in parts)])
        columns = [pa.array([getattr(place, name) for place in places], kind) for name, kind in PLACE]
        names = [name for name, _ in PLACE + _fields(self._stored)]
        listed = pa.StructArray.from_arrays([*columns, *_columns(vectors)], names)
        ends = np.cumsum([0, *(len(of.places) if isinstance(of, Parts) else 0 for of in found)]).astype(np.int32)
        return pa.ListArray.from_arrays(ends, listed, mask=pa.array(missing))


def _languages(found: object) -> list[dict[str, Any]] | None:
    return [asdict(of) for of in found.languages] if isinstance(found, Embedded) else None


def _fields(stored: np.dtype[Any]) -> list[tuple[str, pa.DataType]]:
    """The columns of a vector."""
    if stored.names:
        return [("scale", pa.float32()), *_fields(stored["vector"])]
    return [("vector", pa.list_(pa.from_numpy_dtype(stored.base), stored.shape[0]))]


def _columns(vectors: np.ndarray, missing: np.ndarray | None = None) -> list[pa.Array]:
    """The vectors, `[rows]` of them, in columns."""
    if vectors.dtype.names:
        return [pa.array(vectors["scale"], mask=missing), *_columns(vectors["vector"], missing)]
    mask = None if missing is None else pa.array(missing)
    return [pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1], mask=mask)]


def _bytes(found: np.ndarray | Parts | Embedded[list[Language]] | BadInput) -> int:
    if isinstance(found, BadInput):
        return 0
    if isinstance(found, Embedded):
        return _bytes(found.vectors) + 64 * len(found.languages)
    return found.nbytes if isinstance(found, np.ndarray) else found.vectors.nbytes + 64 * len(found.places)
