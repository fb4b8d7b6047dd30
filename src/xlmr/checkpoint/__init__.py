"""Where weights come from and go to: the small model inside the package, a folder, or the Hugging Face hub.

Nothing in a model folder is ever executed: the weights are safetensors, the rest is JSON.
"""

from __future__ import annotations

import re
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from xlmr.checkpoint import finetuned
from xlmr.checkpoint import folder as folders
from xlmr.checkpoint.finetuned import SavedHead, TaskHead
from xlmr.checkpoint.folder import Checkpoint
from xlmr.checkpoint.header import Stored
from xlmr.checkpoint.saving import save
from xlmr.errors import BadCheckpoint, BadInput

__all__ = ["Checkpoint", "SavedHead", "Stored", "TaskHead", "head_weights", "open", "read", "save", "weights"]

SMALL = "small"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{,95}/[A-Za-z0-9][\w.-]{,95}", re.ASCII)
SHOWN = 200
"""Characters of a source that an error repeats."""


def open(source: str | PathLike[str] | None = None, *, revision: str | None = None) -> Checkpoint:
    """Find a model and check that it is whole; reads headers, no weights.

    `source` is a folder, a hub id such as `FacebookAI/xlm-roberta-base` (a folder of that name comes first), or nothing or
    `small` for the model inside the package (a folder of that name is `./small`). `revision`, for a hub id, is a branch, tag or commit.

    Raises BadCheckpoint where files are missing or broken, OtherArchitecture where they are another model's, NotAvailable
    where a hub id is neither in the cache nor can be fetched.
    """
    if source is None or source == SMALL:
        where = _small()
    elif isinstance(source, str) and HUB_ID.fullmatch(source) and not Path(source).exists():
        from xlmr.checkpoint import hub  # takes half a second, which only those who fetch should wait for

        return folders.open(hub.fetch(source, revision))
    else:
        where = _there(source)
    if revision is not None:
        raise BadInput(f"revision {revision!r} was asked of {where}; only a model from the hub has revisions")
    return folders.open(where)


def read(checkpoint: Checkpoint, name: str) -> np.ndarray:
    """One tensor by our name for it, in float32."""
    stored = checkpoint.stored[name]
    return folders.numbers(stored).reshape(stored.shape)


def weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Every tensor by our name for it, in float32."""
    return {name: read(checkpoint, name) for name in checkpoint.stored}


def head_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The tensors of its fine-tuned head by our names for them (`task.*`), in float32; none where it has no head that is known."""
    return finetuned.weights(checkpoint.task) if checkpoint.task else {}


def _there(source: str | PathLike[str]) -> Path:
    """The path that a source names, which is there."""
    named = fspath(source)
    found = "not found"
    try:
        where = Path(named).expanduser()
        if named and where.exists():
            return where
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        found = f"cannot be looked up ({error.strerror})"
    except (RuntimeError, ValueError):  # the home of a user there is not, a name that no system takes
        pass
    shown = repr(named) if len(named) <= SHOWN else f"{named[:SHOWN]!r}…"
    raise BadCheckpoint(f"{shown} {found}; wanted a folder, a hub id such as FacebookAI/xlm-roberta-base, or {SMALL!r}")


def _small() -> Path:
    where = files("xlmr") / SMALL
    if not isinstance(where, Path) or not (where / folders.WEIGHTS).is_file():
        raise BadCheckpoint(f"{where}: this installation has no small model inside; build it with `make small`, or name another model")
    return where
