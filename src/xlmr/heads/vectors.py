"""From the states of a text's tokens to one vector of the text: the steps of sentence-transformers, as data, and what they compute.

Reimers and Gurevych (2019), "Sentence-BERT", section 3, has mean, maximum and first token; the others are sentence-transformers' own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import erf
from reprlib import repr as shorten

import numpy as np

from xlmr.errors import BadCheckpoint

FLOOR = 1e-12
"""The shortest length that a vector is divided by; PyTorch's."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """One vector from those of the tokens; several modes give one beside the other."""

    modes: tuple[str, ...]
    """Of `POOLS`."""
    with_prompt: bool = True
    """Whether the tokens of a prompt count."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer and an activation."""

    weight: np.ndarray
    """float32 `[out, in]`."""
    bias: np.ndarray | None
    """float32 `[out]`."""
    activation: str
    """Of `ACTIVATIONS`."""
    residual: bool = False
    """Whether its input is added to its output …"""
    shortcut: np.ndarray | None = None
    """… and by which matrix, float32 `[out, in]`, where the sizes differ."""


@dataclass(frozen=True, slots=True)
class Normalize:
    """To length 1."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A step that is not computed here."""

    reason: str
    """What it is, for people."""


Step = Pooling | Dense | Normalize | Unknown


@dataclass(frozen=True, slots=True)
class Layers:
    """Which layers' states are wanted, and what becomes of several."""

    numbers: tuple[int, ...] = (-1,)
    """0 is the embeddings, -1 the last."""
    mean: bool = False
    """Their mean; else one beside the other."""

    def width(self, states: int) -> int:
        """Numbers of a token, from the width of one layer's states."""
        return states if self.mean else states * len(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model makes the vector of a text. The defaults are what a model without any such files has."""

    layers: Layers = Layers()
    """Whose states the steps begin with."""
    steps: tuple[Step, ...] = (Pooling(("mean",)),)
    prompts: Mapping[str, str] = field(default_factory=dict)
    """What to put before a text, by name."""
    default_prompt: str | None = None
    """The name of the one that is put there unless told otherwise."""
    longest: int | None = None
    """Tokens after which a text is cut, `<s>` and `</s>` among them; None where the model says nothing of cutting."""
    size: int | None = None
    """How many of the vector's numbers are kept; None: all."""

    def __post_init__(self) -> None:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            prompts = shorten([*self.prompts]) if self.prompts else "none"
            raise BadCheckpoint(f"default_prompt_name is {shorten(self.default_prompt)}, wanted one of the prompts: {prompts}")


def vector(recipe: Recipe, states: np.ndarray, prompt: int = 0) -> np.ndarray:
    """The vector of one text, float32 `[size]`, from its states `[tokens, width]`, of which the first `prompt` are of a prompt.

    `<s>` counts among those of a prompt. Raises BadCheckpoint for a step that is not known.
    """
    x = states
    for step in recipe.steps:
        x = COMPUTED[type(step)](step, x, prompt)
    kept: np.ndarray = x[: recipe.size].astype(np.float32, copy=False)
    return kept


def width(recipe: Recipe, states: int) -> int:
    """Numbers in a vector, from the width of one layer's states. Raises BadCheckpoint where one step's numbers do not fit the next."""
    size = recipe.layers.width(states)
    for step in recipe.steps:
        if isinstance(step, Pooling):
            size *= len(step.modes)
        elif isinstance(step, Dense):
            out, taken = step.weight.shape
            if taken != size:
                raise BadCheckpoint(f"a dense layer takes {taken} numbers, and the step before it gives {size}")
            size = out
    return size if recipe.size is None else min(size, recipe.size)


def refuse_unknown(recipe: Recipe) -> None:
    """Raises BadCheckpoint where a step is not known."""
    for step in recipe.steps:
        if isinstance(step, Unknown):
            raise BadCheckpoint(f"{step.reason}; xlmr cannot compute that. Say pooling or layers for vectors of the plain states")


# -- pooling: `[tokens, width]` and how many tokens come before them, to `[width]` --


def weighted_mean(states: np.ndarray, before: int) -> np.ndarray:
    """The later a token, the more it weighs: the n-th counts n times."""
    weights = np.arange(before + 1, before + len(states) + 1, dtype=np.float32)
    mean: np.ndarray = weights @ states / weights.sum()
    return mean


POOLS: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "cls": lambda states, before: states[0],
    "max": lambda states, before: states.max(0),
    "mean": lambda states, before: states.mean(0),
    "mean_sqrt_len_tokens": lambda states, before: states.sum(0) / np.float32(len(states)) ** np.float32(0.5),
    "weightedmean": weighted_mean,
    "lasttoken": lambda states, before: states[-1],
}


def pool(step: Pooling, states: np.ndarray, prompt: int) -> np.ndarray:
    """The modes' vectors, one beside the other."""
    before = 0 if step.with_prompt else prompt
    return np.concatenate([POOLS[mode](states[before:], before) for mode in step.modes])


# -- the other steps: `[in]` to `[out]` --

ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "GELU": lambda x: x * (1 + np.array([erf(of) for of in x / 2**0.5])) / 2,
}


def project(step: Dense, x: np.ndarray) -> np.ndarray:
    """The linear layer, its activation, and what is added to it."""
    with np.errstate(over="ignore"):
        out: np.ndarray = ACTIVATIONS[step.activation](step.weight @ x + (0 if step.bias is None else step.bias))
    if step.residual:
        out += x if step.shortcut is None else step.shortcut @ x
    return out


def normalize(x: np.ndarray) -> np.ndarray:
    """To length 1; what has none stays as it is."""
    scaled: np.ndarray = x / max(float(np.linalg.norm(x)), FLOOR)
    return scaled


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines, float32 `[rows of a, rows of b]`, of vectors `[rows, size]` of any float type; 0 with a vector of zeros."""
    sides = (np.asarray(side, np.float32) for side in (a, b))  # a sum of squares is soon too large for float16, the floor too small
    left, right = (side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), FLOOR) for side in sides)
    cosines: np.ndarray = left @ right.T
    return np.clip(cosines, -1, 1, out=cosines)  # rounding goes beyond


def _refused(step: Unknown) -> np.ndarray:
    raise BadCheckpoint(step.reason)


COMPUTED: Mapping[type, Callable[..., np.ndarray]] = {
    Pooling: pool,
    Dense: lambda step, x, prompt: project(step, x),
    Normalize: lambda step, x, prompt: normalize(x),
    Unknown: lambda step, x, prompt: _refused(step),
}
