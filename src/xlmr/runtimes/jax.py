"""The encoder in JAX, and its weights as a nested dict of arrays (extra: jax)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput, MissingExtra
from xlmr.runtimes import depth

try:
    import jax

    from xlmr.runtimes import jax_model
except Exception as error:
    raise MissingExtra.of("jax", "the JAX runtime", error) from error

if TYPE_CHECKING:
    from xlmr.checkpoint import Checkpoint

STEP = 8
"""Rows and tokens are padded to shapes of which there are few, as each is compiled once: powers of two and their halves, from here on."""


def start(checkpoint: Checkpoint, *, threads: int | None = None) -> JaxRuntime:
    """The checkpoint, ready to run, on the device that JAX chooses. JAX cannot be told a number of `threads`: raises BadInput for more than
    one, which a program may want to be one thing; one is taken for what it has."""
    if threads is not None and threads > 1:
        raise BadInput(f"threads is {threads}, and JAX takes as many as there are; leave it out")
    return JaxRuntime(load(checkpoint), checkpoint.config)


class JaxRuntime:
    """A `Runtime` around the pure functions."""

    def __init__(self, params: jax_model.Params, config: Config) -> None:
        self.params = jax.device_put(params)
        self.config = config
        self._forward = jax.jit(
            partial(jax_model.forward, heads=config.heads, pad_id=config.pad_id, epsilon=config.norm_epsilon), static_argnames="layers"
        )
        self._logits = jax.jit(partial(jax_model.logits, epsilon=config.norm_epsilon))

    def hidden_states(self, ids: np.ndarray, layers: Sequence[int] = (-1,)) -> list[np.ndarray]:
        """States after the asked layers; see `Runtime`."""
        rows, tokens = ids.shape
        return [np.array(states[:rows, :tokens]) for states in self._states(ids, layers)]

    def mlm_logits(self, ids: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """Logits at the picked places; see `Runtime`. Raises BadCheckpoint where the checkpoint has no head."""
        if "head" not in self.params:
            raise BadCheckpoint("the checkpoint has no masked-language-model head (lm_head.*), so it cannot fill masks")
        (states,) = self._states(ids, (-1,))
        wanted = np.zeros((rounded(len(picks)), 2), np.int64)
        wanted[: len(picks)] = picks
        with exactly():
            return np.array(self._logits(self.params, states[wanted[:, 0], wanted[:, 1]])[: len(picks)])

    def _states(self, ids: np.ndarray, layers: Sequence[int]) -> list[jax.Array]:
        """Of the padded batch."""
        asked = tuple(depth(layer, self.config) for layer in layers)
        padded = np.full([rounded(size) for size in ids.shape], self.config.pad_id, np.int32)
        padded[: ids.shape[0], : ids.shape[1]] = ids
        with exactly():
            found: list[jax.Array] = self._forward(self.params, padded, layers=asked)
        return found


def load(checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint's weights in float32, nested as `jax_model` takes them."""
    from xlmr.checkpoint import weights

    return jax_model.nested(weights(checkpoint))


def export(params: jax_model.Params) -> dict[str, np.ndarray]:
    """The weights by our names, as `checkpoint.save` takes them: what `jax_model.nested` was made of."""
    return {name: np.asarray(array) for name, array in jax_model.flat(params).items()}


def rounded(size: int) -> int:
    """The next of 8, 12, 16, 24, 32, 48, …"""
    step = STEP
    while size > step:
        if size <= step * 3 // 2:
            return step * 3 // 2
        step *= 2
    return step


def exactly() -> Any:
    """Products in float32: on a GPU or TPU JAX would else take numbers of fewer digits."""
    return jax.default_matmul_precision("float32")
