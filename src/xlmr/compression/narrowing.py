"""Fewer heads, inner units and layers: the tensors of a model, smaller, and refitted to what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xlmr import tensors
from xlmr.compression import arithmetic, distilling, importance
from xlmr.compression.arithmetic import Rows
from xlmr.compression.importance import Choice
from xlmr.compression.parts import Parts, Step
from xlmr.config import Config

TRIED = 1_024
"""Tokens by which layers are weighed: each layer is tried, and all above it run again."""
OUTGOING = {"heads": "attention_out", "inner": "shrink"}
"""What takes the parts along an axis to the states."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """What is kept; None: all."""

    heads: int | None = None
    """In every layer."""
    inner: int | None = None
    """Likewise."""
    layers: int | None = None
    refit: bool = True
    """Whether what is left takes over, by least squares, what it can of what went."""


def shrink(parts: Parts, rows: Sequence[Sequence[int]], wanted: Narrow, step: Step) -> tuple[Parts, dict[str, Any]]:
    """The parts with fewer layers, heads and inner units, and what was kept of them; `rows` are texts as ids."""
    facts: dict[str, Any] = {"texts": len(rows), "tokens": sum(map(len, rows))}
    if wanted.layers is not None:
        kept = importance.layers(parts.weights, parts.config, _some(rows), wanted.layers, step)
        parts = distilling.shallower(parts, kept)
        facts["layers"] = kept
    if wanted.heads is not None or wanted.inner is not None:
        parts, found = narrow(parts, arithmetic.lay(rows), wanted, step)
        facts |= found
    return parts, facts


def _some(rows: Sequence[Sequence[int]]) -> Rows:
    """Evenly of all, as many as layers are tried with."""
    return arithmetic.lay(rows[:: max(1, sum(map(len, rows)) // TRIED)])


def narrow(parts: Parts, rows: Rows, wanted: Narrow, step: Step) -> tuple[Parts, dict[str, Any]]:
    """Layer after layer, each weighed by what comes to it from those below, which are pruned already."""
    config, weights = parts.config, parts.weights
    left = Left(weights)
    choices: dict[str, list[Choice]] = {"heads": [], "inner": []}
    x = arithmetic.embed(weights, config, rows)
    for layer in range(config.layers):
        step(f"weighing layer {layer + 1} of {config.layers}")
        x = _attention(left, config, layer, x, rows, wanted, choices["heads"])
        x = _feed_forward(left, config, layer, x, wanted, choices["inner"])
    smaller = replace(config, heads=wanted.heads or config.heads, head_dim=config.head_width, inner=wanted.inner or config.inner)
    facts: dict[str, Any] = {"lost": {axis: [round(of.lost, 5) for of in found] for axis, found in choices.items() if found}}
    if choices["heads"]:
        facts["heads"] = [of.kept.tolist() for of in choices["heads"]]
    return replace(parts, config=smaller, weights=left), facts


def _attention(left: Left, config: Config, layer: int, x: np.ndarray, rows: Rows, wanted: Narrow, choices: list[Choice]) -> np.ndarray:
    name = f"layers.{layer}"
    read = arithmetic.attend(left, config, layer, x, rows)
    if wanted.heads is not None:
        weight = left[f"{name}.attention_out.weight"]
        choices.append(importance.choose(read, weight, config.head_width, wanted.heads, refit=wanted.refit))
        read = read[:, left.keep(layer, "heads", choices[-1], config.head_width)]
    return arithmetic.add(left, config, f"{name}.attention", x, arithmetic.linear(left, f"{name}.attention_out", read))


def _feed_forward(left: Left, config: Config, layer: int, x: np.ndarray, wanted: Narrow, choices: list[Choice]) -> np.ndarray:
    name = f"layers.{layer}"
    grown = arithmetic.grow(left, layer, x)
    if wanted.inner is not None:
        choices.append(importance.choose(grown, left[f"{name}.shrink.weight"], 1, wanted.inner, refit=wanted.refit))
        grown = grown[:, left.keep(layer, "inner", choices[-1], 1)]
    return arithmetic.add(left, config, f"{name}.output", x, arithmetic.linear(left, f"{name}.shrink", grown))


class Left(Mapping[str, np.ndarray]):
    """What is left of weights, each read when it is asked for."""

    def __init__(self, of: Mapping[str, np.ndarray]) -> None:
        self._of = of
        self._places: dict[tuple[str, int], np.ndarray] = {}
        self._refitted: dict[str, np.ndarray] = {}

    def keep(self, layer: int, axis: str, choice: Choice, size: int) -> np.ndarray:
        """Leave some parts along an axis of a layer; gives where their numbers lay."""
        places = importance.columns(choice.kept, size)
        for name, _, axes in tensors.LAYER:
            for at, of in enumerate(axes.split()):
                if of == axis:
                    self._places[f"layers.{layer}.{name}", at] = places
        out = f"layers.{layer}.{OUTGOING[axis]}"
        self._refitted |= {f"{out}.weight": choice.weight, f"{out}.bias": self._of[f"{out}.bias"] + choice.shift}
        return places

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._refitted:
            return self._refitted[name]
        found = self._of[name]
        for at in range(found.ndim):
            if (name, at) in self._places:
                found = found.take(self._places[name, at], at)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
