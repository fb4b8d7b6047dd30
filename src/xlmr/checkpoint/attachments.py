"""Attachments: what was fitted for one encoder and lies beside its weights, as `NAME.safetensors`.

The file's metadata say what it is (`attachment`, `version`), of which encoder (`encoder`, its fingerprint) and what belongs to no array
(`facts`, a JSON object). With any other encoder it would answer wrongly, so it is refused there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xlmr import files
from xlmr.checkpoint import floats, folder, header, replacing
from xlmr.checkpoint.folder import Checkpoint
from xlmr.checkpoint.header import Stored
from xlmr.checkpoint.integers import Quantized
from xlmr.errors import BadCheckpoint, BadInput

T = TypeVar("T")

VERSION = "1"
SUFFIX = ".safetensors"
OF_HEADS = ("classifying", "tagging", "answering")
NAMES = ("calibration", "languages", *OF_HEADS)
"""Those there are: what makes vectors of texts comparable, the classifier of languages, and what Hugging Face's files have no place for in
a head that labels texts, tags words or finds answers."""
MOST_ARRAYS = 256
LARGEST_FACTS = 1 << 20
"""Characters of JSON."""
LARGEST = 1 << 28
"""Bytes of all arrays together."""

# What arrays may hold, by the format's name or ours (`header.DTYPES`), little-endian as the format wants it.
HELD: Mapping[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "F64": np.dtype("<f8"), "I8": np.dtype("i1"), "U8": np.dtype("u1"),
    "I16": np.dtype("<i2"), "U16": np.dtype("<u2"), "I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "I64": np.dtype("<i8"),
}  # fmt: skip

WHOLE = 4_096
"""Numbers up to which a tensor enters the fingerprint whole."""
RUNS, RUN = 16, 256
"""Of a larger one enter so many runs of so many numbers, evenly spaced, its first and its last among them."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Arrays and facts that were fitted for one encoder."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What JSON can hold."""


class Attachments:
    """A checkpoint's. Each is read when it is first asked for; where none is, nothing is read."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._found: dict[str, Any] = {}

    def find(self, name: str, fit: str, make: Callable[[Attachment], T]) -> T | None:
        """What `make` makes of the attachment of that name, once; None where there is none. `fit` is the command that fits one.

        Raises as `read` and `make`.
        """
        if name not in self._found:
            path = path_of(self._checkpoint.folder, name)
            self._found[name] = make(read(self._checkpoint, name, fit)) if path.exists() else None
        found: T | None = self._found[name]
        return found


def path_of(where: Path, name: str) -> Path:
    """Where an attachment of a model's folder lies."""
    return where / f"{name}{SUFFIX}"


def names(where: Path) -> list[str]:
    """The attachments that lie in a model's folder, whatever is in them."""
    return [name for name in NAMES if path_of(where, name).is_file()]


def read(checkpoint: Checkpoint, name: str, fit: str) -> Attachment:
    """The attachment in a checkpoint's folder. `fit` is the command that makes one, for messages.

    Raises BadCheckpoint where it is missing, broken, of another kind or version, holds numbers that are not finite, or is of another
    encoder.
    """
    path = path_of(checkpoint.folder, name)
    if not path.is_file():
        raise BadCheckpoint(f"{path}: not found; make it with: {fit}")
    stored, said = header.read_described(path)
    _check_kind(path, name, said, fit)
    if len(stored) > MOST_ARRAYS or sum(of.length for of in stored.values()) > LARGEST:
        raise BadCheckpoint(f"{path}: holds {len(stored)} arrays; at most {MOST_ARRAYS}, of {LARGEST:,} bytes together, are read")
    facts = _facts(path, said.get("facts", "{}"))
    found, wanted = said.get("encoder", ""), fingerprint(checkpoint)
    if found != wanted:
        raise BadCheckpoint(
            f"{path}: was fitted for another encoder ({files.shown(found) or 'none named'}; the one here is {wanted}); "
            f"fit it again: {fit}, or remove the file"
        )
    return Attachment({key: _array(of, key, path) for key, of in stored.items()}, facts)


def write(where: Path, name: str, attachment: Attachment, encoder: str) -> Path:
    """Write an attachment into a model's folder, for the encoder with that fingerprint; it appears whole, in the place of an earlier one.

    Raises BadInput where it holds what `read` would refuse, OSError where the disk refuses.
    """
    kinds = {dtype: kind for kind, dtype in HELD.items()}
    for key, array in attachment.arrays.items():
        if array.dtype not in kinds or not np.isfinite(array).all():
            raise BadInput(f"{name}: array {key} is {array.dtype}, or not finite; wanted one of {', '.join(map(str, kinds))}")
    size = sum(array.nbytes for array in attachment.arrays.values())
    if len(attachment.arrays) > MOST_ARRAYS or size > LARGEST:
        raise BadInput(f"{name}: {len(attachment.arrays)} arrays of {size:,} bytes; at most {MOST_ARRAYS} of {LARGEST:,} bytes are kept")
    facts = json.dumps(attachment.facts, ensure_ascii=False, allow_nan=False)
    said = {"attachment": name, "version": VERSION, "encoder": encoder, "facts": facts}
    shapes = [(key, array.shape) for key, array in attachment.arrays.items()]
    head, order = header.layout(shapes, {key: kinds[array.dtype] for key, array in attachment.arrays.items()}, said)
    path = path_of(where, name)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with partial.open("wb") as file:
            file.write(head)
            for key in order:
                file.write(np.ascontiguousarray(attachment.arrays[key]).data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        replacing.sync(where)
    finally:
        partial.unlink(missing_ok=True)
    return path


def fingerprint(checkpoint: Checkpoint) -> str:
    """What tells an encoder from any other: 32 hexadecimal digits, in milliseconds also for gigabytes.

    A hash over the sizes that no tensor tells, and of each tensor of the encoder, but not of heads: name, shape, and numbers (tensors of up
    to 4,096 whole, of larger ones 16 evenly spaced runs of 256). Training changes every bias of a layer that it trains, so it changes this;
    a change of single rows of the embeddings, between the runs, is not seen.

    Numbers enter as float16. So weights in float32 and what is saved of them in float16 have the same fingerprint: what is fitted on
    the one serves the other, whose states are the same but for rounding. bfloat16 keeps fewer digits, and is another encoder. So is one
    that is quantized, of which the integers and all their scales enter.
    """
    config = checkpoint.config
    of = hashlib.blake2b(f"{VERSION} {config.heads} {config.norm_epsilon} {config.pad_id}".encode(), digest_size=16)
    for name in sorted(name for name in checkpoint.stored if not name.startswith("head.")):
        stored = checkpoint.stored[name]
        of.update(f"\n{name} {stored.shape}".encode())
        for numbers in _samples(stored):
            of.update(floats.narrow(numbers, "float16").tobytes())
    return of.hexdigest()


def _samples(stored: Stored) -> Iterator[np.ndarray]:
    size, read = (prod(stored.held), folder.raw) if isinstance(stored, Quantized) else (prod(stored.shape), folder.numbers)
    if size <= WHOLE:
        yield read(stored)
    else:
        for run in range(RUNS):
            yield read(stored, run * (size - RUN) // (RUNS - 1), RUN)
    if isinstance(stored, Quantized):
        yield from _samples(stored.scale)
        if stored.input is not None:
            yield from _samples(stored.input)


def _check_kind(path: Path, name: str, said: Mapping[str, str], fit: str) -> None:
    if said.get("attachment") != name:
        found = files.shown(said["attachment"]) if "attachment" in said else "none"
        raise BadCheckpoint(f"{path}: its metadata name the attachment {found}, wanted {name}; make it with: {fit}")
    if said.get("version") != VERSION:
        found = files.shown(said.get("version", "none"))
        raise BadCheckpoint(f"{path}: is of version {found}, this xlmr reads {VERSION}; fit it again: {fit}")


def _facts(path: Path, text: str) -> dict[str, Any]:
    if len(text) > LARGEST_FACTS:
        raise BadCheckpoint(f"{path}: its facts have {len(text):,} characters; at most {LARGEST_FACTS:,} are read")
    try:
        facts = json.loads(text, object_pairs_hook=files.unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: its facts are not readable as JSON ({error})") from None
    return files.typed(facts, dict, f"{path}: facts")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _array(stored: Stored, key: str, path: Path) -> np.ndarray:
    """An array's numbers, read into memory: an attachment is small, and its file may change."""
    held = HELD.get(stored.dtype)
    if held is None:
        raise BadCheckpoint(f"{path}: {files.shown(key)} is stored as {stored.dtype}, wanted one of {', '.join(HELD)}")
    try:
        with stored.file.open("rb") as file:
            stored.check(os.fstat(file.fileno()))
            array = np.fromfile(file, held, prod(stored.shape), offset=stored.offset)
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from None
    if len(array) < prod(stored.shape):
        raise BadCheckpoint(f"{path}: is not as it was when it was opened")
    if not np.isfinite(array).all():
        raise BadCheckpoint(f"{path}: {files.shown(key)} holds numbers that are not finite")
    return array.reshape(stored.shape)


def array(attachment: Attachment, key: str, kinds: str, shape: tuple[int | None, ...], where: str) -> np.ndarray:
    """One of its arrays, of a NumPy kind among `kinds` (`f`, `i`, `u`) and this shape, where None is any size.

    Raises BadCheckpoint where it is missing or another; `where` names the attachment.
    """
    found = attachment.arrays.get(key)
    if found is None:
        raise BadCheckpoint(f"{where}: has no array {key}; fit it again")
    fits = found.ndim == len(shape) and all(want in (None, have) for have, want in zip(found.shape, shape, strict=True))
    if found.dtype.kind not in kinds or not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise BadCheckpoint(f"{where}: {key} is {found.dtype} {list(found.shape)}, wanted [{wanted}]; fit it again")
    return found
