"""A corpus to batches of masked examples: which lines, how joined, what is hidden.

A batch depends on the recipe, the step and the sampler's cursors alone, so a run that is killed goes on as if it had not been,
and every process of several builds the same batch and takes its own part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xlmr.config import Config
from xlmr.training.corpus import Corpus
from xlmr.training.recipes import Objective

ENGLISH_SHARE = 0.5  # of the pairs that could have English on one side
LONGEST_WORD = 6  # pieces; in scripts without spaces a sentence looks like one word, and is hidden piece by piece
PHRASE_SHARE = 0.2  # of the pairs that are words or short phrases


@dataclass(frozen=True, slots=True)
class Pieces:
    """What masking must know of a vocabulary."""

    mask_id: int
    size: int
    first: int
    """The first id that is not special; `<mask>` is the last id."""
    begins: np.ndarray
    """bool `[vocabulary]`: pieces that begin a word."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of one step. Those of a pair stand at 2p and 2p + 1, before all others."""

    ids: list[np.ndarray]
    """int64 `[tokens]` each, with `<s>` and `</s>`, some of them hidden."""
    targets: list[np.ndarray]
    """int64 `[tokens]` each: the hidden piece, -1 where nothing is to be predicted."""
    pairs: int
    told: np.ndarray | None = None
    """What each sequence means, float32 `[sequences, size]`, where a teacher says it."""

    def part(self, index: int, parts: int) -> Batch:
        """One of several parts; pairs and other sequences are dealt out in turn."""
        rows = [row for pair in range(index, self.pairs, parts) for row in (2 * pair, 2 * pair + 1)]
        rows += range(2 * self.pairs + index, len(self.ids), parts)
        told = None if self.told is None else self.told[rows]
        return Batch([self.ids[i] for i in rows], [self.targets[i] for i in rows], len(range(index, self.pairs, parts)), told)


@dataclass(frozen=True, slots=True)
class Draft:
    """Sequences before anything is hidden, with the share of each token's chance to be."""

    ids: np.ndarray
    rates: np.ndarray


class Sampler:
    """Lines in a shuffled order of their own for each pool; `cursors` says how far each has been read."""

    def __init__(self, pools: list[np.ndarray], seed: int) -> None:
        self.pools, self.seed = pools, seed
        self.cursors = [0] * len(pools)
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def next(self, pool: int) -> int:
        """The pool's next line; after the last it begins again in another order."""
        epoch, place = divmod(self.cursors[pool], len(self.pools[pool]))
        if self._orders.get(pool, (-1, None))[0] != epoch:
            order = np.random.default_rng([self.seed, pool, epoch]).permutation(len(self.pools[pool]))
            self._orders[pool] = (epoch, order)
        self.cursors[pool] += 1
        return int(self.pools[pool][self._orders[pool][1][place]])


class Examples:
    """Batches of a corpus by step."""

    def __init__(self, corpus: Corpus, pieces: Pieces, config: Config, objective: Objective, seed: int) -> None:
        self.corpus, self.pieces, self.config, self.objective, self.seed = corpus, pieces, config, objective, seed
        self.pools = pools_of(corpus)
        self.sampler = Sampler([of for kind in self.pools for of in kind], seed)
        self.weights = [weights_of(kind, corpus, objective.exponent) for kind in self.pools]
        self.bounds = {of: lines for of, lines in _group_bounds(corpus.group).items() if lines[1] - lines[0] > 1}
        self.paired = [kind for kind in (1, 2) if self.pools[kind]]
        self.running = {int(corpus.language[pool[0]]): i for i, pool in enumerate(self.pools[0])}

    def batch(self, step: int) -> Batch:
        """The step's batch. Steps must be asked in order, since the sampler reads on."""
        rng = np.random.default_rng([self.seed, step])
        pairs, joined = self._pairs(rng, self.objective.batch * self.objective.parallel)
        drafts = [draft for pair in pairs for draft in pair] + joined
        drafts += self._monolingual(rng, self.objective.batch - sum(len(draft.ids) for draft in drafts))
        ids, targets = self._hide(rng, drafts)
        return Batch(ids, targets, len(pairs))

    def hide_lines(self, rng: np.random.Generator, lines: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Sequences and targets of lines given as tokens, each alone."""
        return self._hide(rng, [self._draft([line[: self.objective.longest - 2]], [self.objective.masked]) for line in lines])

    # -- which lines --

    def _pairs(self, rng: np.random.Generator, tokens: float) -> tuple[list[tuple[Draft, Draft]], list[Draft]]:
        """Pairs to contrast, and pairs joined in one sequence (TLM), of so many tokens together. No text comes twice."""
        pairs: list[tuple[Draft, Draft]] = []
        joined: list[Draft] = []
        used: set[int] = set()
        while tokens > 0 and self.paired and len(used) < len(self.bounds):
            line = self._draw(rng, kind=self.paired[-1] if rng.random() < PHRASE_SHARE else self.paired[0])
            other = self._translation(rng, line)
            if self.corpus.group[line] in used:
                continue
            used.add(self.corpus.group[line])
            if rng.random() < self.objective.tlm:
                draft = self._join_pair(rng, line, other)
                joined.append(draft)
                tokens -= len(draft.ids)
            else:
                pairs.append((self._alone(line), self._alone(other)))
                tokens -= len(pairs[-1][0].ids) + len(pairs[-1][1].ids)
        return pairs, joined

    def _monolingual(self, rng: np.random.Generator, tokens: float) -> Iterator[Draft]:
        """Lines of running text, some joined to sequences as long as the model reads."""
        long = tokens * self.objective.joined
        while tokens > 0:
            line = self._draw(rng, kind=0)
            draft = self._joined(line) if long > 0 else self._alone(line)
            long -= len(draft.ids)
            tokens -= len(draft.ids)
            yield draft

    def _draw(self, rng: np.random.Generator, kind: int) -> int:
        chosen = int(np.searchsorted(self.weights[kind], rng.random(), side="right"))
        return self.sampler.next(sum(map(len, self.pools[:kind])) + chosen)

    def _translation(self, rng: np.random.Generator, line: int) -> int:
        """Another line of the same group, English in half the cases where there is one."""
        first, last = self.bounds[self.corpus.group[line]]
        others = [i for i in range(first, last) if i != line]
        english = [i for i in others if self.corpus.languages[self.corpus.language[i]] == "en"]
        return int(rng.choice(english if english and rng.random() < ENGLISH_SHARE else others))

    # -- how joined --

    def _alone(self, line: int) -> Draft:
        return self._draft([self.corpus.line(line)[: self.objective.longest - 2]], [self.objective.masked])

    def _join_pair(self, rng: np.random.Generator, line: int, other: int) -> Draft:
        """`<s> A </s></s> B </s>`: much of one side is hidden, little of the other, either side first."""
        half = min(self.objective.longest, self.config.longest // 2) - 2
        sides = [self.corpus.line(line)[:half], self.corpus.line(other)[:half]]
        rates = [self.objective.tlm_masked, self.objective.masked / 2]
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        return self._draft([sides[i] for i in order], [rates[i] for i in order])

    def _joined(self, line: int) -> Draft:
        """The line and the following ones of its pool, `</s>` between them, to the model's length."""
        room, parts = self.config.longest - 2, []
        pool = self.running[int(self.corpus.language[line])]
        while True:
            parts.append(self.corpus.line(line)[:room])
            room -= len(parts[-1]) + 1
            if room <= 0:
                break
            line = self.sampler.next(pool)
        eos = np.asarray([self.config.eos_id], parts[0].dtype)
        whole = np.concatenate([piece for part in parts for piece in (part, eos)][:-1])
        return self._draft([whole], [self.objective.masked])

    def _draft(self, parts: list[np.ndarray], rates: list[float]) -> Draft:
        bos, eos = [self.config.bos_id], [self.config.eos_id]
        pieces: list[list[int] | np.ndarray] = [bos]
        chances: list[np.ndarray] = [np.zeros(1)]
        for i, (part, rate) in enumerate(zip(parts, rates, strict=True)):
            pieces += [part, eos] if i == 0 else [eos, part, eos]
            chances += [np.zeros(i), np.full(len(part), rate), np.zeros(1)]
        ids = np.concatenate(pieces).astype(np.int64)
        return Draft(ids, np.concatenate(chances) * (ids != self.config.eos_id))

    # -- what is hidden --

    def _hide(self, rng: np.random.Generator, drafts: list[Draft]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of the chosen tokens 80 % become `<mask>`, 10 % another piece, 10 % stay (Devlin et al. 2019, section 3.1)."""
        ids, rates = (np.concatenate([getattr(draft, name) for draft in drafts]) for name in ("ids", "rates"))
        lengths = [len(draft.ids) for draft in drafts]
        word = np.cumsum(self.pieces.begins[ids] | (rates == 0))
        whole = np.repeat(rng.random(len(drafts)) < self.objective.whole_word, lengths)
        whole &= np.bincount(word)[word] <= LONGEST_WORD
        luck = np.where(whole, rng.random(word[-1] + 1)[word], rng.random(len(ids)))
        chosen = (luck < rates) & (ids >= self.pieces.first)  # `<unk>` is nothing to predict
        how = rng.random(len(ids))
        another = rng.integers(self.pieces.first, self.pieces.size - 1, len(ids))
        hidden = np.where(chosen & (how < 0.8), self.pieces.mask_id, np.where(chosen & (how >= 0.9), another, ids))
        cuts = np.cumsum(lengths)[:-1]
        return np.split(hidden, cuts), np.split(np.where(chosen, ids, -1), cuts)


def pools_of(corpus: Corpus) -> list[list[np.ndarray]]:
    """Lines by language: running text; running text that has translations; phrases that have. Languages without are left out."""
    filled = np.diff(corpus.starts) > 0
    translated = np.zeros(len(corpus.group), bool)
    grouped = corpus.group >= 0
    translated[grouped] = (np.bincount(corpus.group[grouped]) > 1)[corpus.group[grouped]] if grouped.any() else False
    kinds = [~corpus.phrase & filled, ~corpus.phrase & filled & translated, corpus.phrase & filled & translated]
    by_language = [[np.flatnonzero(kind & (corpus.language == i)) for i in range(len(corpus.languages))] for kind in kinds]
    return [[lines for lines in kind if len(lines)] for kind in by_language]


def weights_of(pools: list[np.ndarray], corpus: Corpus, exponent: float) -> np.ndarray:
    """Cumulated probabilities of a kind's pools: tokens to the power of `exponent`."""
    lengths = np.diff(corpus.starts)
    weights = np.array([float(lengths[pool].sum()) ** exponent for pool in pools])
    shares: np.ndarray = np.cumsum(weights) / weights.sum()
    return shares


def _group_bounds(group: np.ndarray) -> dict[int, tuple[int, int]]:
    """First and last + 1 line of each group; a group's lines lie together."""
    edges = np.flatnonzero(np.diff(group, prepend=-2, append=-2))
    return {int(group[a]): (int(a), int(b)) for a, b in pairwise(edges) if group[a] >= 0}
