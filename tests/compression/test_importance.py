"""What is left out is what changes least, and what is left takes over what it can."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint
from xlmr.compression import arithmetic, importance


def said(tokens: int = 400, parts: int = 6, size: int = 2, seed: int = 0) -> np.ndarray:
    """What correlated parts say, some louder than others."""
    dice = np.random.default_rng(seed)
    mixed = dice.standard_normal((parts * size, parts * size)) * np.repeat(np.linspace(0.2, 2, parts), size)
    return (dice.standard_normal((tokens, parts * size)) @ mixed + dice.standard_normal(parts * size)).astype(np.float32)


def matrix(columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((5, columns)).astype(np.float32)


def refitted(x: np.ndarray, weight: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, float]:
    """By least squares with the damping of the method, in another way: as rows of more observations. And what that costs."""
    centred = (x - x.mean(0)).astype(np.float64)
    damping = importance.DAMPING * np.square(centred).sum(0).mean()
    seen = np.vstack([centred, np.eye(x.shape[1]) * damping**0.5])
    found, *_ = np.linalg.lstsq(seen[:, places], seen @ weight.T, rcond=None)
    return found.T, float(np.square(seen @ weight.T - seen[:, places] @ found).sum())


@pytest.mark.parametrize("size", [1, 2])
def test_what_is_left_is_refitted_by_least_squares(size: int) -> None:
    x = said(size=size)
    weight = matrix(x.shape[1])
    found = importance.choose(x, weight, size, 3)
    wanted, _ = refitted(x, weight, importance.columns(found.kept, size))
    np.testing.assert_allclose(found.weight, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_part_whose_leaving_costs_least_goes(seed: int) -> None:
    x = said(seed=seed)
    weight = matrix(x.shape[1], seed)
    costs = {kept: refitted(x, weight, importance.columns(np.array(kept), 2))[1] for kept in combinations(range(6), 5)}
    assert tuple(importance.choose(x, weight, 2, 5).kept.tolist()) == min(costs, key=costs.__getitem__)


def test_the_mean_of_the_output_stays_and_the_loss_is_told() -> None:
    x = said()
    weight = matrix(x.shape[1])
    found = importance.choose(x, weight, 2, 3)
    before, after = x @ weight.T, x[:, importance.columns(found.kept, 2)] @ found.weight.T + found.shift
    np.testing.assert_allclose(after.mean(0), before.mean(0), rtol=0, atol=1e-3)
    assert found.lost == pytest.approx(np.square(before - after).sum() / np.square(before - before.mean(0)).sum(), rel=1e-3)


def test_refitting_loses_less() -> None:
    x = said()
    weight = matrix(x.shape[1])
    with_it, without = (importance.choose(x, weight, 2, 3, refit=refit) for refit in (True, False))
    assert with_it.lost < without.lost
    np.testing.assert_array_equal(with_it.kept, without.kept)
    np.testing.assert_array_equal(without.weight, weight[:, importance.columns(without.kept, 2)])
    assert not without.shift.any()


def test_a_part_that_repeats_another_costs_nothing() -> None:
    x = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
    x[:, 5] = x[:, 4]
    found = importance.choose(x, np.eye(6, dtype=np.float32), 1, 5)
    assert not {4, 5} <= {*found.kept.tolist()}
    assert found.lost < 0.01


def test_texts_that_say_nothing_choose_something() -> None:
    found = importance.choose(np.zeros((3, 6), np.float32), matrix(6), 1, 2)
    assert len(found.kept) == 2
    assert np.isfinite(found.weight).all()


def test_a_layer_that_does_nothing_goes_first(tiny: Path) -> None:
    opened = checkpoint.open(tiny)
    weights = checkpoint.weights(opened)
    for name in ("attention_out", "shrink"):
        weights[f"layers.0.{name}.weight"][:] = weights[f"layers.0.{name}.bias"][:] = 0
    for name in ("attention_norm", "output_norm"):
        weights[f"layers.0.{name}.weight"][:], weights[f"layers.0.{name}.bias"][:] = 1, 0
    weights["embeddings.norm.weight"][:], weights["embeddings.norm.bias"][:] = 1, 0
    rows = arithmetic.lay([[0, 5, 6, 2], [0, 9, 2]])
    assert importance.layers(weights, opened.config, rows, 1, lambda _: None) == [1]
