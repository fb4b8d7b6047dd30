import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlmr.errors import BadCheckpoint
from xlmr.heads.forms import DTYPES, Form

VECTORS = np.random.default_rng(0).standard_normal((50, 37)).astype(np.float32) * np.linspace(0.01, 40, 50, dtype=np.float32)[:, None]


def cosines(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 8, 30, 37])
def test_many_vectors_are_stored_as_each_alone(dtype, size):
    form = Form(size, unit=True, dtype=dtype)
    many = form.of(VECTORS)
    assert np.array_equal(many, np.stack([form.of(vector) for vector in VECTORS]))
    assert many.nbytes == len(VECTORS) * form.stored.itemsize
    assert np.empty(len(VECTORS), form.stored).shape == many.shape
    assert np.empty(0, form.stored).dtype == many.dtype


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_int8_is_undone_within_half_a_scale(vectors):
    stored = Form(vectors.shape[1], dtype="int8").of(vectors)
    undone = stored["vector"] * stored["scale"][:, None].astype(np.float64)
    assert (np.abs(undone - vectors) <= stored["scale"][:, None] * 0.5001).all()
    assert (stored["scale"] > 0).all()


@pytest.mark.parametrize("largest", [0, 1e-45, 2e-43, 1e-38, 1.5e-36, 3e38])
def test_int8_never_overflows(largest):
    vector = np.array([largest, -largest, largest / 3], np.float32)
    stored = Form(3, dtype="int8").of(vector)
    assert (np.abs(stored["vector"] * stored["scale"].astype(np.float64) - vector) <= stored["scale"] * 0.5001).all()


def test_cosines_of_int8_are_those_of_the_vectors_nearly():
    np.testing.assert_allclose(cosines(Form(37, dtype="int8").of(VECTORS)["vector"]), cosines(VECTORS), atol=0.01)


def test_bits_are_packed_as_sentence_transformers_does():
    quantization = pytest.importorskip("sentence_transformers.util.quantization")
    assert np.array_equal(Form(37, dtype="binary").of(VECTORS), quantization.quantize_embeddings(VECTORS, "ubinary"))


def test_vectors_are_cut_before_they_are_brought_to_length_1():
    found = Form(5, unit=True).of(VECTORS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(cosines(found), cosines(VECTORS[:, :5]), atol=1e-6)
    assert np.array_equal(Form(3, unit=True).of(np.zeros(4, np.float32)), np.zeros(3))


def test_what_float16_cannot_hold_is_told():
    with pytest.raises(BadCheckpoint, match=r"a vector with 70,000 in it, too much for float16; ask for float32"):
        Form(2, dtype="float16").of(np.array([-70_000, 1], np.float32))
