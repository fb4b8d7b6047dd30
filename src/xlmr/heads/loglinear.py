"""A log-linear classifier of texts, in NumPy: for each class a sum of evidence.

It is of the geometry of an encoder's states, the pieces of the text, runs of its characters, and its script:

    evidence = bias + z G + (Σ rows of pieces / √pieces + Σ rows of runs / √runs) P + 4 log(share of letters in the class's scripts + ε)

z is the mean of the text's states after one layer, standardised. Rows lie as int8 in a space of few dimensions, from which P leads to the
classes; P holds their scale. Divided by the root, evidence grows with the text as its certainty does, and not faster.

Whether a text is of any class is told by a second, small model (`known`): of how clear the answer is (Hendrycks and Gimpel 2017, "A
baseline for detecting misclassified and out-of-distribution examples"), by how much the evidence for it exceeds that for the mean class
(after Hendrycks et al. 2022, "Scaling out-of-distribution detection for real-world settings"), how far z lies from the mean of the class
(after Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples"), and what share of the runs is common in the
class. All but the first is compared with what is usual in texts of the class: languages differ more in these than known and unknown do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SCRIPT, EPSILON = 4.0, 1e-8
"""What the script weighs, and what a class keeps where none of the letters is in its scripts: 74 nats less, so that it is ruled out."""
SEEN = 1 << 15
"""Places of the table that says which runs are common in a class; several runs share one."""
MEASURED = 4
"""What is compared with the usual."""
SIGNALS = 15
RELATIVES = 3
"""Classes that are taken together where they resemble each other: which of them it is may be unclear although that it is one is not."""
FAR = 30.0
"""The largest log-odds that the small model looks at."""
BUCKETS, SHIFT = 1 << 17, np.uint32(15)
"""Keys with the same uppermost bits lie in one bucket."""
MOST_STEPS = 12
"""More are as slow as a binary search; hashes take 4."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Some texts as the classifier sees them."""

    pooled: np.ndarray
    """float32 `[texts, width]`: the mean of a text's states."""
    pieces: np.ndarray
    """int64 `[pieces of all]`, text after text; those of text i are `piece_starts[i]` to `piece_starts[i + 1]`."""
    piece_starts: np.ndarray
    runs: np.ndarray
    """uint32 `[runs of all]`: hashes of `ngrams`, likewise."""
    run_starts: np.ndarray
    shares: np.ndarray
    """float32 `[texts, classes]`: the share of the letters that is in a class's scripts."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where to begin to look for a key among many, which a binary search would find with a miss of the cache at every step."""

    first: np.ndarray
    """int32 `[buckets]`: the place of the first key that has these uppermost bits, or higher ones."""
    steps: int
    """How many keys one may have to pass, at most."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """What `fit` learns."""

    classes: tuple[str, ...]
    layer: int
    centre: np.ndarray
    """float32 `[width]`: the mean of all texts."""
    spread: np.ndarray
    """float32 `[width]`: their standard deviation."""
    means: np.ndarray
    """float32 `[classes, width]`, standardised: the mean of each class's texts."""
    geometry: np.ndarray
    """float32 `[width, classes]`."""
    bias: np.ndarray
    """float32 `[classes]`."""
    pieces: np.ndarray
    """int8 `[vocabulary, rank]`."""
    keys: np.ndarray
    """uint32 `[runs]`, ascending: the runs that have a row."""
    runs: np.ndarray
    """int8 `[runs, rank]`."""
    outward: np.ndarray
    """float32 `[2, rank, classes]`: P for pieces and for runs, each with the scale of its rows."""
    seen: np.ndarray
    """uint8 `[classes, SEEN / 8]`, a bit for each place: what is common in a class."""
    temperature: float
    usual: np.ndarray
    """float32 `[classes, MEASURED]`: what is measured of a class's own texts, their mean."""
    known: np.ndarray
    """float32 `[signals + 1]`: the small model, its bias last."""
    threshold: float
    """The probability from which on a text is taken to be of some class."""
    switch: float
    """What it costs, in nats, that a word is of another class than the one before it."""
    index: Index = field(init=False, repr=False, compare=False)
    """Of the keys."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index(self.keys))


Rows = tuple[np.ndarray, np.ndarray]
"""What `known_runs` gives."""


def evidence(of: Classifier, texts: Evidence, known: Rows | None = None) -> np.ndarray:
    """Evidence for each class, nats, calibrated: float32 `[texts, classes]`. Its softmax is the probability.

    `known` are the rows of the texts' runs, where they have been looked up before, which is most of the work.
    """
    found = of.bias + standard(of, texts.pooled) @ of.geometry
    found += summed(of.pieces, texts.pieces, texts.piece_starts) @ of.outward[0]
    rows, starts = known or known_runs(of.keys, texts.runs, texts.run_starts, of.index)
    found += summed(of.runs, rows, starts) @ of.outward[1]
    calibrated: np.ndarray = (found + prior(texts.shares)) / of.temperature
    return calibrated.astype(np.float32)


def prior(shares: np.ndarray) -> np.ndarray:
    """What the script says of each class: `[texts, classes]`, as the shares."""
    said: np.ndarray = SCRIPT * np.log(shares + EPSILON)
    return said


def standard(of: Classifier, pooled: np.ndarray) -> np.ndarray:
    """Pooled states `[texts, width]`, standardised."""
    moved: np.ndarray = (pooled - of.centre) / of.spread
    return moved


def summed(rows: np.ndarray, picked: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """For each text the sum of its rows over the root of their number: float32 `[texts, rank]`; zeros where it has none."""
    counts = np.diff(starts)
    found = np.zeros((len(counts), rows.shape[1]), np.float32)
    full = counts > 0
    if full.any():
        sums = np.add.reduceat(rows.take(picked, axis=0).astype(np.float32), starts[:-1][full], axis=0)
        found[full] = sums / np.sqrt(counts[full])[:, None]
    return found


def known_runs(keys: np.ndarray, runs: np.ndarray, starts: np.ndarray, by: Index | None = None) -> Rows:
    """The rows of those runs that have one, and where those of each text begin. `by` is the keys' index, for many calls."""
    if by is None or by.steps > MOST_STEPS:
        places = np.searchsorted(keys, runs)
    else:
        places = by.first[runs >> SHIFT]
        for _ in range(by.steps):
            places += keys[np.minimum(places, len(keys) - 1)] < runs
    places = np.minimum(places, max(0, len(keys) - 1))
    there = keys[places] == runs if len(keys) else np.zeros(len(runs), bool)
    return places[there], np.concatenate([[0], np.cumsum(there)])[starts]


def index(keys: np.ndarray) -> Index:
    """The index of some keys, uint32 and ascending."""
    first = np.searchsorted(keys, np.arange(BUCKETS + 1, dtype=np.uint64) << np.uint64(SHIFT))
    return Index(first[:-1].astype(np.int32), int(np.diff(first).max()) if len(keys) else MOST_STEPS + 1)


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax of the last axis."""
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    found: np.ndarray = raised / raised.sum(-1, keepdims=True)
    return found


def certainty(of: Classifier, texts: Evidence, scores: np.ndarray, known: Rows | None = None) -> np.ndarray:
    """The probability that a text is of any class at all: float32 `[texts]`. `known` as of `evidence`."""
    x = signals(of, texts, scores, known) @ of.known[:-1] + of.known[-1]
    found: np.ndarray = (1 / (1 + np.exp(-np.clip(x, -FAR, FAR)))).astype(np.float32)
    return found


def signals(of: Classifier, texts: Evidence, scores: np.ndarray, known: Rows | None = None) -> np.ndarray:
    """What tells known from unknown: float32 `[texts, SIGNALS]`.

    How clear the answer is, and that it is one of the likeliest few; what is measured, less what is usual in the class; the share of the
    letters that is in its scripts; these times the logarithm of the number of runs; and that.
    """
    best = scores.argmax(1)
    ordered = np.sort(probabilities(scores), axis=1)[:, ::-1]
    odds = np.stack([log_odds(ordered[:, :count].sum(1), ordered[:, count:].sum(1)) for count in (1, RELATIVES)], axis=1)
    unusual = measured(of, texts, scores, known) - of.usual[best]
    share = texts.shares[np.arange(len(scores)), best]
    length = np.log1p(np.diff(texts.run_starts))[:, None]
    each = np.concatenate([odds / 10, unusual, share[:, None]], axis=1)
    return np.concatenate([each, each * length / 5, length / 5], axis=1).astype(np.float32)


def log_odds(share: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Of probabilities and of what is left beside them, within bounds."""
    found: np.ndarray = np.clip(np.log(share + 1e-12) - np.log(rest + 1e-12), -FAR, FAR)
    return found


def measured(of: Classifier, texts: Evidence, scores: np.ndarray, known: Rows | None = None) -> np.ndarray:
    """How each text fits the class that it is taken for: float32 `[texts, MEASURED]`.

    How far the states lie, what share of the runs is common in the class and has a row at all, and how much more evidence there is than for
    the mean class, the script's left aside, over the root of the number of runs.
    """
    best, at = scores.argmax(1), np.arange(len(scores))
    far = ((standard(of, texts.pooled) - of.means[best]) ** 2).mean(1)
    counts = np.diff(texts.run_starts)
    common = means(is_seen(of.seen, texts.runs, np.repeat(best, counts)), texts.run_starts)
    _, starts = known or known_runs(of.keys, texts.runs, texts.run_starts, of.index)
    listed = np.diff(starts) / np.maximum(counts, 1)
    unscripted = scores * of.temperature - prior(texts.shares)
    above = (unscripted[at, best] - unscripted.mean(1)) / np.sqrt(counts + 1)
    return np.stack([np.log(far + 1e-3), common, listed, above], axis=1).astype(np.float32)


def is_seen(seen: np.ndarray, runs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """For each run whether it is common in the class beside it: bool `[runs]`."""
    place = (runs % SEEN).astype(np.int64)
    found: np.ndarray = (seen[classes, place >> 3] >> (place & 7).astype(np.uint8)) & 1 == 1
    return found


def means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The mean of each text's values; 0 where it has none."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    found: np.ndarray = (sums[starts[1:]] - sums[starts[:-1]]) / np.maximum(np.diff(starts), 1)
    return found
