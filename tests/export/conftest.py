"""Models with every head, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, tensors
from xlmr.checkpoint import SavedHead
from xlmr.checkpoint.folder import TOKENIZER

LABELS = {"XLMRobertaForSequenceClassification": ("a", "b", "c"), "XLMRobertaForTokenClassification": ("O", "B-x", "I-x")}


@pytest.fixture
def headed(tiny: Path, tmp_path: Path) -> Callable[[str | None], Path]:
    """The tiny model with a head of random numbers, by Hugging Face's class; without one as it is."""

    def make(architecture: str | None) -> Path:
        if architecture is None:
            return tiny
        opened, dice = checkpoint.open(tiny), np.random.default_rng(3)
        labels = LABELS.get(architecture, ())
        shapes = {of.name: of.shape(opened.config, len(labels) or 2) for of in tensors.task_head(architecture)}
        weights = {name: dice.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        problem = "single_label_classification" if "Sequence" in architecture else ""
        folder = tmp_path / architecture
        held = {name: array for name, array in checkpoint.weights(opened).items() if not name.startswith("head.")}
        head = SavedHead(architecture, labels, weights, problem)
        checkpoint.save(folder, opened.config, held, tokenizer=tiny / TOKENIZER, head=head)
        return folder

    return make
