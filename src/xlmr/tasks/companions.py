"""The languages of texts whose states are worked out for another purpose, from the same pass of the encoder.

The classifier looks at the first tokens of the first characters of a text (`evidence`). Where that is the whole text, as nearly always, its
states are those that are there already; of a longer one, or one with a prompt before it, the beginning is worked out for itself: so the
answer is in every case that of `identify_language`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xlmr.encoder import Encoder
from xlmr.tasks import evidence as evidences
from xlmr.tasks import recognition
from xlmr.tasks.evidence import CHARACTERS, TOKENS, Text
from xlmr.tasks.recognition import Asked, Language


def beginning(encoder: Encoder, text: str, ids: Sequence[int] | None, cut: int | None) -> tuple[Text, bool]:
    """What the classifier looks at of a text, and whether that has the same `ids` as what is worked out, cut after so many tokens.

    `ids` is None where something else stands there too.
    """
    most = min(TOKENS, encoder.config.longest)
    if ids and len(text) <= CHARACTERS and len(ids) <= most and (cut is None or len(ids) < cut or cut == most):
        return Text(text, [*ids]), True
    return evidences.look_at(encoder, text), False


def recognise(encoder: Encoder, beginnings: Sequence[Text], states: Sequence[np.ndarray | None], asked: Asked) -> list[list[Language]]:
    """The languages of texts, from their states after the classifier's layer, `[tokens, width]`; None where they are not there."""
    missing = [i for i, of in enumerate(states) if of is None]
    pooled = np.zeros((len(states), encoder.config.width), np.float32)
    for i, of in enumerate(states):
        if of is not None:
            pooled[i] = evidences.pool(of)
    if missing:
        pooled[missing] = evidences.pooled(encoder, [beginnings[i] for i in missing], asked.classifier.layer)
    return [[*languages] for languages, _ in recognition.recognise_pooled(beginnings, pooled, asked)]
