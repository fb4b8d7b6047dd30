"""A model taken apart and written anew is the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.compression.parts import put, take


def test_what_is_taken_apart_and_put_together_is_the_same_model(tmp_path: Path) -> None:
    small = checkpoint.open()
    put(take(small), tmp_path)
    again = checkpoint.open(tmp_path)
    assert again.config == small.config
    assert again.stored.keys() == small.stored.keys()
    for name in small.stored:
        np.testing.assert_array_equal(checkpoint.read(again, name), checkpoint.read(small, name))
    assert attachments.names(tmp_path) == attachments.names(small.folder)
    assert xlmr.load(tmp_path).identify_language("Kje je knjižnica?") == xlmr.load().identify_language("Kje je knjižnica?")
