"""The small files of a checkpoint, read whole: only plain ones, only of a size that can be right."""

from __future__ import annotations

import stat
from pathlib import Path

from xlmr.errors import BadCheckpoint

WANTED = "config.json, tokenizer.json and model.safetensors"


def read(path: Path, most: int) -> str:
    """The text of a file of at most `most` bytes. Raises BadCheckpoint where it is missing, no plain file, larger, or not readable."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadCheckpoint(f"{path}: is no plain file; wanted a file of JSON")
        if status.st_size > most:
            raise BadCheckpoint(f"{path}: has {status.st_size:,} bytes; at most {most:,} are read")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadCheckpoint(f"{path}: not found; a checkpoint is a folder with {WANTED}") from None
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BadCheckpoint(f"{path}: not readable as text in UTF-8 ({error})") from None
