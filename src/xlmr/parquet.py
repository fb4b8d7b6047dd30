"""A column of texts in a Parquet file, a batch of rows at a time (extra: data)."""

from __future__ import annotations

from collections.abc import Iterator
from reprlib import repr as shorten
from typing import IO

from xlmr.errors import BadInput, MissingExtra

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError:
    raise MissingExtra("data", "reading Parquet") from None

ROWS = 256
"""Rows read at a time."""
BUFFER = 1 << 16
"""Bytes of the file read at a time: else a group of rows is read whole, and a file may be one group."""

SHOWN = 80
"""Characters of a type that an error repeats."""


def column(file: IO[bytes], name: str) -> Iterator[bytes | None]:
    """The values of a column of strings, of any kind that Parquet and Arrow have, as they lie in the file; None for null.

    Raises BadInput where the file is no Parquet or broken, or there is no such column, or one of another type; OSError likewise.
    """
    try:
        table = parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True)
        schema = table.schema_arrow
        if name not in schema.names:
            raise BadInput(f"its columns are {shorten(schema.names) if schema.names else 'none'}; wanted one called {name!r}")
        if not _holds_texts(kind := schema.field(schema.names.index(name)).type):
            raise BadInput(f"column {name!r} holds {str(kind)[:SHOWN]}, wanted strings")
        for batch in table.iter_batches(ROWS, columns=[name]):
            # As bytes: a string that is not UTF-8 is told in its row, and does not end the file.
            yield from batch.column(0).cast(pa.large_binary()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter for names of columns
        raise BadInput(f"cannot be read as Parquet ({str(error).partition(chr(10))[0]})") from None


def names(file: IO[bytes]) -> frozenset[str]:
    """The columns that hold texts. Raises as `column`."""
    try:
        return frozenset(field.name for field in parquet.read_schema(file) if _holds_texts(field.type))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read as Parquet ({str(error).partition(chr(10))[0]})") from None


def _holds_texts(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_texts(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)
