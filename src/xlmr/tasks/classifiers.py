"""The classifier of languages as an attachment of a checkpoint: `languages.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from xlmr import files, languages
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.loglinear import MEASURED, SEEN, SIGNALS, Classifier

NAME = "languages"
FIT = "xlmr fit languages --model MODEL --data FILE --output DIR"
MOST_CLASSES = 1_000
LONGEST_NAME = 40

# Each array as it is stored; axes as in `Classifier`, None where the file has the say.
STORED: Mapping[str, type[np.generic]] = {
    "centre": np.float32, "spread": np.float32, "means": np.float16, "geometry": np.float16, "bias": np.float32, "pieces": np.int8,
    "keys": np.uint32, "runs": np.int8, "outward": np.float32, "seen": np.uint8, "usual": np.float32, "known": np.float32,
}  # fmt: skip
NUMBERS = ("temperature", "threshold", "switch")


def find(encoder: Encoder) -> Classifier:
    """The classifier of a model. Raises BadCheckpoint where it has none, or a broken one, or another encoder's."""
    found = encoder.attachments.find(NAME, FIT, lambda found: unpack(found, encoder.config)) if encoder.attachments else None
    if found is None:
        raise BadCheckpoint(f"the model has no classifier of languages ({NAME}{attachments.SUFFIX} beside its weights); make one: {FIT}")
    return found


def pack(classifier: Classifier, measured: Mapping[str, Any]) -> Attachment:
    """A classifier as arrays and facts; `measured` is what was measured of it on held-out texts."""
    facts = {"classes": list(classifier.classes), "layer": classifier.layer, "measured": dict(measured)}
    facts |= {name: float(getattr(classifier, name)) for name in NUMBERS}
    return Attachment({name: getattr(classifier, name).astype(kind) for name, kind in STORED.items()}, facts)


def trim(attachment: Attachment, ids: np.ndarray, config: Config) -> Attachment:
    """The same for a vocabulary of fewer pieces, of which `ids` says the old ids, int64 `[pieces]`; `config` is that of the whole one.

    Runs of characters know nothing of pieces. All classes stay. Raises BadCheckpoint where the attachment is broken.
    """
    return replace(attachment, arrays={**attachment.arrays, "pieces": unpack(attachment, config).pieces[ids]})


def unpack(attachment: Attachment, config: Config) -> Classifier:
    """The classifier in an attachment of an encoder of these sizes. Raises BadCheckpoint where something does not fit."""
    where, facts = f"{NAME}{attachments.SUFFIX}", attachment.facts
    classes = _classes(facts.get("classes"), where)
    layer = files.typed(facts.get("layer"), int, f"{where}: layer")
    if not 0 <= layer <= config.layers:
        raise BadCheckpoint(f"{where}: layer is {layer}, wanted 0 to {config.layers}; fit it again")
    rank, runs = (np.shape(attachment.arrays.get(name, 0))[-1:] or (None,) for name in ("pieces", "keys"))
    shapes: dict[str, tuple[int | None, ...]] = {
        "centre": (config.width,), "spread": (config.width,), "means": (len(classes), config.width),
        "geometry": (config.width, len(classes)), "bias": (len(classes),), "pieces": (config.vocabulary, *rank), "keys": runs,
        "runs": (*runs, *rank), "outward": (2, *rank, len(classes)), "seen": (len(classes), SEEN // 8),
        "usual": (len(classes), MEASURED), "known": (SIGNALS + 1,),
    }  # fmt: skip
    arrays: dict[str, Any] = {}
    for name, kind in STORED.items():
        found = attachments.array(attachment, name, np.dtype(kind).kind, shapes[name], where)
        if found.dtype.kind != "f" and found.dtype != kind:
            raise BadCheckpoint(f"{where}: {name} is {found.dtype}, wanted {np.dtype(kind)}; fit it again")
        arrays[name] = found.astype(np.float32) if found.dtype.kind == "f" else found
    if not (arrays["spread"] > 0).all() or not (np.diff(arrays["keys"].astype(np.int64)) > 0).all():
        raise BadCheckpoint(f"{where}: its spread is not above 0, or its keys do not ascend; fit it again")
    numbers: dict[str, Any] = {name: _number(facts.get(name), f"{where}: {name}") for name in NUMBERS}
    assert {*arrays, *numbers, "classes", "layer"} == {field.name for field in fields(Classifier) if field.init}
    return Classifier(classes=classes, layer=layer, **arrays, **numbers)


def _classes(value: object, where: str) -> tuple[str, ...]:
    names = files.typed(value, list, f"{where}: classes")
    if not 0 < len(names) <= MOST_CLASSES or len({*map(str, names)}) < len(names):
        raise BadCheckpoint(f"{where}: classes are {len(names)}, wanted 1 to {MOST_CLASSES}, each once")
    for name in names:
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise BadCheckpoint(f"{where}: a class is {files.shown(str(name)[:LONGEST_NAME])!r}, wanted the code of a language")
        try:
            languages.find(name)
        except BadInput as error:
            raise BadCheckpoint(f"{where}: {error}") from None
    return tuple(names)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise BadCheckpoint(f"{name} is {files.shown(str(value)[:LONGEST_NAME])}, wanted a number above 0; fit it again")
    return float(value)
