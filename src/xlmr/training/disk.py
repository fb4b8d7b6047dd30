"""What a disk refuses, and what to do then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EIO
from pathlib import Path

from safetensors import SafetensorError


@contextmanager
def writing(path: Path, advice: str) -> Iterator[None]:
    """Raises OSError that names the path, why it cannot be written, and what to do then; safetensors has an error of its own for that."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number, reason = getattr(error, "errno", None) or EIO, getattr(error, "strerror", None) or error
        raise OSError(number, f"{reason}; {advice}", str(path)) from error
