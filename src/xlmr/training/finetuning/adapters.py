"""LoRA (Hu et al. 2022): small matrices beside the encoder's learn in its place, and are added to it in the end; by peft (extra: lora)."""

from __future__ import annotations

from typing import Any

from torch import nn

from xlmr.errors import MissingExtra
from xlmr.runtimes.torch import Encoder

FASTER = 10.0
"""Times the rate of a full fine-tuning: the adapters begin at nothing."""
BESIDE = ("query", "key", "value", "attention_out", "grow", "shrink")
"""The matrices that get an adapter: all of a layer's."""


def attach(encoder: Encoder, rank: int) -> Any:
    """Give an encoder's matrices adapters of a rank, in place; nothing else of it learns. Gives what `merge` takes."""
    try:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
    except Exception as error:
        raise MissingExtra.of("lora", "LoRA", error) from error
    encoder.requires_grad_(False)
    return LoraModel(encoder, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=[*BESIDE]), "default")


def merge(attached: Any) -> nn.Module:
    """Add the adapters to the matrices, in place."""
    merged: nn.Module = attached.merge_and_unload()
    return merged
