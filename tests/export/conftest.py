"""Models with every head, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tuners import NAMES, TAGGER

from xlmr.heads.crf import Crf
from xlmr.tasks import taggers

LABELS = {"XLMRobertaForSequenceClassification": ("a", "b", "c"), "XLMRobertaForTokenClassification": ("O", "B-x", "I-x")}


@pytest.fixture
def headed(tiny: Path, tuned: Callable[..., Path]) -> Callable[[str | None], Path]:
    """The tiny model with a head of random numbers, by Hugging Face's class; without one as it is. Read it only."""
    return lambda architecture: tiny if architecture is None else tuned(architecture, LABELS.get(architecture, ()))


@pytest.fixture
def linked(tuned: Callable[..., Path]) -> Path:
    """A tagger with a conditional random field. Read it only."""
    dice = np.random.default_rng(1)
    field = Crf(*(2 * dice.standard_normal(shape, np.float32) for shape in ((len(NAMES), len(NAMES)), len(NAMES), len(NAMES))))
    return tuned(TAGGER, NAMES, attachments={"tagging": taggers.pack("mean", field)})
