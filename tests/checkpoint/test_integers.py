"""Integers and their scales stand for the numbers they were made of, within half a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.checkpoint import integers
from xlmr.errors import BadCheckpoint

LAYOUTS = [("rows", 8), ("columns", 8), ("blocks", 8), ("blocks", 4)]
LARGEST = {8: 127 * 65_504, 4: 7 * 65_504}
LEAST = float(np.float16(6e-8))
"""The smallest scale that float16 has."""


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Of rows of all sizes, from too small for a scale to the largest that there are; some of zeros, some with one large number."""
    rows, blocks = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    dice = np.random.default_rng(draw(st.integers(0, 1_000)))
    size = draw(st.sampled_from([0, 1e-30, 1e-8, 1e-3, 1, 1e4, 4e5]))
    values = (dice.uniform(-1, 1, (rows, 32 * blocks)) * size).astype(np.float32)
    values[draw(st.integers(0, rows - 1))] *= draw(st.sampled_from([0, 1, 1e-5]))
    return values


@pytest.mark.parametrize(("layout", "bits"), LAYOUTS)
@given(values=matrices())
def test_numbers_come_back_within_half_a_step(layout: str, bits: int, values: np.ndarray) -> None:
    whole, scale = integers.quantize(values, layout, bits), integers.scales(values, layout, bits)
    assert (whole.shape, scale.shape) == integers.shapes(layout, values.shape, bits)
    assert whole.dtype == integers.HELD[layout]
    assert scale.dtype == np.float16
    assert (scale >= LEAST).all()
    found = integers.numbers(whole, scale, layout, values.shape)
    step = np.repeat(scale.astype(np.float32).reshape(len(values), -1), 32, 1) if layout == "blocks" else scale.astype(np.float32)[:, None]
    assert found.shape == values.shape
    assert found.dtype == np.float32
    assert (np.abs(found - values) <= 0.5001 * step).all()
    largest = np.abs(values).reshape(len(values), -1, 32 if layout == "blocks" else values.shape[1]).max(-1)
    assert (scale.reshape(largest.shape) <= largest / (127 if bits == 8 else 7) * 1.001 + LEAST).all(), "finer could be had"


@pytest.mark.parametrize(("layout", "bits"), LAYOUTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_number_gets_the_largest_integer_and_none_leaves_its_range(layout: str, bits: int, sign: int) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32) * np.logspace(-6, 5, 64, dtype=np.float32)[:, None]
    values[:, ::32] = sign * 1.5 * np.abs(values).max(1, keepdims=True)
    found = integers.quantize(values, layout, bits)
    steps = integers.numbers(found, np.ones(integers.shapes(layout, values.shape, bits)[1], np.float16), layout, values.shape)
    most = 127 if bits == 8 else 7
    assert (np.abs(steps) <= most).all()
    assert (np.abs(steps[16:, ::32]) >= most - 1).all()
    assert (steps == np.rint(steps)).all()


@pytest.mark.parametrize(("layout", "bits"), LAYOUTS)
def test_a_number_too_large_for_its_scale_is_told(layout: str, bits: int) -> None:
    values = np.zeros((2, 32), np.float32)
    values[1, 3] = -LARGEST[bits] * 0.999
    found = integers.numbers(integers.quantize(values, layout, bits), integers.scales(values, layout, bits), layout, (2, 32))
    np.testing.assert_allclose(found, values, rtol=1e-3)
    values[1, 3] = -LARGEST[bits] * 1.01
    with pytest.raises(BadCheckpoint, match=rf"is too large for {bits} bits; wanted {LARGEST[bits]:,} at most"):
        integers.quantize(values, layout, bits)
    with pytest.raises(BadCheckpoint, match="too large"):
        integers.scales(values, layout, bits)


def test_a_number_of_four_bits_has_the_lower_half_of_a_byte_first() -> None:
    """As ONNX Runtime's MatMulNBits reads it."""
    values = np.zeros((1, 32), np.float32)
    values[0, :3] = 7, -7, 2
    found = integers.quantize(values, "blocks", 4)
    assert found.shape == (1, 1, 16)
    assert found[0, 0, :3].tolist() == [15 | 1 << 4, 10 | 8 << 4, 8 | 8 << 4]


def test_another_rounding_gets_the_scales_and_gives_the_integers() -> None:
    values, seen = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32), []

    def down(values: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
        seen.append((scale.shape, most))
        return np.trunc(values / scale)

    for layout, bits in LAYOUTS:
        found = integers.numbers(integers.quantize(values, layout, bits, down), integers.scales(values, layout, bits), layout, values.shape)
        assert (np.abs(found) <= np.abs(values)).all()
    assert seen == [((3, 1), 127), ((3, 1), 127), ((3, 64), 127), ((3, 64), 7)]


def test_a_width_without_whole_blocks_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="48 inputs has no whole blocks of 32"):
        integers.shapes("blocks", (2, 48))
