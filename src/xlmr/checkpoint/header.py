"""The safetensors format: a length of 8 bytes, a JSON header, then raw bytes without gaps.

Read here and not by the library because a runtime wants to know where each tensor lies, not to copy it;
written here so that tensors are streamed one by one and begin at multiples of 64 bytes.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from reprlib import repr as shorten
from typing import Any

from xlmr import files
from xlmr.errors import BadCheckpoint

LARGEST_HEADER = 1 << 24
"""Bytes; a line of a hundred and more for each of the most tensors. The format allows six times as much; read, that would be gigabytes."""
MOST_TENSORS = 100_000
MOST_AXES = 8
LARGEST = 2**63 - 1
"""The largest size or offset."""
POINTER = b"version "
"""How a file begins that Git LFS left in the place of a large one."""
ALIGNMENT = 64
"""Bytes; a cache line, and the widest vector register."""

# The format's name, ours (where we compute with it), bits of one number.
DTYPES: Mapping[str, tuple[str | None, int]] = {
    "F32": ("float32", 32), "F16": ("float16", 16), "BF16": ("bfloat16", 16),
    "F64": (None, 64), "C64": (None, 64), "F8_E4M3": (None, 8), "F8_E5M2": (None, 8), "F8_E8M0": (None, 8),
    "F8_E4M3FNUZ": (None, 8), "F8_E5M2FNUZ": (None, 8), "F6_E2M3": (None, 6), "F6_E3M2": (None, 6), "F4": (None, 4),
    "I64": (None, 64), "U64": (None, 64), "I32": (None, 32), "U32": (None, 32),
    "I16": (None, 16), "U16": (None, 16), "I8": (None, 8), "U8": (None, 8), "BOOL": (None, 8),
}  # fmt: skip
NAMES = {ours: theirs for theirs, (ours, _) in DTYPES.items() if ours}
FORMAT = {"format": "pt"}
"""What Hugging Face's classes want a file of weights to say."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one tensor's bytes lie."""

    file: Path
    offset: int
    """Absolute in the file, in bytes."""
    length: int
    """In bytes."""
    dtype: str
    """`float32`, `float16` or `bfloat16`; the format's own name for anything else."""
    shape: tuple[int, ...]
    seen: tuple[int, ...] | None = None
    """Device, inode, size and time of change of the file when its header was read; None where it was not looked at."""

    def check(self, status: os.stat_result | None = None) -> None:
        """Raises BadCheckpoint where the file (`status`, where it is open) is not the one, or not as, its header was read from."""
        try:
            now = _seen(status or self.file.stat())
        except OSError as error:
            raise BadCheckpoint(f"{self.file}: cannot be read ({error.strerror}); it must stay while a model uses it") from None
        if self.seen not in (None, now):
            raise BadCheckpoint(f"{self.file}: is not as it was when it was opened; it must not change while a model uses it")


def read(path: Path, folder: Path | None = None) -> dict[str, Stored]:
    """Every tensor of a safetensors file, by the name it has there. Reads the header only. `folder` is as in `files.read`.

    Raises BadCheckpoint unless the file lies in the model's folder, the header is whole, each tensor's bytes fit its shape, and together
    they fill the file without gap, overlap or rest.
    """
    return read_described(path, folder)[0]


def read_described(path: Path, folder: Path | None = None) -> tuple[dict[str, Stored], dict[str, str]]:
    """As `read`, and what the file says of itself: the strings of its `__metadata__`, by name. Raises as `read`."""
    resolved = files.locate(path, folder)  # ONNX Runtime wants a plain file, and the hub's cache holds links
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            start, raw = _header(file.read(8), file, size, path)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from None
    said = raw.pop("__metadata__", None)
    if len(raw) > MOST_TENSORS:
        raise BadCheckpoint(f"{path}: holds {len(raw)} tensors, at most {MOST_TENSORS} are read")
    stored = {name: replace(_stored(name, entry, resolved, start, size, path), seen=_seen(status)) for name, entry in raw.items()}
    _check_layout(stored, start, size, path)
    strings = said.items() if isinstance(said, dict) else ()
    return stored, {name: value for name, value in strings if isinstance(value, str)}


def layout(
    tensors: Iterable[tuple[str, tuple[int, ...]]], dtype: str | Mapping[str, str], said: Mapping[str, str] = FORMAT
) -> tuple[bytes, list[str]]:
    """The header of a new file (its length included), and the names in the order in which their bytes must follow.

    `dtype` is that of all tensors, or of each by its name; `said` is what the file says of itself. The header is padded so that the bytes
    begin at a multiple of 64. The format allows no gaps between tensors, so those whose size is a multiple of 64 bytes come first: each
    of them begins at one too.
    """
    lengths = {}
    for name, shape in tensors:
        of = dtype if isinstance(dtype, str) else dtype[name]
        code = NAMES.get(of, of)
        lengths[name] = code, shape, prod(shape) * DTYPES[code][1] // 8
    order = sorted(lengths, key=lambda name: lengths[name][2] % ALIGNMENT != 0)  # stable: else as they came
    content: dict[str, Any] = {"__metadata__": dict(said)}
    offset = 0
    for name in order:
        code, shape, length = lengths[name]
        content[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text, order


def _header(prefix: bytes, file: Any, size: int, path: Path) -> tuple[int, dict[str, Any]]:
    """Where the tensors' bytes begin, and the decoded header."""
    if len(prefix) < 8:
        raise BadCheckpoint(f"{path}: {size} bytes are too few for a safetensors file; it is truncated. Copy or download it again")
    if prefix == POINTER:
        raise BadCheckpoint(f"{path}: is a pointer of Git LFS, which stands for the file; fetch the file itself: git lfs pull")
    (length,) = struct.unpack("<Q", prefix)
    if length > LARGEST_HEADER:
        raise BadCheckpoint(f"{path}: the header claims {length} bytes, at most {LARGEST_HEADER} are read; is this a safetensors file?")
    if length > size - 8:
        raise BadCheckpoint(f"{path}: the header claims {length} bytes, the file has {size}; it is truncated. Copy or download it again")
    try:
        raw = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=files.unique)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: the safetensors header is not valid JSON ({error})") from None
    if not isinstance(raw, dict):
        raise BadCheckpoint(f"{path}: the safetensors header is a {type(raw).__name__}, wanted an object")
    return 8 + length, raw


def _stored(name: str, entry: object, file: Path, start: int, size: int, path: Path) -> Stored:
    where = f"{path}: tensor {files.shown(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadCheckpoint(f"{where}: its header entry is not of dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise BadCheckpoint(f"{where}: dtype {shorten(dtype)} is not known; wanted one of {', '.join(NAMES.values())}")
    if not _naturals(shape):
        raise BadCheckpoint(f"{where}: shape is {shorten(shape)}, wanted a list of sizes")
    if not _naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1]:
        raise BadCheckpoint(f"{where}: data_offsets are {shorten(offsets)}, wanted [begin, end]")
    begin, end = offsets
    if start + end > size:
        raise BadCheckpoint(f"{where}: ends at byte {start + end}, the file has {size}; it is truncated. Copy or download it again")
    ours, bits = DTYPES[dtype]
    wanted = -(-prod(shape) * bits // 8)
    if end - begin != wanted:
        raise BadCheckpoint(f"{where}: takes {end - begin} bytes, its shape {shape} in {dtype} needs {wanted}")
    return Stored(file, start + begin, end - begin, ours or dtype, tuple(shape))


def _seen(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _naturals(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MOST_AXES and all(type(number) is int and 0 <= number <= LARGEST for number in value)


def _check_layout(stored: Mapping[str, Stored], start: int, size: int, path: Path) -> None:
    """Tensors side by side, to the end of the file: as the format wants it, and nothing can hide between them."""
    at = start
    for name, tensor in sorted(stored.items(), key=lambda item: (item[1].offset, item[1].length)):
        if tensor.offset < at:
            raise BadCheckpoint(f"{path}: tensor {files.shown(name)} begins at byte {tensor.offset}, inside the one that ends at {at}")
        if tensor.offset > at:
            raise BadCheckpoint(f"{path}: bytes {at} to {tensor.offset}, before tensor {files.shown(name)}, belong to no tensor")
        at += tensor.length
    if at < size:
        raise BadCheckpoint(f"{path}: {size - at} bytes after the last tensor belong to none")
