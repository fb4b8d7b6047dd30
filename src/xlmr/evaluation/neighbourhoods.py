"""How pure the neighbourhoods of tokens are: whether those that lie near each other, layer by layer, are of one language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xlmr import encoder as encoders
from xlmr.encoder import Encoder

NEIGHBOURS = 10


def purity(
    encoder: Encoder, texts: Sequence[tuple[str, str]], layers: Sequence[int], *, most: int = 4_000, seed: int = 0
) -> dict[int, float]:
    """By layer: of the ten nearest tokens of a token, by cosine, the share that is of its language; `most` tokens are drawn.

    Tokens of the same text are no neighbours of each other, since they share it.
    """
    held: dict[int, list[np.ndarray]] = {layer: [] for layer in layers}
    codes: list[str] = []
    owner: list[int] = []
    for i, ((code, _), states) in enumerate(zip(texts, encoders.hidden_states(encoder, (text for _, text in texts), layers), strict=True)):
        for layer, of in zip(layers, states, strict=True):
            held[layer].append(of[1:-1])
        codes += [code] * (len(states[0]) - 2)
        owner += [i] * (len(states[0]) - 2)
    some = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
    kinds, texts_of = np.array(codes)[some], np.array(owner)[some]
    return {layer: _purity(np.concatenate(of)[some], kinds, texts_of) for layer, of in held.items()}


def _purity(states: np.ndarray, kinds: np.ndarray, texts: np.ndarray, block: int = 500) -> float:
    unit = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
    pure = []
    for begin in range(0, len(unit), block):
        near = unit[begin : begin + block] @ unit.T
        near[texts[begin : begin + block, None] == texts] = -np.inf
        first = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        pure.append((kinds[first] == kinds[begin : begin + block, None]).mean(1))
    return float(np.concatenate(pure).mean())
