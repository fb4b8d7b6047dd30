"""A layer in NumPy is the layer of the runtimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import erf
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, runtimes
from xlmr.compression import arithmetic
from xlmr.config import Config

TINY = Config(vocabulary=500, width=32, layers=2, heads=4, inner=64, positions=66)
TEXTS = [[0, 5, 77, 310, 8, 2], [0, 9, 499, 2], [0, 2]]


@pytest.mark.parametrize("config", [TINY, replace(TINY, heads=3, head_dim=8), replace(TINY, pad_id=4)], ids=["usual", "pruned", "padding"])
def test_states_are_those_of_the_runtime(config, make_checkpoint: Callable[..., Path]) -> None:
    opened = checkpoint.open(make_checkpoint(config))
    weights, rows = checkpoint.weights(opened), arithmetic.lay(TEXTS)
    ids = np.full((3, 6), config.pad_id)
    for row, text in enumerate(TEXTS):
        ids[row, : len(text)] = text
    wanted = runtimes.start(opened).hidden_states(ids, range(config.layers + 1))
    x = arithmetic.embed(weights, config, rows)
    for layer, states in enumerate(wanted):
        if layer:
            x = arithmetic.block(weights, config, layer - 1, x, rows)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, states[ids != config.pad_id], rtol=0, atol=1e-5)


def test_gelu_is_by_the_error_function() -> None:
    x = np.linspace(-9, 9, 4001, dtype=np.float32)
    wanted = [of * (1 + erf(of / 2**0.5)) / 2 for of in x.tolist()]
    np.testing.assert_allclose(arithmetic.gelu(x), wanted, rtol=0, atol=2e-6)
