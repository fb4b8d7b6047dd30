"""A run's log for TensorBoard, where that is installed: each number a scalar. Without it nothing is written, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NAME = "tensorboard"
"""The folder that `tensorboard --logdir` is given."""


class Board:
    """What takes the lines of a log."""

    def __init__(self, folder: Path, step: int) -> None:
        """`step` is how far the run is: what an earlier one, that was killed, said of later steps is hidden."""
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, line: Mapping[str, Any]) -> None:
        """The numbers of a line, at its `step`."""
        if self._writer is not None:
            for name, value in numbers(line):
                self._writer.add_scalar(name, value, line["step"])
            self._writer.flush()

    def close(self) -> None:
        """Nothing more will come."""
        if self._writer is not None:
            self._writer.close()


def numbers(line: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """Each number of a line with its name, `heldout/languages/de`; `step` is none of them."""
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{within}{name}/")
        elif isinstance(value, int | float) and within + name != "step":
            yield within + name, value
