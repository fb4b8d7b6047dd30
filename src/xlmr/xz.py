"""Files packed as `.xz`, unpacked as they are read and in bounded memory."""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import Any

from xlmr.limits import UNPACKING

BLOCK = 1 << 16
"""Bytes of a packed file read at a time."""


class Xz(io.RawIOBase):
    """An .xz file, unpacked as it is read. Its header says how much memory that takes, up to 4 GB, and `lzma.LZMAFile` would take it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._stream = lzma.LZMADecompressor(memlimit=UNPACKING)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Unpack as much as fits, at least a byte; nothing at the end of the file."""
        found = b""
        while not found:
            packed = b""
            if self._stream.eof:
                packed = self._next_stream()
                if not packed:
                    return 0
                self._stream = lzma.LZMADecompressor(memlimit=UNPACKING)
            elif self._stream.needs_input and not (packed := self._file.read(BLOCK)):
                raise EOFError("it ends too early")
            found = self._stream.decompress(packed, len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _next_stream(self) -> bytes:
        """The beginning of the stream after the one that has ended, without the zeros that may lie between; nothing where there is none."""
        packed = self._stream.unused_data.lstrip(b"\0")
        while not packed and (block := self._file.read(BLOCK)):
            packed = block.lstrip(b"\0")
        return packed

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()
