"""A model made larger before it learns on: what it knows stays, and there is room for more.

Layers are put on top as copies of the last (stacking; Gong et al. 2019, "Efficient training of BERT by progressively stacking"). Units are
put into the feed-forward networks with nothing to say yet, so that they change no answer (after Net2Net; Chen et al. 2016). Columns are put
beside those of the table and of all states, with heads of the usual size that read them. They begin quiet: a norm over more columns than
carry anything would make the others louder, so these are turned down by as much. That is right but for the norms' means, and what it costs
comes back within a million tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import torch
from torch import Tensor

from xlmr.config import Config
from xlmr.errors import BadRecipe
from xlmr.runtimes.torch import Encoder, build
from xlmr.training.recipes import Growth

QUIET = 0.3
"""Spread of the table's new columns, as a share of the old ones'."""
HEARD = 0.05
"""How loud new columns are where pieces are predicted, as a share of the old ones."""


def grow(encoder: Encoder, growth: Growth, seed: int) -> Encoder:
    """An encoder with so many more layers, units and columns, its own weights in their places. Raises BadRecipe as `larger` does."""
    if growth == Growth():
        return encoder
    torch.manual_seed(seed)
    grown = build(larger(encoder.config, growth), head=encoder.head is not None)
    weights = _stack(encoder.state_dict(), encoder.config.layers, growth.layers)
    louder = sqrt(encoder.config.width / grown.config.width)
    grown.load_state_dict({name: _widen(name, weights[name], fresh, louder) for name, fresh in grown.state_dict().items()})
    return grown


def larger(config: Config, growth: Growth) -> Config:
    """The sizes after growth. Raises BadRecipe where new columns are no whole heads."""
    if growth.width % config.head_width:
        raise BadRecipe(f"[growth] width is {growth.width}, wanted a multiple of {config.head_width}, the width of a head")
    heads = config.heads + growth.width // config.head_width
    return replace(config, layers=config.layers + growth.layers, inner=config.inner + growth.inner, width=config.width + growth.width,
                   heads=heads)  # fmt: skip


def _stack(weights: Mapping[str, Tensor], layers: int, more: int) -> dict[str, Tensor]:
    last = f"layers.{layers - 1}."
    copies = {
        f"layers.{layers + i}.{name.removeprefix(last)}": of for i in range(more) for name, of in weights.items() if name.startswith(last)
    }
    return {**weights, **copies}


def _widen(name: str, found: Tensor, fresh: Tensor, louder: float) -> Tensor:
    """A tensor with its old numbers first, and beside them what its kind begins with; `louder` is what a norm's gain becomes."""
    if found.shape == fresh.shape and "norm" not in name:
        return found
    gain = louder if name.endswith("norm.weight") else 1.0
    widened = _begin(name, found, fresh) * gain
    widened[tuple(slice(size) for size in found.shape)] = found * gain
    return widened


def _begin(name: str, found: Tensor, fresh: Tensor) -> Tensor:
    """What stands where nothing stood, in the whole of a tensor."""
    if name == "head.norm.weight":
        return torch.full_like(fresh, HEARD * float(found.mean()))
    if name.endswith("norm.weight") or name == "head.transform.bias":  # the head's is far from 0 where it began as a straight line
        return torch.full_like(fresh, float(found.mean()))
    if name == "head.transform.weight":
        return torch.eye(len(fresh)) * float(found.diagonal().mean())
    if name.endswith("words.weight"):
        return torch.randn_like(fresh) * (QUIET * float(found.std()))
    if name.endswith(("query.weight", "key.weight", "value.weight", "grow.weight")):  # new rows read all, old ones nothing new
        begun: Tensor = torch.randn_like(fresh) * (0.5 / sqrt(fresh.shape[1]))
        begun[: len(found)] = 0
        return begun
    return torch.zeros_like(fresh)
