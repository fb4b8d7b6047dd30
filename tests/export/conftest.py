"""Models with every head, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

LABELS = {"XLMRobertaForSequenceClassification": ("a", "b", "c"), "XLMRobertaForTokenClassification": ("O", "B-x", "I-x")}


@pytest.fixture
def headed(tiny: Path, tuned: Callable[..., Path]) -> Callable[[str | None], Path]:
    """The tiny model with a head of random numbers, by Hugging Face's class; without one as it is. Read it only."""
    return lambda architecture: tiny if architecture is None else tuned(architecture, LABELS.get(architecture, ()))
