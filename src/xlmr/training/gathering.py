"""Texts read as a stream, of which a corpus is kept that fits into memory: of each language an even sample, chosen by the texts' hashes.

A text is kept while its hash lies below its language's bar. Where all languages together have more tokens than are wanted, the bar of the
largest is halved, and what then lies above it is forgotten; texts that come later and lie above it are not even tokenised. So no more is
held than was asked for, small languages stay whole, and how large each one is is known from its bar.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from xlmr.errors import BadInput
from xlmr.training.corpus import Corpus, draw

HELD_OUT = 50
"""One text in so many is held out, by its hash, …"""
HELD_LINES = 32
"""… at most so many of a language."""
MOST_LANGUAGES = 255
TOGETHER = 2_000
"""Texts tokenised at once."""
SPAN = 1 << 48
"""Of the hashes."""

Tokenize = Callable[[list[str]], list[list[int]]]


@dataclass(slots=True)
class Pool:
    """What is kept of a language."""

    bar: int = SPAN
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    tokens: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    heldout: dict[int, str] = field(default_factory=dict)
    """Texts by their hashes, the lowest."""

    @property
    def size(self) -> float:
        """Tokens that the language has in all, about."""
        return len(self.tokens) * SPAN / self.bar

    def add(self, drawn: int, ids: Sequence[int]) -> None:
        """Take a text."""
        self.hashes.append(drawn)
        self.tokens.extend(ids)
        self.ends.append(len(self.tokens))

    def hold_out(self, drawn: int, text: str) -> None:
        """Keep a text to measure on, if it is among the first by their hashes."""
        self.heldout[drawn] = text
        if len(self.heldout) > HELD_LINES:
            del self.heldout[max(self.heldout)]

    def halve(self) -> None:
        """Lower the bar, and forget what is not below it; one text stays."""
        self.bar //= 2
        kept = [i for i, drawn in enumerate(self.hashes) if drawn < self.bar] or [min(range(len(self.hashes)), key=self.hashes.__getitem__)]
        before, begins = self.tokens, [0, *self.ends]
        self.tokens = array("I")
        ends = array("Q")
        for i in kept:
            self.tokens.extend(before[begins[i] : begins[i + 1]])
            ends.append(len(self.tokens))
        self.hashes, self.ends = array("Q", [self.hashes[i] for i in kept]), ends


@dataclass(frozen=True, slots=True)
class Gathered:
    """Texts to learn from and to measure on."""

    corpus: Corpus
    heldout: dict[str, list[str]]
    """By language, in a fixed order; none of these texts is in the corpus."""
    sizes: dict[str, float]
    """Tokens that each of the corpus's languages has in all, held or not, about."""
    read: int
    """Texts that were read."""


def gather(texts: Iterable[tuple[str, str]], tokenize: Tokenize, size: int, most: int) -> Gathered:
    """Languages with texts as a corpus of at most `most` tokens. `tokenize` gives ids without special tokens, `size` is the vocabulary's.

    Raises BadInput where nothing is left to learn from, or there are too many languages.
    """
    pools: dict[str, Pool] = {}
    read = 0
    for some in _batches(texts):
        read += len(some)
        taken = [(pools.setdefault(language, Pool()), text, draw(text)) for language, text in some]
        for pool, text, drawn in taken:
            if drawn % HELD_OUT == 0:
                pool.hold_out(drawn, text)
        taken = [(pool, text, drawn) for pool, text, drawn in taken if drawn % HELD_OUT and drawn < pool.bar]
        for (pool, _, drawn), ids in zip(taken, tokenize([text for _, text, _ in taken]), strict=True):
            if ids:
                pool.add(drawn, ids)
        _lower(pools.values(), most)
    if len(pools) > MOST_LANGUAGES:
        raise BadInput(f"the texts are in {len(pools)} languages, at most {MOST_LANGUAGES} are taken; name those that matter")
    if not any(pool.tokens for pool in pools.values()):
        raise BadInput(f"found {read:,} texts, none of which is left to learn from; wanted thousands, one in {HELD_OUT} is held out")
    ordered = dict(sorted(pools.items()))
    heldout = {language: [pool.heldout[drawn] for drawn in sorted(pool.heldout)] for language, pool in ordered.items() if pool.heldout}
    return Gathered(_corpus(ordered, size), heldout, {language: pool.size for language, pool in ordered.items()}, read)


def _batches(texts: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    rest = iter(texts)
    while some := list(islice(rest, TOGETHER)):
        yield some


def _lower(pools: Collection[Pool], most: int) -> None:
    """Halve the bar of the largest, until all together have no more than `most` tokens."""
    while sum(len(pool.tokens) for pool in pools) > most:
        largest = max(pools, key=lambda pool: (len(pool.hashes) > 1, len(pool.tokens)))
        if len(largest.hashes) < 2:
            return  # one text of each is left
        largest.halve()


def _corpus(pools: dict[str, Pool], size: int) -> Corpus:
    """What is held, in the order of the hashes: that in which the texts came has no say."""
    kind: type[np.generic] = np.uint16 if size <= 65_536 else np.uint32
    tokens, lengths, language = [np.empty(0, kind)], list[int](), list[int]()
    for number, pool in enumerate(pools.values()):
        ids, begins = np.frombuffer(pool.tokens, np.uint32) if pool.tokens else np.empty(0, np.uint32), [0, *pool.ends]
        for i in np.argsort(np.array(pool.hashes, np.uint64), kind="stable"):
            tokens.append(ids[begins[i] : begins[i + 1]].astype(kind))
            lengths.append(len(tokens[-1]))
            language.append(number)
    lines = len(lengths)
    return Corpus(
        tokens=np.concatenate(tokens),
        starts=np.cumsum([0, *lengths], dtype=np.int64),
        language=np.asarray(language, np.uint8),
        group=np.full(lines, -1, np.int32),
        phrase=np.zeros(lines, bool),
        languages=tuple(pools),
    )
