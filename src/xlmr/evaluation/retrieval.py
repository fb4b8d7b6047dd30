"""Whether a sentence's vector lies nearest to that of its translation, in pools of one language against English, both ways.

A sentence's vector is the mean of its states, `<s>` and `</s>` among them, as the contrastive loss of pretraining pools them. `plain` is
what a user gets; `centred` first subtracts from each side the mean of its own pool, which nobody has who embeds one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xlmr import encoder as encoders
from xlmr import metrics
from xlmr.encoder import Encoder
from xlmr.evaluation.benchmarks import Pairs


def vectors(encoder: Encoder, texts: Sequence[str], layers: Sequence[int]) -> list[np.ndarray]:
    """Mean-pooled states, float32 `[texts, width]` for each layer. A text that comes twice is worked once."""
    once = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    pooled = [[states.mean(0) for states in of] for of in encoders.hidden_states(encoder, once, layers)]
    rows = [once[text] for text in texts]
    return [np.stack([of[layer] for of in pooled])[rows] for layer in range(len(layers))]


def measure(encoder: Encoder, pairs: Pairs, layers: Sequence[int]) -> dict[str, Any]:
    """Accuracy, the mean of both ways: `plain` and `centred`, for each layer, `languages` and their `mean`."""
    languages = sorted(pairs)
    texts = [text for language in languages for side in pairs[language] for text in side]
    found: dict[str, Any] = {"pool": {language: len(pairs[language][0]) for language in languages}, "plain": {}, "centred": {}}
    for layer, all_vectors in zip(layers, vectors(encoder, texts, layers), strict=True):
        cuts = np.cumsum([len(side) for language in languages for side in pairs[language]])[:-1]
        sides = np.split(all_vectors, cuts)
        for kind, shift in (("plain", False), ("centred", True)):
            pools = [side - side.mean(0) if shift else side for side in sides]
            scores = {language: float(np.mean(metrics.retrieval(*pools[2 * i : 2 * i + 2]))) for i, language in enumerate(languages)}
            found[kind][str(layer)] = {"mean": float(np.mean(list(scores.values()))), "languages": scores}
    return found
