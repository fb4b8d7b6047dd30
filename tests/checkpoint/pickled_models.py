"""Models as pickles, for the tests of what is made of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlmr import checkpoint
from xlmr.checkpoint import importing

torch = pytest.importorskip("torch")
unpickling = pytest.importorskip("xlmr.checkpoint.unpickling", exc_type=ImportError)

State = dict[str, Any]


@pytest.fixture
def own_process() -> None:
    """Asked for where a test is about the process that opens a pickle; it takes seconds to start."""


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the same is done here, without limits, with what crosses between the processes as JSON there and back."""
    if "own_process" not in request.fixturenames:
        monkeypatch.setattr(importing, "_ask", lambda asked, name, seconds: json.loads(json.dumps(unpickling.answer(asked))))


def state(tiny: Path) -> State:
    """The tiny model's tensors, as PyTorch's own."""
    from safetensors.torch import load_file

    return dict(load_file(tiny / "model.safetensors"))


@pytest.fixture
def pickled(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """`pickled(content)`: the tiny model's folder with a pickle of that, or of its tensors, instead of its safetensors."""

    def make(content: object = None, name: str = "pytorch_model.bin", **options: Any) -> Path:
        folder = tmp_path / "old"
        shutil.copytree(tiny, folder)
        (folder / "model.safetensors").unlink()
        torch.save(state(tiny) if content is None else content, folder / name, **options)
        return folder

    return make


def same_weights(one: Path, other: Path) -> bool:
    a, b = (checkpoint.weights(checkpoint.open(folder)) for folder in (one, other))
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
