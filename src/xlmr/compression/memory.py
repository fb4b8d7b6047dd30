"""How much memory a model takes: of a process of its own that loads it, embeds texts and fills masks, as its users' processes do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "xlmr.compression.resident"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one process, in bytes; None where the system does not say."""

    idle: int | None
    """Before it loads the model: Python and the libraries."""
    loaded: int | None
    """When it has answered one text."""
    peak: int | None
    """The most it ever had, when it has answered all of them."""


def measure(folder: Path, texts: Sequence[str]) -> Memory:
    """The memory of a fresh process that answers texts with the model in a folder; nothing but None where that process failed."""
    command = [sys.executable, "-P", "-m", PROGRAM, str(folder)]
    done = subprocess.run(command, input=json.dumps([*texts]), capture_output=True, encoding="utf-8", check=False)
    try:
        return Memory(**json.loads(done.stdout))
    except (ValueError, TypeError):
        return Memory(None, None, None)
