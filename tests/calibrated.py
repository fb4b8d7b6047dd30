"""A made-up calibration of text vectors beside a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.heads.calibration import Calibration, Projection, Table, hashes
from xlmr.tasks import calibrations

SIZE = 8


def calibrate(folder: Path, *, states: bool = False, seed: int = 5) -> Path:
    """Write one, of pieces alone or with the states of the encoder, and give the folder."""
    opened, dice = checkpoint.open(folder), np.random.default_rng(seed)
    width = opened.config.width
    keys = np.unique(np.concatenate(hashes(dice.integers(4, opened.config.vocabulary - 1, 200), np.zeros(200, int))))
    rows = [dice.integers(-127, 128, (count, SIZE)).astype(np.int8) for count in (opened.config.vocabulary, len(keys))]
    projection = Projection(1, np.zeros(width, np.float32), dice.standard_normal((width, SIZE)).astype(np.float32)) if states else None
    found = Calibration(SIZE, Table(rows[0], keys, rows[1], 0.01), projection)
    attachments.write(folder, calibrations.NAME, calibrations.pack(found, {}), attachments.fingerprint(opened))
    return folder
