"""What JAX is given is an array tree and pure functions, which do what JAX does with such."""

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_export import exported

from xlmr import checkpoint

jax = pytest.importorskip("jax")


@pytest.fixture
def model(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The exported module, its arrays and its options."""
    exported("jax", tiny, tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    import model

    return model, *model.load(tmp_path / "out")


IDS = np.array([[0, 5, 6, 2], [0, 7, 2, 1]], np.int32)


def test_it_maps_over_texts(model: Any) -> None:
    functions, params, options = model
    whole = functions.answer(params, IDS, **options)["logits"]
    each = jax.vmap(lambda ids: functions.answer(params, ids[None], **options)["logits"][0])(IDS)
    assert np.abs(whole - each)[IDS != 1].max() <= 1e-5


def test_it_differentiates(model: Any) -> None:
    functions, params, options = model

    def loss(params: Any) -> Any:
        return -jax.nn.log_softmax(functions.answer(params, IDS, **options)["logits"])[0, 1, 5]

    value, slopes = jax.jit(jax.value_and_grad(loss))(params)
    stepped = jax.tree.map(lambda array, slope: array - 1e-3 * slope, params, slopes)
    assert loss(stepped) < value


def test_arrays_are_nested_as_they_are_named(model: Any, tiny: Path) -> None:
    _, params, _ = model
    opened = checkpoint.open(tiny)
    assert np.array_equal(params["layers"][0]["query"]["weight"], checkpoint.read(opened, "layers.0.query.weight"))
    assert len(params["layers"]) == opened.config.layers


def test_its_module_imports_nothing_of_ours(model: Any) -> None:
    tree = ast.parse(Path(model[0].__file__).read_text(encoding="utf-8"))
    roots = {node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    roots |= {name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert roots - {*sys.stdlib_module_names} == {"jax", "numpy", "safetensors"}


def test_a_step_of_optax_and_a_checkpoint_of_orbax(model: Any, tmp_path: Path) -> None:
    """As docs/export.md shows them."""
    optax, orbax = pytest.importorskip("optax"), pytest.importorskip("orbax.checkpoint")
    functions, params, options = model

    def loss(params: Any) -> Any:
        scores = functions.answer(params, IDS, **options)["logits"]
        return optax.softmax_cross_entropy_with_integer_labels(scores, IDS).mean()

    optimiser = optax.adamw(1e-3)
    value, slopes = jax.value_and_grad(loss)(params)
    updates, _ = optimiser.update(slopes, optimiser.init(params), params)
    params = optax.apply_updates(params, updates)
    assert loss(params) < value
    with orbax.StandardCheckpointer() as keeper:
        keeper.save(tmp_path / "step", params)
        keeper.wait_until_finished()
        back = keeper.restore(tmp_path / "step", jax.tree.map(jax.numpy.zeros_like, params))
    assert all(np.array_equal(one, other) for one, other in zip(jax.tree.leaves(params), jax.tree.leaves(back), strict=True))
