"""What was fitted to the states of a model, fitted again to those of the smaller one that was made of it.

A student's states are near those of its teacher, though not the same, and may stand after another layer. Texts are read by both. Of the
student's layers the one is taken whose means of states correlate best with those that the attachment knows; and every number of the states
is mapped to the teacher's by least squares of its own, `theirs ≈ slope · own + shift`, which the attachment takes into what it standardises
or projects with. No labels are needed. Then both are asked, and where they agree too little the attachment is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint
from xlmr import encoder as encoders
from xlmr.batching import group
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.compression.parts import Parts, put
from xlmr.encoder import Encoder
from xlmr.tasks import calibrations, classifiers, embeddings, identification
from xlmr.tasks import evidence as evidences

LEAST = 0.95
"""What may be left of the agreement: the share of texts said to be in the same language, or the mean cosine of texts' vectors."""
TOKENS = 2_048
"""Read together."""
STEEPEST, FLATTEST = 100.0, 0.01
"""Slopes beyond these are of numbers that hardly vary, or of chance."""


@dataclass(frozen=True, slots=True)
class Match:
    """How the states after a layer of the student become those that an attachment knows."""

    layer: int
    slope: np.ndarray
    """float32 `[width]`, above 0."""
    shift: np.ndarray
    """float32 `[width]`."""
    correlation: float
    """The mean of the numbers'."""


def write(parts: Parts, teacher: Checkpoint, new: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Write a smaller model into an empty folder, with all that was fitted to its teacher, to which `texts` are read; gives how that went,
    by the attachment's name. What depends on pieces alone is as it was.

    Raises BadCheckpoint where an attachment is broken.
    """
    moved = {name: of for name, of in parts.attachments.items() if name in REFITTED and "layer" in of.facts}
    put(replace(parts, attachments={name: of for name, of in parts.attachments.items() if name not in moved}), new)
    if not moved:
        return {}
    theirs, own = encoders.load(teacher.folder), encoders.load(new)
    asked = [*dict.fromkeys(cropped for text in texts if (cropped := crop(theirs, text)).strip())]
    return {name: refit(name, of, theirs, own, new, asked) for name, of in moved.items()}


def refit(name: str, of: Attachment, theirs: Encoder, own: Encoder, new: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Put one attachment of the teacher beside the student in a folder, if that can be done well enough, and say how it went.

    Every second text is fitted on, the others are asked.
    """
    kind = REFITTED[name]
    layer, fitted, measured = kind.layer(of, theirs), texts[::2], texts[1::2]
    agreed, match = 0.0, None
    if measured:
        match = best(pooled(own, fitted, range(own.config.layers + 1)), pooled(theirs, fitted, [layer])[0])
        path = attachments.write(new, name, kind.move(of, match), attachments.fingerprint(checkpoint.open(new)))
        agreed = kind.agreement(theirs, encoders.load(new), measured)
        if not agreed >= LEAST:
            path.unlink()
    found = {"kept": agreed >= LEAST, "texts": len(texts), "agreement": round(agreed, 4)}
    return found if match is None else found | {"layers": [layer, match.layer], "correlation": round(match.correlation, 4)}


def crop(encoder: Encoder, text: str) -> str:
    """The beginning of a text, of half the tokens that the model takes at most."""
    return text[: encoder.tokenizer.encode(text, longest=max(3, min(evidences.TOKENS, encoder.config.longest // 2))).offsets[-2][1]]


def notes(found: Mapping[str, Any]) -> list[str]:
    """What the user should know of it, from what `write` gave."""
    said = []
    for name, of in found.items():
        kind, file = REFITTED[name], f"{name}{attachments.SUFFIX}"
        measured = (
            f"{of['agreement']} {kind.measure}, on {of['texts'] // 2} texts" if of["texts"] > 1 else "there were no texts to fit it on"
        )
        said.append(f"{file} was fitted again: {measured}" if of["kept"] else f"{file} is left out: {measured}; make one: {kind.fit}")
    return said


def pooled(encoder: Encoder, texts: Sequence[str], layers: Iterable[int]) -> list[np.ndarray]:
    """The means of texts' states after some layers, float32 `[texts, width]` each."""
    asked, seen = [*layers], [evidences.look_at(encoder, text) for text in texts]
    found = [np.zeros((len(seen), encoder.config.width), np.float32) for _ in asked]
    for rows in group([text.length for text in seen], TOKENS):
        ids = encoders.pad([seen[i].ids for i in rows], encoder.config.pad_id)
        for of, states in zip(found, encoder.runtime.hidden_states(ids, asked), strict=True):
            for i, row in zip(rows, states, strict=True):
                of[i] = evidences.pool(row[: seen[i].length])
    return found


def best(layers: Sequence[np.ndarray], wanted: np.ndarray) -> Match:
    """The match of the layer whose means correlate best; of two alike the lower."""
    matches = [matched(layer, own, wanted) for layer, own in enumerate(layers)]
    return max(matches, key=lambda match: (match.correlation, -match.layer))


def matched(layer: int, own: np.ndarray, wanted: np.ndarray) -> Match:
    """Least squares of each number of its own."""
    x, y = (of - of.mean(0) if len(of) else of for of in (own.astype(np.float64), wanted.astype(np.float64)))
    products, squares = (x * y).sum(0), (x * x).sum(0)
    slope = np.clip(products / np.maximum(squares, 1e-12), FLATTEST, STEEPEST)
    shift = wanted.mean(0) - slope * own.mean(0)
    correlation = products / np.sqrt(np.maximum(squares * (y * y).sum(0), 1e-24))
    return Match(layer, slope.astype(np.float32), shift.astype(np.float32), float(correlation.mean()))


# -- the two kinds there are --


def _move_languages(of: Attachment, match: Match) -> Attachment:
    """The classifier standardises by another mean and spread."""
    centre = (of.arrays["centre"] - match.shift) / match.slope
    return _moved(of, match, {"centre": centre, "spread": of.arrays["spread"] / match.slope})


def _move_calibration(of: Attachment, match: Match) -> Attachment:
    """The projection has another centre, and other rows."""
    centre = (of.arrays["centre"] - match.shift) / match.slope
    return _moved(of, match, {"centre": centre, "weight": of.arrays["weight"] * match.slope[:, None]})


def _moved(of: Attachment, match: Match, arrays: Mapping[str, np.ndarray]) -> Attachment:
    stored = {name: array.astype(of.arrays[name].dtype) for name, array in arrays.items()}
    return replace(of, arrays={**of.arrays, **stored}, facts={**of.facts, "layer": match.layer})


def _languages_layer(of: Attachment, encoder: Encoder) -> int:
    return classifiers.unpack(of, encoder.config).layer


def _calibration_layer(of: Attachment, encoder: Encoder) -> int:
    found = calibrations.unpack(of, encoder.config).states
    assert found is not None  # it names a layer
    return found.layer


def _same_language(one: Encoder, other: Encoder, texts: Sequence[str]) -> float:
    answers = [[found[0].code for found in identification.identify_language(of, texts, top=1)] for of in (one, other)]
    return float(np.mean([a == b for a, b in zip(*answers, strict=True)]))


def _same_direction(one: Encoder, other: Encoder, texts: Sequence[str]) -> float:
    a, b = (embeddings.embed(of, texts) for of in (one, other))
    return float((a * b).sum(1).mean())


@dataclass(frozen=True, slots=True)
class Kind:
    """An attachment that depends on states."""

    layer: Callable[[Attachment, Encoder], int]
    """Whose; raises BadCheckpoint where it is broken."""
    move: Callable[[Attachment, Match], Attachment]
    agreement: Callable[[Encoder, Encoder, Sequence[str]], float]
    measure: str
    """What that is."""
    fit: str
    """The command that makes one."""


REFITTED: Mapping[str, Kind] = {
    classifiers.NAME: Kind(
        _languages_layer, _move_languages, _same_language, "of texts are said to be in the same language", classifiers.FIT
    ),
    calibrations.NAME: Kind(
        _calibration_layer, _move_calibration, _same_direction, "is the mean cosine of texts' vectors", calibrations.FIT
    ),
}
