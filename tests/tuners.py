"""Models with heads of random numbers, large enough that probabilities are far apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint, tensors
from xlmr.checkpoint import SavedHead

CLASSIFIER, TAGGER, EXTRACTOR = (f"XLMRobertaFor{name}" for name in ("SequenceClassification", "TokenClassification", "QuestionAnswering"))
NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TOPICS = ("cats", "dogs", "houses")


def head(architecture: str, width: int, labels: tuple[str, ...] = (), seed: int = 0, **more: Any) -> SavedHead:
    """A random head; `more` is what else a `SavedHead` has."""
    dice = np.random.default_rng(seed)
    sizes = {"width": width, "labels": len(labels) or 2}
    drawn = {}
    for name, _, axes in tensors.TASK_HEADS[architecture][1]:
        drawn[f"task.{name}"] = dice.standard_normal([sizes[axis] for axis in axes.split()], np.float32) / np.float32(width**0.5) * 3
    return SavedHead(architecture, labels, drawn, **more)


def tuned(tiny: Path, folder: Path, of: SavedHead) -> Path:
    """A folder with the encoder of a model and a head."""
    opened = checkpoint.open(tiny)
    checkpoint.save(folder, opened.config, checkpoint.weights(opened), tokenizer=tiny / "tokenizer.json", head=of)
    return folder
