"""Quantized models, made of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint
from xlmr.checkpoint import packing
from xlmr.checkpoint.folder import QUANTIZED
from xlmr.checkpoint.packing import Plan
from xlmr.compression import parts, quantizing
from xlmr.compression.quantizing import Quantize
from xlmr.config import Config

TINY = Config(vocabulary=500, width=32, layers=2, heads=4, inner=64, positions=66)
"""The sizes of the tiny model."""
TEXTS = {"en": ("the cat drinks water in the house", "the dog sleeps"), "de": ("die Katze und der Hund",), "ru": ("кошка пьёт воду",)}
KINDS: dict[str, dict[str, Any]] = {
    "dynamic": {},
    "static": {"mode": "static"},
    "int8 weights": {"mode": "weight-only"},
    "int4 weights": {"mode": "weight-only", "bits": 4},
}
"""All that makes integers."""


def quantized(source: Path | None, folder: Path, **options: Any) -> checkpoint.Checkpoint:
    """A model quantized into a new folder; nothing is kept in float16 where `keep_worst` does not say so."""
    folder.mkdir()
    quantizing.quantize(
        parts.take(checkpoint.open(source)), folder, Quantize(**{"keep_worst": 0, "calibrate": TEXTS, **options}), lambda _: None
    )
    return checkpoint.open(folder)


def packed(source: Path, folder: Path, weights: dict[str, np.ndarray], plans: dict[str, Plan]) -> checkpoint.Checkpoint:
    """Other weights of a model, quantized as planned, into a new folder."""
    folder.mkdir()
    of = parts.take(checkpoint.open(source))
    parts.describe(of, folder)
    packing.write(folder / QUANTIZED, of.config, {**of.weights, **weights}, plans)
    return checkpoint.open(folder)
