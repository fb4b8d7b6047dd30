"""One file per framework, the same names in the same order; this one says what they share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np

from xlmr.errors import BadInput

if TYPE_CHECKING:
    from xlmr.checkpoint import Checkpoint
    from xlmr.config import Config

NAMES = ("onnx", "torch", "jax", "tensorflow")


class Runtime(Protocol):
    """An encoder, started. Arrays in and out are NumPy's; padding is `config.pad_id`."""

    def hidden_states(self, ids: np.ndarray, layers: Sequence[int] = (-1,)) -> list[np.ndarray]:
        """States after the asked layers, float32 `[batch, tokens, width]` each.

        `ids` is int64 `[batch, tokens]`. Layer 0 is the embeddings, `config.layers` or -1 the last.
        States at padding are undefined. Raises BadInput for a layer there is not.
        """
        ...

    def mlm_logits(self, ids: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """Logits at the picked places only, float32 `[picks, vocabulary]`; `picks` is int64 `[picks, 2]` of (row, token)."""
        ...


def start(checkpoint: Checkpoint, name: str = "onnx", *, threads: int | None = None) -> Runtime:
    """Start a checkpoint in a framework: `onnx` (light, the default), `torch`, `jax` or `tensorflow`. `threads` None leaves it to that."""
    if name not in NAMES:
        raise BadInput(f"runtime {name!r} is not known; wanted one of {', '.join(NAMES)}")
    runtime: Runtime = import_module(f"xlmr.runtimes.{name}").start(checkpoint, threads=threads)
    return runtime


def depth(layer: int, config: Config) -> int:
    """A layer as it is asked for, counted from either end, as a number from 0 (the embeddings) to `config.layers`."""
    top = config.layers
    if not -top - 1 <= layer <= top:
        raise BadInput(f"layer {layer} was asked for; wanted 0 (the embeddings) to {top}, or counted from the last, -1 to {-top - 1}")
    return layer % (top + 1)
