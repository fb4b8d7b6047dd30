"""The calibration of text vectors as an attachment of a checkpoint: `calibration.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint, files
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.calibration import Calibration, Projection, Table
from xlmr.limits import CALIBRATED

NAME = "calibration"
FIT = "xlmr fit calibration --model MODEL --data FILE --output DIR"
WHERE = f"{NAME}{attachments.SUFFIX}"
COARSEST = 1_000_000
"""A step of int8."""


def find(encoder: Encoder) -> Calibration | None:
    """The calibration of a model, None where it has none. Raises BadCheckpoint where it is broken, or another encoder's."""
    return encoder.attachments.find(NAME, FIT, lambda found: unpack(found, encoder.config)) if encoder.attachments else None


def of_pieces(model: Checkpoint) -> Calibration | None:
    """A checkpoint's calibration, where it has one of pieces alone, which fits any encoder of the same pieces; else None.

    Raises BadCheckpoint where it is broken or another encoder's.
    """
    found = _of_pieces(model)
    return None if found is None else found[0]


def carry(source: Checkpoint, to: Path) -> Path | None:
    """Put a checkpoint's calibration, where it is of pieces alone, beside a model in a folder, which has the same pieces.

    Gives its file, None where there is nothing to put. Raises BadCheckpoint where it is broken or another encoder's.
    """
    found = _of_pieces(source)
    return None if found is None else attachments.write(to, NAME, found[1], attachments.fingerprint(checkpoint.open(to)))


def _of_pieces(model: Checkpoint) -> tuple[Calibration, Attachment] | None:
    if NAME not in attachments.names(model.folder):
        return None
    stored = attachments.read(model, NAME, FIT)
    found = unpack(stored, model.config)
    return (found, stored) if found.states is None else None


def check_size(config: Config, size: int, sequences: int) -> None:
    """Raises BadInput where a calibration of so many numbers and sequences would be more than an attachment holds."""
    held = (config.vocabulary + sequences) * size + 4 * sequences + (4 + 2 * size) * config.width
    if held > attachments.LARGEST:
        raise BadInput(
            f"a calibration of {config.vocabulary:,} pieces and {sequences:,} sequences, {size:,} numbers each, has {held:,} bytes, "
            f"and at most {attachments.LARGEST:,} are kept; ask for fewer numbers, or sequences"
        )


def pack(of: Calibration, measured: Mapping[str, Any]) -> Attachment:
    """A calibration as arrays and facts; `measured` is what was measured of it on held-out texts."""
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"size": of.size, "measured": dict(measured)}
    if of.table is not None:
        arrays |= {"pieces": of.table.pieces, "keys": of.table.keys, "sequences": of.table.sequences}
        if of.table.numbers is not None:
            arrays["numbers"] = of.table.numbers
        facts["scale"] = of.table.scale
    if of.states is not None:
        arrays |= {"centre": of.states.centre.astype(np.float32), "weight": of.states.weight.astype(np.float16)}
        facts["layer"] = of.states.layer
    return Attachment(arrays, facts)


def trim(attachment: Attachment, ids: np.ndarray, config: Config) -> Attachment:
    """The same for a vocabulary of fewer pieces, of which `ids` says the old ids, int64 `[pieces]`; `config` is that of the whole one.

    Sequences are hashed by the numbers that their pieces had, so a text of pieces that are all there has the vector that it had. Which
    sequences the others were of, no hash tells, so all stay. Raises BadCheckpoint where the attachment is broken.
    """
    of = unpack(attachment, config)
    if of.table is None:
        return attachment
    numbers = ids.astype(np.uint32) if of.table.numbers is None else of.table.numbers[ids]
    return replace(attachment, arrays={**attachment.arrays, "pieces": of.table.pieces[ids], "numbers": numbers})


def unpack(attachment: Attachment, config: Config) -> Calibration:
    """The calibration in an attachment of an encoder of these sizes. Raises BadCheckpoint where something does not fit."""
    size = files.typed(attachment.facts.get("size"), int, f"{WHERE}: size")
    if not 1 <= size <= CALIBRATED:
        raise BadCheckpoint(f"{WHERE}: size is {size}, wanted 1 to {CALIBRATED:,}; fit it again")
    table = _table(attachment, config, size) if "scale" in attachment.facts else None
    states = _projection(attachment, config, size) if "layer" in attachment.facts else None
    if table is None and states is None:
        raise BadCheckpoint(f"{WHERE}: has neither rows of pieces nor a projection of states; fit it again")
    return Calibration(size, table, states)


def _table(attachment: Attachment, config: Config, size: int) -> Table:
    scale = attachment.facts["scale"]
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < COARSEST:
        raise BadCheckpoint(f"{WHERE}: scale is {files.shown(str(scale)[:40])}, wanted a number above 0, below {COARSEST:,}; fit it again")
    pieces = _array(attachment, "pieces", np.int8, (config.vocabulary, size))
    keys = _array(attachment, "keys", np.uint32, (None,))
    sequences = _array(attachment, "sequences", np.int8, (len(keys), size))
    if not (keys[1:] > keys[:-1]).all():
        raise BadCheckpoint(f"{WHERE}: its keys do not ascend; fit it again")
    numbers = _array(attachment, "numbers", np.uint32, (config.vocabulary,)) if "numbers" in attachment.arrays else None
    return Table(pieces, keys, sequences, float(scale), numbers)


def _projection(attachment: Attachment, config: Config, size: int) -> Projection:
    layer = files.typed(attachment.facts["layer"], int, f"{WHERE}: layer")
    if not 0 <= layer <= config.layers:
        raise BadCheckpoint(f"{WHERE}: layer is {layer}, wanted 0 to {config.layers}; fit it again")
    centre = _array(attachment, "centre", np.float32, (config.width,))
    weight = _array(attachment, "weight", np.float16, (config.width, size))
    return Projection(layer, centre, weight.astype(np.float32))


def _array(attachment: Attachment, name: str, kind: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
    found = attachments.array(attachment, name, np.dtype(kind).kind, shape, WHERE)
    if found.dtype != kind:
        raise BadCheckpoint(f"{WHERE}: {name} is {found.dtype}, wanted {np.dtype(kind)}; fit it again")
    return found
