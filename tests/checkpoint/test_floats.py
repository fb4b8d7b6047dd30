import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlmr.checkpoint import floats

HALVES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
EVERY = np.arange(2**16, dtype=np.uint16)


@pytest.mark.parametrize("dtype", HALVES)
def test_every_stored_half_is_widened_exactly(dtype: str) -> None:
    wide = floats.widen(EVERY.view(floats.HELD[dtype]), dtype)
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, EVERY.view(HALVES[dtype]).astype(np.float32))


@pytest.mark.parametrize("dtype", HALVES)
def test_every_finite_half_comes_back(dtype: str) -> None:
    raw = EVERY.view(floats.HELD[dtype])
    raw = raw[np.isfinite(floats.widen(raw, dtype))]
    np.testing.assert_array_equal(floats.narrow(floats.widen(raw, dtype), dtype).view(np.uint16), raw.view(np.uint16))


@given(arrays(np.float32, 30, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)), st.sampled_from(sorted(HALVES)))
def test_rounding_is_to_the_nearest_even(values: np.ndarray, dtype: str) -> None:
    with np.errstate(over="ignore"):
        expected = values.astype(HALVES[dtype])
    np.testing.assert_array_equal(floats.narrow(values, dtype).view(HALVES[dtype]), expected)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_tie_goes_to_the_even_neighbour(dtype: str) -> None:
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]  # between neighbours above 1
    ties = np.array([1 + step / 2, 1 + 3 * step / 2, -1 - step / 2], np.float32)
    assert floats.widen(floats.narrow(ties, dtype), dtype).tolist() == [1, 1 + 2 * step, -1]


@given(arrays(np.float32, 5, elements=st.floats(width=32)))
def test_float32_is_kept_as_it_is(values: np.ndarray) -> None:
    assert floats.widen(floats.narrow(values, "float32"), "float32").tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", HALVES)
def test_finite_tells_numbers_from_the_others(dtype: str) -> None:
    raw = EVERY.view(floats.HELD[dtype])
    wide = floats.widen(raw, dtype)
    assert [floats.finite(one, dtype) for one in raw.reshape(-1, 1)] == np.isfinite(wide).tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_is_too_large_becomes_infinite(dtype: str) -> None:
    assert not floats.finite(floats.narrow(np.full(1, 3.4028235e38, np.float32), dtype), dtype)
