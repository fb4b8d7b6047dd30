"""Translated texts as what `heads.calibration` sees of them: rows of pieces and of their sequences; and batches of pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.heads import calibration
from xlmr.training.corpus import Corpus, Line
from xlmr.training.regression import taken

PIVOT = "en"
TOKENS = 200
"""Of a longer text there are hardly translations of one sentence."""
ACROSS = 0.1
"""What a sequence counts that goes over the beginning of a word: two words mean what both do, a word is more than its pieces."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that have translations; those of a group say the same and lie together."""

    lines: np.ndarray
    """int64 `[texts]`: the corpus's lines."""
    rows: np.ndarray
    """int32 `[rows of all]`, text after text: a piece's is its id, a sequence's the vocabulary's size and its place among the keys."""
    starts: np.ndarray
    """int64 `[texts + 1]`: those of text i are `rows[starts[i]:starts[i + 1]]`."""
    group: np.ndarray
    """int64 `[texts]`."""
    domain: np.ndarray
    """int64 `[texts]`: what kind of text it is. Texts of another kind are told apart too easily."""
    language: np.ndarray
    """int64 `[texts]`, an index into the corpus's languages."""

    def taken(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of some texts laid end to end, int64, and where those of each begin."""
        rows, begins = taken(self.rows, self.starts, texts)
        return rows.astype(np.int64), begins[:-1]


def domains(lines: Sequence[Line]) -> np.ndarray:
    """The domain of each group of a corpus that `corpus.encode` made of these lines: their source. int64 `[groups]`."""
    named = sorted({(line.source, line.id) for line in lines if line.id})
    sources = sorted({source for source, _ in named})
    return np.array([sources.index(source) for source, _ in named], np.int64)


def choose(corpus: Corpus, count: int, begins: np.ndarray) -> np.ndarray:
    """The sequences that have a row: the commonest of the translated lines, first of all those within words.

    At most `count`, uint32, ascending; `begins` says which pieces begin a word, bool `[vocabulary]`. Of a sequence that stands there once
    nothing could be learnt.
    """
    lines = np.flatnonzero(corpus.group >= 0)
    counted = [np.empty((2, 0))]
    for part in np.array_split(lines, max(1, len(lines) // 100_000)):
        ids, owner = _pieces(corpus, part)
        keys, place, counts = np.unique(np.concatenate(calibration.hashes(ids, owner)), return_inverse=True, return_counts=True)
        worth = np.bincount(place, weights=np.where(_within_words(begins[ids], owner), 1.0, ACROSS), minlength=len(keys))
        counted.append(np.stack([keys, worth])[:, counts > 1])
    merged = np.concatenate(counted, axis=1)
    found, place = np.unique(merged[0], return_inverse=True)
    best = np.argsort(-np.bincount(place, weights=merged[1], minlength=len(found)), kind="stable")[:count]
    return np.sort(found[best]).astype(np.uint32)


def _within_words(begins: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Of each sequence of `calibration.hashes`, whether all its pieces are of one word; `begins` says which of the pieces begin one."""
    words, found = np.cumsum(begins), []
    for length in range(2, calibration.LONGEST + 1):
        inside = words[: max(0, len(words) - length + 1)] == words[length - 1 :]
        found.append(inside[calibration.same(owner, length)])
    return np.concatenate(found)


def look_at(corpus: Corpus, domain: np.ndarray, keys: np.ndarray, vocabulary: int) -> Texts:
    """The corpus's texts that have translations, `domain` that of each group."""
    lengths = np.diff(corpus.starts)
    lines = np.flatnonzero((corpus.group >= 0) & (lengths > 0) & (lengths <= TOKENS))
    lines = lines[np.argsort(corpus.group[lines], kind="stable")]
    parts = [features(corpus, part, keys, vocabulary) for part in np.array_split(lines, max(1, len(lines) // 100_000))]
    counts = np.concatenate([counts for _, counts in parts])
    group = np.unique(corpus.group[lines], return_inverse=True)[1]
    rows, starts = np.concatenate([rows for rows, _ in parts]), np.concatenate([[0], np.cumsum(counts)])
    return Texts(lines, rows, starts, group, domain[corpus.group[lines]], corpus.language[lines].astype(np.int64))


def features(corpus: Corpus, lines: np.ndarray, keys: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of some lines, laid end to end, and how many each has."""
    ids, owner = _pieces(corpus, lines)
    found, owners = [ids.astype(np.int32)], [owner]
    for length, hashed in enumerate(calibration.hashes(ids, owner), start=2):
        place = calibration.found_in(keys, hashed)
        of = owner[: max(0, len(ids) - length + 1)][calibration.same(owner, length)]
        found.append((place[place >= 0] + vocabulary).astype(np.int32))
        owners.append(of[place >= 0])
    joined = np.concatenate(owners)
    return np.concatenate(found)[np.argsort(joined, kind="stable")], np.bincount(joined, minlength=len(lines))


def _pieces(corpus: Corpus, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of some lines laid end to end, and which line's each is, counted from 0."""
    rows = [corpus.line(line).astype(np.int64) for line in lines]
    return np.concatenate([np.empty(0, np.int64), *rows]), np.repeat(np.arange(len(rows)), [len(row) for row in rows])


class Batches:
    """Pairs of translations, each batch of one domain, no group twice; a language is drawn by a power of its number of texts.

    `english` is the share of the pairs whose other side is English where the group has it; the others are of any two languages.
    """

    def __init__(self, texts: Texts, pivot: int, *, exponent: float, english: float, seed: int) -> None:
        self.texts, self.english, self.dice = texts, english, np.random.default_rng(seed)
        _, self.begins, self.sizes = np.unique(texts.group, return_index=True, return_counts=True)
        counts = np.bincount(texts.language).astype(float)
        weights = np.where(self.sizes[texts.group] > 1, counts[texts.language] ** (exponent - 1), 0.0)
        self.kinds = np.unique(texts.domain[weights > 0])
        held = [np.where(texts.domain == kind, weights, 0.0) for kind in self.kinds]
        self.shares = np.array([of.sum() for of in held]) / max(1e-9, weights.sum())
        sums = [np.cumsum(of) for of in held]
        self.cumulated = [of / of[-1] for of in sums]  # ends with 1 whatever the rounding, so what is drawn is below it
        self.pivot = np.full(len(self.begins), -1)
        self.pivot[texts.group[texts.language == pivot]] = np.flatnonzero(texts.language == pivot)

    @property
    def count(self) -> int:
        """Texts that have a translation; one with all its translations counts once."""
        return int(np.sum(self.sizes > 1))

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """At most `count` texts, and a translation of each."""
        cumulated = self.cumulated[self.dice.choice(len(self.kinds), p=self.shares)]
        first = np.searchsorted(cumulated, self.dice.random(count), side="right")
        first = first[np.unique(self.texts.group[first], return_index=True)[1]]
        group = self.texts.group[first]
        shift = self.dice.integers(1, self.sizes[group])
        other = self.begins[group] + (first - self.begins[group] + shift) % self.sizes[group]
        pivot = self.pivot[group]
        wanted = (pivot >= 0) & (pivot != first) & (self.dice.random(len(first)) < self.english)
        return first, np.where(wanted, pivot, other)
