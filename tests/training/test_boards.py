"""TensorBoard's writer stands here as a module of the test's own: what is checked is what it is given."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xlmr.training.boards import Board, numbers


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """All that the writer is told."""
    told: list[tuple[Any, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            told.append(("opened", Path(folder).name, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None: ...

        def close(self) -> None:
            told.append(("closed",))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return told


def test_each_number_of_a_line_is_a_scalar_at_its_step(written: list[tuple[Any, ...]], tmp_path: Path) -> None:
    board = Board(tmp_path / "board", 7)
    board.add({"step": 8, "loss": 1.5, "rate": 0.1})
    board.add({"step": 9, "heldout": {"f1": 0.5, "languages": {"de": 0.25}}})
    board.close()
    assert written == [
        ("opened", "board", 8), ("loss", 1.5, 8), ("rate", 0.1, 8), ("heldout/f1", 0.5, 9), ("heldout/languages/de", 0.25, 9), ("closed",),
    ]  # fmt: skip


def test_without_tensorboard_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    board = Board(tmp_path / "board", 0)
    board.add({"step": 1, "loss": 1.0})
    board.close()
    assert not [*tmp_path.iterdir()]


def test_numbers_are_those_that_are_numbers() -> None:
    line = {"step": 3, "loss": None, "words": "x", "held": {"step": 4, "out": 2}}
    assert dict(numbers(line)) == {"held/step": 4, "held/out": 2}
