"""A head that tags words, whole: the linear layer, and from `tagging.safetensors` what Hugging Face's files have no place for.

That is which pieces a word's state comes from, and what neighbouring tags add where a conditional random field was learnt. Without the file
it is the first piece, as in most taggers that transformers trains, and no such field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xlmr import files
from xlmr.checkpoint import TaskHead, attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint
from xlmr.heads import crf, iob
from xlmr.heads.crf import Constraints, Crf
from xlmr.tasks import tuned

NAME = "tagging"
FIT = "xlmr finetune tag --train FILE --dev FILE --output DIR"
WHERE = f"{NAME}{attachments.SUFFIX}"
FIRST, MEAN = POOLINGS = ("first", "mean")
"""Where a word's state comes from: its first piece, or all of them, each by its share in the word."""


@dataclass(frozen=True, slots=True)
class Tagger:
    """All that makes tags of the states of pieces."""

    weights: Mapping[str, np.ndarray]
    """`out.weight` `[labels, width]`, `out.bias` `[labels]`."""
    labels: tuple[str, ...]
    pooling: str
    """Of `POOLINGS`."""
    crf: Crf | None
    allowed: Constraints | None
    """Those of IOB2, where the labels are of it."""
    marks_spans: bool
    """Whether the labels are of IOB, so that there are entities."""

    @property
    def field(self) -> Crf | None:
        """With which the likeliest tags are looked for as a whole; None where each word has its own likeliest."""
        return crf.independent(len(self.labels)) if self.crf is None and self.allowed is not None else self.crf


def find(encoder: Encoder) -> Tagger:
    """The tagger of a model. Raises BadCheckpoint where it has none, or its attachment is broken or of another encoder."""

    def make(head: TaskHead, weights: Mapping[str, np.ndarray]) -> Tagger:
        stored = encoder.attachments.find(NAME, FIT, lambda found: unpack(found, len(head.labels))) if encoder.attachments else None
        return tagger(head.labels, weights, *(stored or (FIRST, None)))

    return tuned.find(encoder, tuned.TAGGING, make)


def tagger(labels: tuple[str, ...], weights: Mapping[str, np.ndarray], pooling: str, chain: Crf | None) -> Tagger:
    """A tagger of its parts; `weights` are the head's, by our names (`task.*`)."""
    return Tagger(tuned.plain(weights), labels, pooling, chain, iob.constraints(labels), iob.is_iob(labels))


def pack(pooling: str, chain: Crf | None) -> Attachment:
    """What is kept beside a head that was learnt with words pooled so, and perhaps with a conditional random field."""
    arrays = {} if chain is None else {"transitions": chain.transitions, "start": chain.start, "end": chain.end}
    return Attachment({name: values.astype(np.float32) for name, values in arrays.items()}, {"words": pooling})


def unpack(attachment: Attachment, labels: int) -> tuple[str, Crf | None]:
    """How words are pooled, and the field, of a head with so many labels. Raises BadCheckpoint where something does not fit."""
    pooling = files.typed(attachment.facts.get("words"), str, f"{WHERE}: words")
    if pooling not in POOLINGS:
        raise BadCheckpoint(f"{WHERE}: words is {files.shown(pooling)!r}, wanted one of {', '.join(POOLINGS)}; fine-tune it again")
    if not attachment.arrays:
        return pooling, None
    shapes = {"transitions": (labels, labels), "start": (labels,), "end": (labels,)}
    return pooling, Crf(**{name: attachments.array(attachment, name, "f", shape, WHERE) for name, shape in shapes.items()})
