"""How well languages are told: F1 of each, how sure the answers are, what is unknown; and how pure the neighbourhoods of tokens are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import tee

import numpy as np

from xlmr import encoder as encoders
from xlmr import languages, metrics
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.tasks import identification

NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A task's score for each language, and their mean."""

    task: str
    metric: str
    languages: dict[str, float]

    @property
    def mean(self) -> float:
        """Of the languages."""
        return float(np.mean(list(self.languages.values())))


def evaluate(encoder: Encoder, texts: Iterable[tuple[str, str]], only: Collection[str] | None = None) -> Evaluated:
    """F1 of the first answer for texts with their languages; `und` is a wrong answer. `only` takes some languages' texts.

    Texts are read a window at a time. Raises BadInput where there are none, or a text cannot be answered.
    """
    chosen = None if only is None else {languages.find(name).code for name in only}
    one, other = tee((code, text) for code, text in texts if chosen is None or code in chosen)
    found = identification.identify_language(encoder, (text for _, text in other), top=1, stream=True)
    pairs = [(code, answer[0].code) for (code, _), answer in zip(one, found, strict=False)]
    if not pairs:
        raise BadInput("the data have no texts" + (f" in {', '.join(sorted(chosen))}" if chosen else ""))
    wanted, given = (np.array(side) for side in zip(*pairs, strict=True))
    return Evaluated("language", "f1", {code: metrics.f1(given, wanted, code) for code in sorted({*wanted.tolist()})})


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
