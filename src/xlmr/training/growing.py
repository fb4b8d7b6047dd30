"""A model made larger before it learns on: what it knows stays, and there is room for more.

Layers are put on top as copies of the last (stacking; Gong et al. 2019, "Efficient training of BERT by progressively stacking"). Units are
put into the feed-forward networks with nothing to say yet, so that they change no answer (after Net2Net; Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from xlmr.config import Config
from xlmr.runtimes.torch import Encoder, build
from xlmr.training.recipes import Growth


def grow(encoder: Encoder, growth: Growth, seed: int) -> Encoder:
    """An encoder with so many more layers and units, its own weights in their places."""
    if not growth.layers and not growth.inner:
        return encoder
    torch.manual_seed(seed)
    grown = build(larger(encoder.config, growth), head=encoder.head is not None)
    weights = _stack(encoder.state_dict(), encoder.config.layers, growth.layers)
    grown.load_state_dict({name: _widen(weights[name], fresh, name) for name, fresh in grown.state_dict().items()})
    return grown


def larger(config: Config, growth: Growth) -> Config:
    """The sizes after growth."""
    return replace(config, layers=config.layers + growth.layers, inner=config.inner + growth.inner)


def _stack(weights: Mapping[str, Tensor], layers: int, more: int) -> dict[str, Tensor]:
    last = f"layers.{layers - 1}."
    copies = {
        f"layers.{layers + i}.{name.removeprefix(last)}": of for i in range(more) for name, of in weights.items() if name.startswith(last)
    }
    return {**weights, **copies}


def _widen(found: Tensor, fresh: Tensor, name: str) -> Tensor:
    """A tensor with its old numbers first. New units of a feed-forward network read at random, and say nothing."""
    if found.shape == fresh.shape:
        return found
    widened = torch.zeros_like(fresh) if name.endswith("shrink.weight") else fresh.clone()
    widened[tuple(slice(size) for size in found.shape)] = found
    return widened
