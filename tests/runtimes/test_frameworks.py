"""What the runtimes in JAX and TensorFlow have of their own: threads, shapes that are compiled, weights that go in and come out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlmr import checkpoint, runtimes
from xlmr.errors import BadCheckpoint, BadInput

FRAMEWORKS = ("jax", "tensorflow")
ONE_THREAD = """
import sys
import numpy as np
from xlmr import checkpoint, runtimes
runtime = runtimes.start(checkpoint.open(sys.argv[1]), "tensorflow", threads=1)
runtime.hidden_states(np.array([[0, 5, 2]]))
runtimes.start(checkpoint.open(sys.argv[1]), "tensorflow", threads=1)
try:
    runtimes.start(checkpoint.open(sys.argv[1]), "tensorflow", threads=2)
except ValueError as error:
    print(error)
"""

PRECISION = """
import sys
from xlmr import checkpoint, runtimes
import tensorflow as tf
allowed = tf.config.experimental.tensor_float_32_execution_enabled
print(allowed())
runtimes.start(checkpoint.open(sys.argv[1]), "tensorflow")
print(allowed())
"""


def test_tensorflow_computes_float32_in_float32(tiny: Path) -> None:
    """On a GPU it would not, unasked. That holds for a process, so it is asked in one of its own."""
    pytest.importorskip("tensorflow")
    done = subprocess.run([sys.executable, "-c", PRECISION, str(tiny)], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "True\nFalse\n"


def test_jax_computes_float32_in_float32(tiny: Path) -> None:
    """On a GPU or TPU it would not, unasked."""
    jax = pytest.importorskip("jax")
    runtime, found = runtimes.start(checkpoint.open(tiny), "jax"), []

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **more: (found.append(jax.config.jax_default_matmul_precision), function(*given, **more))[1]

    runtime._forward, runtime._logits = told(runtime._forward), told(runtime._logits)
    runtime.mlm_logits(np.array([[0, 5, 2]]), np.array([[0, 1]]))
    assert found == ["float32", "float32"]
    assert jax.config.jax_default_matmul_precision is None


def test_pytorch_computes_float32_in_float32_unasked() -> None:
    """Its runtime relies on that."""
    pytest.importorskip("torch")
    code = "import torch; print(torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "highest False\n"


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_weights_come_out_as_they_went_in(name: str, tiny: Path) -> None:
    pytest.importorskip(name)
    from importlib import import_module

    module, opened = import_module(f"xlmr.runtimes.{name}"), checkpoint.open(tiny)
    found, wanted = module.export(module.load(opened)), checkpoint.weights(opened)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_without_a_head_no_mask_is_filled(name: str, make_checkpoint) -> None:
    pytest.importorskip(name)
    runtime = runtimes.start(checkpoint.open(make_checkpoint(head=False)), name)
    with pytest.raises(BadCheckpoint, match="no masked-language-model head"):
        runtime.mlm_logits(np.array([[0, 5, 2]]), np.array([[0, 1]]))


def test_jax_cannot_be_told_a_number_of_threads(tiny: Path) -> None:
    pytest.importorskip("jax")
    with pytest.raises(BadInput, match="threads is 2, and JAX takes as many as there are; leave it out"):
        runtimes.start(checkpoint.open(tiny), "jax", threads=2)


def test_few_shapes_are_compiled() -> None:
    pytest.importorskip("jax")
    from xlmr.runtimes.jax import rounded

    assert [rounded(size) for size in (1, 8, 9, 13, 17, 25, 512)] == [8, 8, 12, 16, 24, 32, 512]
    assert len({rounded(size) for size in range(1, 513)}) == 13
    assert all(size <= rounded(size) < max(9, size * 1.5) for size in range(1, 513))


def test_tensorflow_takes_a_number_of_threads_once(tiny: Path) -> None:
    pytest.importorskip("tensorflow")
    done = subprocess.run([sys.executable, "-c", ONE_THREAD, str(tiny)], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "threads is 2, and TensorFlow has begun with another number; give it before anything runs\n"


def test_tensorflow_computes_with_an_arrays_own_copy() -> None:
    tf = pytest.importorskip("tensorflow")
    from xlmr.runtimes.tensorflow import held

    for size in (1, 3, 1_000):
        array = np.arange(size, dtype=np.float32)
        assert np.array_equal(tf.Variable(held(array)).numpy(), array)
        product = tf.linalg.matvec(tf.Variable(held(np.stack([array] * 2))), held(array)).numpy()
        assert np.allclose(product, [array @ array] * 2, rtol=1e-5)
