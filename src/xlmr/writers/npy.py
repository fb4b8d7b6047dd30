"""NumPy's own format: one array, a row for each text, which `numpy.load(…, mmap_mode="r")` reads without holding it.

The header says how many rows there are, which nobody knows before the last; so it is written again at the end, in the room that NumPy
leaves for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from xlmr.errors import BadInput
from xlmr.heads.forms import Form
from xlmr.writers import Row


@contextmanager
def start(file: IO[bytes], level: str, form: Form, languages: bool) -> Iterator[Array]:
    """A writer. Raises BadInput where texts have several vectors each, or languages."""
    if level != "text":
        raise BadInput(f"a .npy file holds one vector for each text, and level is {level!r}; write .parquet or .jsonl")
    if languages:
        raise BadInput("a .npy file holds vectors and nothing else, and languages were asked for; write .parquet or .jsonl")
    array = Array(file, form.stored)
    array.head()
    yield array
    file.seek(0)
    array.head()


class Array:
    """A `Writer` of vectors of one type."""

    def __init__(self, file: IO[bytes], stored: np.dtype[Any]) -> None:
        self._file, self._stored, self._rows = file, stored, 0

    def write(self, row: Row) -> None:
        """Add a row. Raises BadInput where there is no vector: another number in its place would look like one."""
        if isinstance(row.found, BadInput):
            raise type(row.found)(f"line {row.line}: {row.found}. A .npy file has no place for that, .jsonl and .parquet have")
        assert isinstance(row.found, np.ndarray)
        self._file.write(row.found.tobytes())
        self._rows += 1

    def head(self) -> None:
        """Write the header, with the number of rows there are."""
        shape = (self._rows, *self._stored.shape)
        npy.write_array_header_1_0(self._file, {"descr": npy.dtype_to_descr(self._stored.base), "fortran_order": False, "shape": shape})
