"""A column of texts in a Parquet file, a batch of rows at a time (extra: data)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import repr as shorten
from typing import IO

from xlmr.errors import BadInput, MissingExtra

try:
    import pyarrow as pa
    from pyarrow import parquet
except Exception as error:
    raise MissingExtra.of("data", "reading Parquet", error) from error

ROWS = 256
"""Rows read at a time."""
BUFFER = 1 << 16
"""Bytes of the file read at a time: else a group of rows is read whole, and a file may be one group."""

SHOWN = 80
"""Characters of a type that an error repeats."""


def column(file: IO[bytes], name: str, *, numbers: bool = False) -> Iterator[bytes | None]:
    """The values of a column of strings, of any kind that Parquet and Arrow have, as they lie in the file; None for null.

    With `numbers` it may hold whole numbers as well, which come as their digits. Raises BadInput where the file is no Parquet or broken,
    or there is no such column, or one of another type.
    """
    with _told():
        table = parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True)
        schema = table.schema_arrow
        if name not in schema.names:
            raise BadInput(f"its columns are {shorten(schema.names) if schema.names else 'none'}; wanted one called {name!r}")
        kind = schema.field(schema.names.index(name)).type
        if not (_holds_texts(kind) or (numbers and pa.types.is_integer(kind))):
            raise BadInput(f"column {name!r} holds {str(kind)[:SHOWN]}, wanted strings{' or whole numbers' if numbers else ''}")
        for batch in table.iter_batches(ROWS, columns=[name]):
            found = batch.column(0).cast(pa.string()) if pa.types.is_integer(kind) else batch.column(0)
            # As bytes: a string that is not UTF-8 is told in its row, and does not end the file.
            # One by one: so many long ones are a gigabyte.
            yield from (value.as_py() for value in found.cast(pa.large_binary()))


def names(file: IO[bytes]) -> frozenset[str]:
    """The columns that hold strings or whole numbers. Raises as `column`."""
    with _told():
        return frozenset(field.name for field in parquet.read_schema(file) if _holds_texts(field.type) or pa.types.is_integer(field.type))


@contextmanager
def _told() -> Iterator[None]:
    """What pyarrow raises of a file, in one line."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last for names of columns
        raise BadInput(f"cannot be read as Parquet ({str(error).partition(chr(10))[0]})") from None


def _holds_texts(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_texts(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)
