"""The files of a checkpoint: which of them may be read, and the small ones read whole.

Only plain ones, only of a size that can be right, and only inside the model's folder: a link that leads out of it could show any file of
this machine as a model's. The hub's cache is the exception, since there every file is a link to where the contents of all revisions lie.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, TypeVar

from xlmr.errors import BadCheckpoint

T = TypeVar("T")

SHOWN = 200
"""Characters of a name that an error repeats."""
WANTED = "config.json, tokenizer.json and model.safetensors"
SNAPSHOTS, BLOBS, MODEL = "snapshots", "blobs", "models--"
"""How the hub's cache names its folders: `models--NAME/snapshots/COMMIT/FILE` leads to `models--NAME/blobs/…`, or on to `blobs/…`."""


def read(path: Path, most: int, folder: Path | None = None) -> str:
    """The text of a file of at most `most` bytes; `folder` is the model's, where the file lies in a folder of that.

    Raises BadCheckpoint where it is missing, no plain file, larger, not readable, not text, or not inside the folder.
    """
    try:
        return read_bytes(path, most, folder).decode()
    except UnicodeDecodeError as error:
        raise BadCheckpoint(f"{path}: not readable as text in UTF-8 ({error})") from None


def read_bytes(path: Path, most: int, folder: Path | None = None) -> bytes:
    """The bytes of a file, under the same conditions."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadCheckpoint(f"{path}: is no plain file, as every file of a checkpoint is")
        if status.st_size > most:
            raise BadCheckpoint(f"{path}: has {status.st_size:,} bytes; at most {most:,} are read")
        return locate(path, folder).read_bytes()
    except FileNotFoundError:
        raise BadCheckpoint(f"{path}: not found; a checkpoint is a folder with {WANTED}") from None
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from None


def read_object(path: Path, most: int, folder: Path | None = None) -> dict[str, Any]:
    """The JSON object in a file, under the same conditions."""
    return typed(read_json(path, most, folder), dict, str(path))


def read_json(path: Path, most: int, folder: Path | None = None) -> Any:
    """The JSON in a file, under the same conditions. A name that stands twice in an object is an error: readers differ on which counts."""
    text = read(path, most, folder)
    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: not readable as JSON ({error})") from None


def typed(value: object, kind: type[T], name: str) -> T:
    """A value of JSON that has the wanted type. Raises BadCheckpoint, with its name, where it has another; True is no number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadCheckpoint(f"{name}: found {shorten(value)}, wanted a JSON {JSON_NAMES[kind]}")
    return value


JSON_NAMES = {dict: "object", list: "list", str: "string", int: "whole number", bool: "true or false"}


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some pairs, for `json.loads`. Raises ValueError where a name is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{shown(twice)!r} stands there twice")
    return found


def shown(name: str) -> str:
    """A name as an error repeats it: a file may hold one of a hundred million characters."""
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}…"


def locate(path: Path, folder: Path | None = None) -> Path:
    """Where a file of a model really lies. Raises BadCheckpoint where links lead out of its folder, other than in the hub's cache."""
    home = (folder or path.parent).resolve()
    real = path.resolve()
    allowed = [home]
    if home.parent.name == SNAPSHOTS:
        model = home.parent.parent
        allowed += [model / BLOBS, *([model.parent / BLOBS] if model.name.startswith(MODEL) else [])]
    if not any(real.is_relative_to(place) for place in allowed):
        raise BadCheckpoint(
            f"{path}: is a link that leads out of the model's folder, to {real}; put the file itself there if it is trusted"
        )
    return real
