"""What an encoder is taught by a calibration of text vectors (`heads.calibration`): that what a text means stands in its `<s>`.

A calibration's vectors lie alike for texts that mean the same, in whatever language, and depend on the pieces alone; so they are there
before the encoder knows anything. The state of `<s>`, which masked pieces leave to itself and which a classifier will read, learns to say
them (distillation; Reimers and Gurevych 2020, "Making monolingual sentence embeddings multilingual using knowledge distillation", has
translations told the same vector). And the table of pieces can begin with the teacher's rows in some of its columns.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch

import xlmr.checkpoint
from xlmr.config import Config
from xlmr.errors import BadRecipe
from xlmr.heads import calibration
from xlmr.heads.calibration import Table
from xlmr.heads.vectors import normalize
from xlmr.runtimes.torch import Encoder
from xlmr.tasks import calibrations
from xlmr.training.examples import Batch


def find(model: str, config: Config) -> Table:
    """The rows of the calibration that lies beside a model, for an encoder with the same vocabulary.

    Raises BadRecipe where there is none of pieces alone, or it is of other pieces; BadCheckpoint where it is broken.
    """
    found = calibrations.of_pieces(xlmr.checkpoint.open(model))
    if found is None or found.table is None:
        raise BadRecipe(f"[teacher] model: {model} has no calibration of pieces alone beside it; fit one: {calibrations.FIT}")
    if len(found.table.pieces) != config.vocabulary:
        raise BadRecipe(
            f"[teacher] model: the calibration of {model} has {len(found.table.pieces):,} pieces, the run {config.vocabulary:,}"
        )
    return found.table


def teach(of: Table, batch: Batch, first: int) -> Batch:
    """The batch with what its texts mean, float32 `[rows, size]`, of length 1 or, where nothing of a text is known, zeros.

    A text and its translation are told the same: the middle of both. Ids below `first` are special.
    """
    whole = [np.where(targets >= 0, targets, ids) for ids, targets in zip(batch.ids, batch.targets, strict=True)]
    told = np.stack([_vector(of, ids[ids >= first]) for ids in whole]) if whole else np.zeros((0, of.pieces.shape[1]), np.float32)
    pairs = told[: 2 * batch.pairs].reshape(batch.pairs, 2, told.shape[1])
    for pair in pairs:
        pair[:] = normalize(pair.sum(0))
    return replace(batch, told=told)


def _vector(of: Table, ids: np.ndarray) -> np.ndarray:
    return normalize(calibration.summed(of, ids)) if len(ids) else np.zeros(of.pieces.shape[1], np.float32)


@torch.no_grad()
def seat(encoder: Encoder, of: Table, counts: np.ndarray, columns: int, share: float) -> None:
    """Put the teacher's rows into a table of pieces: their `columns` principal directions, in place of those of the table and the
    positions that vary least, with that share of the table's variance. `counts` `[vocabulary]` says how common each piece is.

    Predictions are worse at once; most of what they lose comes back as the encoder learns on.
    """
    words = encoder.embeddings.words.weight
    table, weights = words.double().numpy(), np.sqrt(counts) / np.sqrt(counts).sum()
    centred = table - weights @ table
    positions = encoder.embeddings.positions.weight.double().numpy()[encoder.config.pad_id + 1 :]
    positions = positions - positions.mean(0)
    spread, turn = np.linalg.eigh((centred.T * weights) @ centred + positions.T @ positions / len(positions))
    rows = of.pieces.astype(np.float64)
    rows -= weights @ rows
    least, main = turn[:, :columns], np.linalg.eigh((rows.T * weights) @ rows)[1][:, ::-1][:, :columns]
    taken = rows @ main
    taken *= np.sqrt(share * spread.sum() / (weights @ taken**2).sum())
    words.copy_(torch.from_numpy(table - centred @ least @ least.T + taken @ least.T))


def digest(of: Table) -> str:
    """What tells these rows from others."""
    held = hashlib.blake2b(repr(of.scale).encode(), digest_size=16)
    for array in (of.pieces, of.keys, of.sequences, *(() if of.numbers is None else (of.numbers,))):
        held.update(np.ascontiguousarray(array).data)
    return held.hexdigest()
