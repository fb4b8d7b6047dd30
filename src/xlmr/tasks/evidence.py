"""What a text shows of its language: its states, pooled, its pieces, the runs of its characters, and its scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain

import numpy as np

from xlmr import encoder as encoders
from xlmr import languages, scripts
from xlmr.encoder import Encoder
from xlmr.heads import ngrams
from xlmr.heads.loglinear import Evidence

TOKENS = 128
"""Of a text, `<s>` and `</s>` among them, that are looked at."""
CHARACTERS = 1_000
"""Of a text that are looked at."""
SPLIT = {"sr": ("sr", "sr-Latn")}
"""Languages of two classes, by script: their texts share hardly a run of characters."""


@dataclass(frozen=True, slots=True)
class Text:
    """The part of a text that is looked at."""

    text: str
    ids: list[int]

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.ids)

    @property
    def held(self) -> int:
        """Characters of its answer, about."""
        return 256


def look_at(encoder: Encoder, text: str) -> Text:
    """The beginning of a text. Raises BadInput where it is too long to be taken at all, or no text."""
    begin = encoders.bounded(text)[:CHARACTERS]
    return Text(begin, encoder.tokenizer.encode(begin, longest=min(TOKENS, encoder.config.longest)).ids)


def pooled(encoder: Encoder, texts: Sequence[Text], layer: int) -> np.ndarray:
    """The states of a batch of texts after one layer, pooled: float32 `[texts, width]`."""
    (states,) = encoder.runtime.hidden_states(encoders.pad([text.ids for text in texts], encoder.config.pad_id), [layer])
    return np.stack([pool(of[: text.length]) for text, of in zip(texts, states, strict=True)])


def gather(texts: Sequence[Text], pooled: np.ndarray, counts: Sequence[Counter[str]], classes: Sequence[frozenset[str]]) -> Evidence:
    """The evidence of some texts, from their pooled states and the scripts of their letters; `classes` are the scripts of each class."""
    pieces, piece_starts = joined([text.ids[1:-1] for text in texts])
    runs, run_starts = ngrams.hashes([text.text for text in texts])
    return Evidence(pooled, pieces, piece_starts, runs, run_starts, shares(counts, classes))


def pool(states: np.ndarray) -> np.ndarray:
    """The mean of a text's states `[tokens, width]`, without those of `<s>` and `</s>`; of a text without pieces, zeros."""
    mean: np.ndarray = states[1:-1].mean(0) if len(states) > 2 else np.zeros(states.shape[1], np.float32)
    return mean


def joined(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows laid end to end, and where each begins: int64."""
    flat = np.fromiter(chain.from_iterable(rows), np.int64)
    return flat, np.cumsum([0, *map(len, rows)], dtype=np.int64)


def shares(counts: Sequence[Counter[str]], classes: Sequence[frozenset[str]]) -> np.ndarray:
    """The share of each text's letters that is in the scripts of each class: float32 `[texts, classes]`; zeros where it has none."""
    column, member = _membership(tuple(classes))
    held, every = np.zeros((len(counts), len(column)), np.float32), np.ones((len(counts), 1), np.float32)
    for row, of in enumerate(counts):
        every[row] = max(1, of.total())
        for script in of.keys() & column.keys():
            held[row, column[script]] = of[script]
    found: np.ndarray = held @ member / every
    return found


@lru_cache(maxsize=16)
def _membership(classes: tuple[frozenset[str], ...]) -> tuple[dict[str, int], np.ndarray]:
    """The columns of all scripts of some classes, and which class is in which: float32 `[scripts, classes]`."""
    names = sorted(frozenset[str]().union(*classes))
    member = np.array([[name in of for of in classes] for name in names], np.float32).reshape(len(names), len(classes))
    return {name: i for i, name in enumerate(names)}, member


def kind_of(language: str, text: str) -> str:
    """The class of a text: the language's code, with its script where it has a class for each. Raises BadInput for an unknown language."""
    code = languages.find(language).code
    return max(SPLIT[code], key=lambda kind: in_scripts(text, written(kind))) if code in SPLIT else code


@cache
def code_of(kind: str) -> str:
    """The language's code of a class."""
    return next((code for code, kinds in SPLIT.items() if kind in kinds), kind)


@cache
def script_codes(kind: str) -> tuple[str, ...]:
    """The scripts of a class, as ISO 15924 has them."""
    return languages.written(kind)


@cache
def written(kind: str) -> frozenset[str]:
    """The scripts of a class, of Unicode's."""
    codes = script_codes(kind)
    return scripts.parts(codes[:1] if code_of(kind) in SPLIT else codes)


def in_scripts(text: str, allowed: Iterable[str]) -> float:
    """The share of a text's letters that is in some scripts; 0 where there are none."""
    counts = scripts.counted(text)
    return sum(counts[script] for script in allowed) / max(1, counts.total())
