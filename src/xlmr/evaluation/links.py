"""How well words of translations are aligned, where no hand has aligned them: on the words of which it is known anyway.

Known are words that a lexicon translates into each other, and words that both sentences have alike (numbers, names), where each
stands once in its sentence. Nothing tells of all the others, so this compares layers and methods; it is no alignment error rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product

import numpy as np

from xlmr.encoder import Encoder
from xlmr.heads.pairing import METHODS
from xlmr.tasks import embeddings, segmentation
from xlmr.tasks.alignment import similarity

KINDS = ("translated", "alike")
"""Words that a lexicon translates into each other, and words that are the same in both sentences."""

Links = frozenset[tuple[int, int]]
"""Pairs of word numbers, source and target."""


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence, its translation, and the links that are known, by kind."""

    source: str
    target: str
    known: Mapping[str, Links]


def examples(pairs: Iterable[tuple[str, str]], lexicon: Mapping[str, str]) -> list[Example]:
    """The pairs of sentences in which links are known. `lexicon` has lower-case words of the source's language."""
    found = [Example(source, target, known(words(source), words(target), lexicon)) for source, target in pairs]
    return [example for example in found if any(example.known.values())]


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return [text[start:end].casefold() for start, end in segmentation.words(text)]


def known(source: Sequence[str], target: Sequence[str], lexicon: Mapping[str, str]) -> dict[str, Links]:
    """The links that are known between words that stand once each, by kind; signs are left out."""
    counts, places = (Counter(source), Counter(target)), {word: j for j, word in enumerate(target)}
    found: dict[str, set[tuple[int, int]]] = {kind: set() for kind in KINDS}
    for i, word in enumerate(source):
        partner = lexicon.get(word, word)
        if word.isalnum() and counts[0][word] == counts[1][partner] == 1:
            found["alike" if partner == word else "translated"].add((i, places[partner]))
    return {kind: frozenset(links) for kind, links in found.items()}


def single_words(source: Mapping[str, str], target: Mapping[str, str]) -> dict[str, str]:
    """Of two lists of names by the same keys, the pairs that are one word in both languages and have no second translation."""
    found: dict[str, set[str]] = {}
    for key in source.keys() & target.keys():
        ours, theirs = words(source[key]), words(target[key])
        if len(ours) == len(theirs) == 1:
            found.setdefault(ours[0], set()).add(theirs[0])
    return {word: next(iter(translations)) for word, translations in found.items() if len(translations) == 1}


@dataclass
class Tally:
    """Known links: how many there are, how many were found, and of how many a word was linked, but not to the other."""

    known: int = 0
    found: int = 0
    wrong: int = 0

    def add(self, known: Links, pairs: np.ndarray) -> None:
        """Count a sentence; `pairs` is bool `[source, target]`."""
        for i, j in known:
            self.known += 1
            self.found += bool(pairs[i, j])
            self.wrong += bool(not pairs[i, j] and (pairs[i].any() or pairs[:, j].any()))

    @property
    def recall(self) -> float:
        """Found of those that are known."""
        return self.found / max(1, self.known)

    @property
    def precision(self) -> float:
        """Found of those of which a word was linked at all."""
        return self.found / max(1, self.found + self.wrong)


def measure(encoder: Encoder, examples: Sequence[Example], layers: Sequence[int]) -> dict[tuple[int, str, str], Tally]:
    """By layer, method and kind, how the known links fared."""
    found = {key: Tally() for key in product(layers, METHODS, KINDS)}
    texts = list(chain.from_iterable((example.source, example.target) for example in examples))
    for layer in layers:
        parts = embeddings.embed(encoder, texts, level="word", layers=layer, unit=True, stream=True)
        for example, source, target in zip(examples, parts, parts, strict=True):
            for method, pair in METHODS.items():
                pairs = pair(similarity(source, target))
                for kind, links in example.known.items():
                    found[layer, method, kind].add(links, pairs)
    return found


def diagonal(examples: Iterable[Example]) -> dict[str, Tally]:
    """The same, by kind, of a guess without a model: words about as far into their sentences."""
    found = {kind: Tally() for kind in KINDS}
    for example in examples:
        source, target = (len(segmentation.words(text)) for text in (example.source, example.target))
        distance = np.abs((np.arange(source)[:, None] + 0.5) / source - (np.arange(target) + 0.5) / target)
        for kind, links in example.known.items():
            found[kind].add(links, METHODS["mutual"](-distance))
    return found
