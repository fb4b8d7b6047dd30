"""A folder that takes the place of another whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xlmr.checkpoint.folder import CONFIG, TOKENIZER, WEIGHTS
from xlmr.errors import BadInput

TOKENIZER_CONFIG = "tokenizer_config.json"
WRITTEN = {CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG, "tagging.safetensors", "answering.safetensors"}
"""What a folder may hold and still be replaced: all that is saved of a model, the attachments of its head among it."""


@contextmanager
def replacing(folder: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place at the end if nothing went wrong, and is removed if something did.

    `check` raises where a folder that is there may not be replaced; without it that is one which is neither empty nor a checkpoint.
    """
    (check or _check_replaceable)(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    new, old = (folder.with_name(f".{folder.name}.{mark}.{state}") for state in ("new", "old"))
    try:
        new.mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            sync(path)
        (check or _check_replaceable)(folder)  # once more: meanwhile somebody else may have written there
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; nothing was saved", str(folder)) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder}: is a file; a checkpoint is saved as a folder")
    held = {path.name for path in folder.iterdir()}
    if foreign := sorted(held - WRITTEN):
        raise BadInput(f"{folder}: holds {', '.join(foreign[:3])}, which would be lost; save to a new or empty folder")
    if held and CONFIG not in held:
        raise BadInput(f"{folder}: holds {', '.join(sorted(held))} and no {CONFIG}, so it is no checkpoint; save to a new or empty folder")


def check_made(folder: Path, mark: str, kind: str, *, model: Path, force: bool = False) -> None:
    """Raises BadInput where something would be lost: with `force` what was made before may be replaced, and nothing else.

    `mark` is the file by which that is known, `kind` what it is called, such as `an export`, and `model` what it is made of.
    """
    for kept, what in ((model, "the model itself"), (Path.cwd(), "the folder you are in"), (Path.home(), "your home")):
        if kept.resolve().is_relative_to(folder):
            raise BadInput(f"{folder}: is {what}, or holds it; choose a folder of its own")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInput(f"{folder}: is a file; {kind} is a folder")
    held = sorted(path.name for path in folder.iterdir())
    shown = f"{', '.join(held[:3])}{' …' if len(held) > 3 else ''}"
    if held and not force:
        raise BadInput(f"{folder}: holds {shown}; choose a new folder, or --force to replace {kind}")
    if held and mark not in held:
        raise BadInput(
            f"{folder}: holds {shown} and no {mark}, so it is not {kind}, and --force replaces nothing else; choose a new folder"
        )


def sync(path: Path) -> None:
    """Let a file's or folder's content reach the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
