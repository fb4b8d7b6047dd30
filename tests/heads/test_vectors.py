"""The steps against what they are by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xlmr.errors import BadCheckpoint
from xlmr.heads.vectors import ACTIVATIONS, POOLS, Dense, Normalize, Pooling, Recipe, Unknown, refuse_unknown, vector, width

STATES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-8, 8, width=32))


def written_out(mode: str, states: np.ndarray, skipped: int) -> np.ndarray:
    rows = [(i + 1, row) for i, row in enumerate(states.astype(np.float64)) if i >= skipped]
    return {
        "cls": lambda: rows[0][1],
        "max": lambda: np.array([max(column) for column in zip(*(row for _, row in rows), strict=True)]),
        "mean": lambda: sum(row for _, row in rows) / len(rows),
        "mean_sqrt_len_tokens": lambda: sum(row for _, row in rows) / len(rows) ** 0.5,
        "weightedmean": lambda: sum(i * row for i, row in rows) / sum(i for i, _ in rows),
        "lasttoken": lambda: rows[-1][1],
    }[mode]()


@given(STATES, st.sampled_from(sorted(POOLS)), st.data())
def test_pooling_is_what_it_is_called(states: np.ndarray, mode: str, data: st.DataObject) -> None:
    skipped = data.draw(st.integers(0, len(states) - 1))
    found = vector(Recipe(steps=(Pooling((mode,), with_prompt=False),)), states, skipped)
    np.testing.assert_allclose(found, written_out(mode, states, skipped), atol=1e-5)
    found = vector(Recipe(steps=(Pooling((mode,)),)), states, skipped)
    np.testing.assert_allclose(found, written_out(mode, states, 0), atol=1e-5)


@given(STATES)
def test_normalised_vectors_have_length_one_or_none(states: np.ndarray) -> None:
    found = vector(Recipe(steps=(Pooling(("cls",)), Normalize())), states)
    length = float(np.linalg.norm(states[0]))
    assert float(np.linalg.norm(found)) == pytest.approx(1 if length > 1e-6 else 0, abs=1e-5) or length < 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.linspace(-60, 60, 241, dtype=np.float32)
    with np.errstate(over="ignore"):
        ours = ACTIVATIONS[name](x)
    np.testing.assert_allclose(ours, getattr(torch.nn, name)()(torch.from_numpy(x)).numpy(), atol=1e-6)


@pytest.mark.parametrize("out", [4, 6])
def test_a_residual_is_added_through_a_matrix_where_sizes_differ(out: int) -> None:
    dice = np.random.default_rng(0)
    weight, x = dice.standard_normal((out, 4), np.float32), dice.standard_normal((1, 4), np.float32)
    shortcut = None if out == 4 else dice.standard_normal((out, 4), np.float32)
    step = Dense(weight, None, "ReLU", residual=True, shortcut=shortcut)
    expected = np.maximum(weight @ x[0], 0) + (x[0] if shortcut is None else shortcut @ x[0])
    np.testing.assert_allclose(vector(Recipe(steps=(Pooling(("cls",)), step)), x), expected, rtol=1e-5)


def test_the_width_is_that_of_the_vectors() -> None:
    dense = Dense(np.ones((5, 64), np.float32), None, "Identity")
    recipe = Recipe(steps=(Pooling(("cls", "max")), dense, Normalize()))
    assert width(recipe, 32) == len(vector(recipe, np.ones((3, 32), np.float32))) == 5
    short = Recipe(steps=recipe.steps, size=3)
    assert width(short, 32) == len(vector(short, np.ones((3, 32), np.float32))) == 3
    with pytest.raises(BadCheckpoint, match="a dense layer takes 64 numbers, and the step before it gives 32"):
        width(Recipe(steps=(Pooling(("cls",)), dense)), 32)


def test_what_is_not_known_is_refused() -> None:
    recipe = Recipe(steps=(Pooling(("cls",)), Unknown("a module of type X")))
    for ask in (lambda: refuse_unknown(recipe), lambda: vector(recipe, np.ones((1, 2)))):
        with pytest.raises(BadCheckpoint, match="a module of type X"):
            ask()
