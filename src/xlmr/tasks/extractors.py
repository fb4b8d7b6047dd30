"""A head that finds answers, whole: the linear layer, and from `answering.safetensors` what Hugging Face's files have no place for.

That is how sure it must be that there is an answer, and how long one is at most. Without the file it is as in transformers' `run_qa`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from xlmr import files
from xlmr.checkpoint import TaskHead, attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint
from xlmr.tasks import tuned

NAME = "answering"
FIT = "xlmr finetune answer --train FILE --dev FILE --output DIR"
WHERE = f"{NAME}{attachments.SUFFIX}"
LONGEST = 30
THRESHOLD = 0.0
LARGEST = 1e9
"""Beyond it a threshold is no sum of logits."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """All that makes answers of the states of pieces."""

    weights: Mapping[str, np.ndarray]
    """`out.weight` `[2, width]`, of the first token of an answer and of its last; `out.bias` `[2]`."""
    threshold: float
    """There is no answer where the score of that is higher than the best answer's by more than this; infinite: there always is one."""
    longest: int
    """Tokens of an answer, at most."""


def find(encoder: Encoder) -> Extractor:
    """The extractor of a model. Raises BadCheckpoint where it has none, or its attachment is broken or of another encoder."""

    def make(head: TaskHead, weights: Mapping[str, np.ndarray]) -> Extractor:
        outputs = len(weights["task.out.bias"])
        if outputs != 2:
            raise BadCheckpoint(
                f"the model's head for {head.task} has {outputs} outputs, wanted 2: where an answer begins, and where it ends"
            )
        stored = encoder.attachments.find(NAME, FIT, unpack) if encoder.attachments else None
        return Extractor(tuned.plain(weights), *(stored or (THRESHOLD, LONGEST)))

    return tuned.find(encoder, tuned.ANSWERING, make)


def pack(threshold: float, longest: int) -> Attachment:
    """What is kept beside a head; see `Extractor`. JSON has no infinity: null stands for it."""
    return Attachment({}, {"threshold": threshold if threshold < inf else None, "longest": longest})


def unpack(attachment: Attachment) -> tuple[float, int]:
    """Threshold and longest. Raises BadCheckpoint where one is none."""
    threshold = attachment.facts.get("threshold", "none")
    fits = isinstance(threshold, int | float) and not isinstance(threshold, bool) and abs(threshold) < LARGEST
    if threshold is not None and not fits:
        raise BadCheckpoint(f"{WHERE}: threshold is {files.shown(str(threshold))}, wanted a number, or null; fine-tune it again")
    longest = files.typed(attachment.facts.get("longest"), int, f"{WHERE}: longest")
    if longest < 1:
        raise BadCheckpoint(f"{WHERE}: longest is {longest}, wanted 1 or more tokens; fine-tune it again")
    return inf if threshold is None else float(threshold), longest
