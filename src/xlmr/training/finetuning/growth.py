"""Which parameters learn, and how fast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from xlmr.errors import BadInput
from xlmr.runtimes.torch import Encoder
from xlmr.training.finetuning.lessons import Learner

ALL, EMBEDDINGS, NOTHING = "all", "embeddings", "0"
LAYER = re.compile(r"layers\.(\d+)\.")
LEAST = {"head.chain.": 1e-2, "head.meaning.": 3e-2}
"""The least rate of a CRF and of the head of calibrated vectors: they begin at nothing, and at an encoder's rate they would stay there."""
NO_DECAY = ("bias", "norm.weight")
BETAS = (0.9, 0.999)


def rate(width: int) -> float:
    """A full fine-tuning's rate where none is given: 4e-4 for a width of 256, 4.4e-5 for 768, 2.5e-5 for 1,024.

    The wider, the slower (Yang et al. 2022, section 4, has 1 / width for Adam); the square passes through what is usual for XLM-R.
    """
    return 4e-4 * (256 / width) ** 2


def freeze(encoder: Encoder, frozen: str) -> None:
    """Let a part of the encoder stay as it is: its first layers, by number, with the embeddings below them; `embeddings` alone; or `all`.

    Raises BadInput for anything else.
    """
    depths = {ALL: encoder.config.layers, EMBEDDINGS: 0}
    count = depths[frozen] if frozen in depths else int(frozen) if frozen.isdecimal() else -1
    if not 0 <= count <= encoder.config.layers:
        raise BadInput(
            f"freeze is {frozen!r}, wanted 'all', 'embeddings', or how many of the {encoder.config.layers} layers, 0 for nothing"
        )
    if frozen != NOTHING:
        encoder.embeddings.requires_grad_(False)
    for layer in encoder.layers[:count]:
        layer.requires_grad_(False)


def optimiser(learner: Learner, rate: float, *, decay: float, by_layer: float, head: float) -> Optimizer:
    """AdamW. A layer's rate is `by_layer` times that of the one above it, the embeddings' that of the lowest (Howard and Ruder 2018,
    section 3.2); the head's is `head`."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learning(learner):
        of = (_rate(name, learner, rate, by_layer, head), 0.0 if name.endswith(NO_DECAY) else decay)
        groups.setdefault(of, []).append(parameter)
    made: list[dict[str, Any]] = [{"params": of, "lr": lr, "weight_decay": weight} for (lr, weight), of in groups.items()]
    return torch.optim.AdamW(made, betas=BETAS, fused=True)


def learning(learner: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that learn, by name."""
    return ((name, of) for name, of in learner.named_parameters() if of.requires_grad)


def _rate(name: str, learner: Learner, rate: float, by_layer: float, head: float) -> float:
    if name.startswith("head."):
        return max([head, *(least for prefix, least in LEAST.items() if name.startswith(prefix))])
    found = LAYER.search(name)
    below = learner.encoder.config.layers - (int(found[1]) + 1 if found else 0)
    return rate * by_layer**below
