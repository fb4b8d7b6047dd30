"""A layer in NumPy, laid open: what goes into its two outgoing matrices, by which the parts that feed them are weighed.

The runtimes give states alone. Here nothing need be fast but the matrix products: some thousand tokens go through each layer once.
Arithmetic: RoBERTa's (Liu et al. 2019), normalised after each sub-layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.config import Config

# Abramowitz and Stegun (1964), 7.1.26: the error function to 1.5e-7, which is float32's precision.
ERF = 0.3275911, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts in their tokens, laid end to end."""

    ids: np.ndarray
    """int64 `[tokens]`."""
    lengths: np.ndarray
    """int64 `[texts]`."""


def lay(rows: Sequence[Sequence[int]]) -> Rows:
    """Texts, given as the ids of each."""
    return Rows(np.concatenate([np.asarray(row, np.int64) for row in rows]), np.array([len(row) for row in rows], np.int64))


def embed(weights: Mapping[str, np.ndarray], config: Config, rows: Rows) -> np.ndarray:
    """The embeddings, float32 `[tokens, width]`."""
    places = np.concatenate([np.arange(length) for length in rows.lengths]) + config.pad_id + 1  # RoBERTa counts from there
    x = weights["embeddings.words.weight"][rows.ids] + weights["embeddings.positions.weight"][places]
    return norm(weights, config, "embeddings.norm", x + weights["embeddings.types.weight"][0])


def attend(weights: Mapping[str, np.ndarray], config: Config, layer: int, x: np.ndarray, rows: Rows) -> np.ndarray:
    """What each token reads from its own text, head beside head: float32 `[tokens, heads x head width]`."""
    parts = [linear(weights, f"layers.{layer}.{part}", x).reshape(len(x), config.heads, -1) for part in ("query", "key", "value")]
    read = np.empty_like(parts[2])
    begin, scale = 0, np.float32(config.head_width**-0.5)
    for end in np.cumsum(rows.lengths).tolist():
        query, key, value = (part[begin:end].swapaxes(0, 1) for part in parts)  # heads tokens head width
        scores = query @ key.swapaxes(1, 2) * scale
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        read[begin:end] = (shares / shares.sum(-1, keepdims=True) @ value).swapaxes(0, 1)
        begin = end
    return read.reshape(len(x), -1)


def grow(weights: Mapping[str, np.ndarray], layer: int, x: np.ndarray) -> np.ndarray:
    """The inner units, float32 `[tokens, inner]`, from what attention leaves, `[tokens, width]`."""
    return gelu(linear(weights, f"layers.{layer}.grow", x))


def add(weights: Mapping[str, np.ndarray], config: Config, name: str, x: np.ndarray, read: np.ndarray) -> np.ndarray:
    """What a sub-layer adds to its input, normalised; `name` is `layers.N.attention` or `layers.N.output`."""
    return norm(weights, config, f"{name}_norm", x + read)


def block(weights: Mapping[str, np.ndarray], config: Config, layer: int, x: np.ndarray, rows: Rows) -> np.ndarray:
    """A whole layer: `[tokens, width]` to `[tokens, width]`."""
    name = f"layers.{layer}"
    x = add(weights, config, f"{name}.attention", x, linear(weights, f"{name}.attention_out", attend(weights, config, layer, x, rows)))
    return add(weights, config, f"{name}.output", x, linear(weights, f"{name}.shrink", grow(weights, layer, x)))


def linear(weights: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    """`[tokens, in]` to `[tokens, out]`."""
    product: np.ndarray = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return product


def norm(weights: Mapping[str, np.ndarray], config: Config, name: str, x: np.ndarray) -> np.ndarray:
    """Layer normalisation over the width."""
    x = x - x.mean(-1, keepdims=True)
    scaled: np.ndarray = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(config.norm_epsilon))
    normed: np.ndarray = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normed


def gelu(x: np.ndarray) -> np.ndarray:
    """By the error function."""
    slope, factors = ERF
    of = np.abs(x) * np.float32(2**-0.5)
    t = 1 / (1 + np.float32(slope) * of)
    tail = np.zeros_like(x)
    for factor in factors:
        tail = (tail + np.float32(factor)) * t
    tail *= np.exp(-of * of)  # 1 - erf(|x| / √2)
    below: np.ndarray = np.where(x < 0, tail, 2 - tail)
    grown: np.ndarray = np.float32(0.5) * x * below
    return grown
