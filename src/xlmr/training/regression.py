"""The classifier of languages, learnt: which runs of characters have a row, and what each piece of evidence weighs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr import batching, scripts
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.heads import loglinear, ngrams
from xlmr.heads.loglinear import MEASURED, SEEN, SIGNALS, Classifier, Evidence
from xlmr.tasks import evidence as evidences

INT8 = 127
FEWEST = 1e-3
"""The share of a class's texts that a run is taken to be in at least: what was never seen may be a matter of luck."""
ALONE = 0.25
"""The least correlation with another class that one counts as having."""
PARTS = ("geometry", "pieces", "runs", "script")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How it is learnt."""

    rank: int = 32
    """Numbers in a piece's or a run's row."""
    runs: int = 80_000
    """Runs of characters that have a row."""
    common: int = 6_000
    """Runs that are remembered as common in each class."""
    passes: float = 3.0
    """How often every text is seen, where that makes as many steps as `least`."""
    least: int = 200
    batch: int = 512
    rate: float = 8e-3
    kept: float = 0.6
    """Share of a text's pieces and runs that a step sees, so that no few of them decide alone."""
    decay: float = 0.1
    """Of the geometry's weights, towards zero (their squares, summed). The states of a few words say little and much by chance: the less is
    built on them, the better pieces and runs tell short texts apart. On whole sentences it makes no difference."""
    shrinking: float = 0.3
    """Of the rows of pieces and runs, towards zero: this, times the rate, at each step (Loshchilov and Hutter 2019, AdamW)."""
    parts: tuple[str, ...] = PARTS
    """The evidence it has; less shows what each is worth."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts as the classifier sees them, with their classes."""

    evidence: Evidence
    wanted: np.ndarray
    """int64 `[texts]`, an index into the classes."""


def encode(encoder: Encoder, texts: Sequence[str], layers: Sequence[int], classes: Sequence[frozenset[str]]) -> list[Evidence]:
    """The evidence of texts, once for each layer: all but the states is the same."""
    seen = [evidences.look_at(encoder, text) for text in texts]
    pooled = np.zeros((len(layers), len(seen), encoder.config.width), np.float32)
    for rows in batching.group([text.length for text in seen], 2_048):
        ids = encoders.pad([seen[i].ids for i in rows], encoder.config.pad_id)
        for of, states in zip(pooled, encoder.runtime.hidden_states(ids, layers), strict=True):
            for i, row in zip(rows, states, strict=True):
                of[i] = evidences.pool(row[: seen[i].length])
    pieces, piece_starts = evidences.joined([text.ids[1:-1] for text in seen])
    runs, run_starts = _hashed([text.text for text in seen])
    shares = evidences.shares([scripts.counted(text.text) for text in seen], classes)
    return [Evidence(of, pieces, piece_starts, runs, run_starts, shares) for of in pooled]


def _hashed(texts: Sequence[str], size: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    parts = [ngrams.hashes(texts[i : i + size]) for i in range(0, len(texts), size)]
    counts = np.concatenate([np.diff(starts) for _, starts in parts])
    return np.concatenate([runs for runs, _ in parts]), np.cumsum([0, *counts], dtype=np.int64)


def rows_of(of: Evidence, rows: np.ndarray, classes: np.ndarray) -> Evidence:
    """The evidence of some of the texts, for some of the classes."""
    pieces, piece_starts = taken(of.pieces, of.piece_starts, rows)
    runs, run_starts = taken(of.runs, of.run_starts, rows)
    return Evidence(of.pooled[rows], pieces, piece_starts, runs, run_starts, of.shares[np.ix_(rows, classes)])


# -- the runs that have a row --


def chosen(of: Labelled, classes: int, size: int) -> np.ndarray:
    """The runs that tell classes apart: uint32, ascending, `size` at most.

    Those of each class are ordered twice, by how much of its texts they are in, times the logarithm of how much more often than in others
    (their part of the divergence of Kullback and Leibler): than in the mean of all classes, and than in the one that has them most often
    beside it, for what tells it from its nearest relative. Then each class gives its best, its second, and so on, of either order; the more
    a class resembles another, the more of them, since a few tell what stands alone.
    """
    keys, held = _frequencies(of, classes)
    every, order, near = held.mean(0), np.sort(held, axis=0), _resemblance(held)
    best, turns = list[np.ndarray](), list[np.ndarray]()
    for share, close in zip(held, near, strict=True):
        nearest = np.where(share == order[-1], order[-2], order[-1])
        for other in (every, nearest):
            worth = share * np.log((share + 1e-9) / (other + FEWEST))
            first = np.argsort(-worth, kind="stable")[:size]
            best.append(first[worth[first] > 0])
            turns.append(np.arange(len(best[-1])) / close)
    runs = np.concatenate(best)[np.argsort(np.concatenate(turns), kind="stable")]
    _, first = np.unique(runs, return_index=True)
    return np.sort(keys[runs[np.sort(first)[:size]]])


def _resemblance(held: np.ndarray) -> np.ndarray:
    """How much each class's shares `[classes, runs]` correlate with those of its nearest, squared; a few percent at least. `[classes]`."""
    products, every = (held @ held.T).astype(np.float64), held.mean(0)
    own = (held @ every).astype(np.float64)
    centred = products - own[:, None] - own + float(every @ every)
    length = np.sqrt(np.diag(centred)) + 1e-9
    correlation = centred / length / length[:, None]
    np.fill_diagonal(correlation, -1)
    near: np.ndarray = np.maximum(correlation.max(1), ALONE) ** 2
    return near


def _frequencies(of: Labelled, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs that at least three texts of some class have, and the share of each class's texts that has them: float32 `[classes, runs]`."""
    counted = []
    for kind in range(classes):
        rows = np.flatnonzero(of.wanted == kind)
        each = [np.unique(of.evidence.runs[of.evidence.run_starts[i] : of.evidence.run_starts[i + 1]]) for i in rows]
        runs, counts = np.unique(np.concatenate(each) if each else np.empty(0, np.uint32), return_counts=True)
        counted.append((runs[counts > 2], counts[counts > 2] / max(1, len(rows))))
    keys = np.unique(np.concatenate([runs for runs, _ in counted]))
    held = np.zeros((classes, len(keys)), np.float32)
    for kind, (runs, share) in enumerate(counted):
        held[kind, np.searchsorted(keys, runs)] = share
    return keys, held


def common(of: Labelled, classes: int, size: int) -> np.ndarray:
    """A bit for each place of each class's table: where one of the runs falls that most of its texts have. uint8 `[classes, SEEN / 8]`."""
    keys, held = _frequencies(of, classes)
    bits = np.zeros((classes, SEEN), bool)
    for kind, share in enumerate(held):
        often = np.argsort(-share, kind="stable")[:size]
        bits[kind, keys[often[share[often] > 0]] % SEEN] = True
    return np.packbits(bits, axis=1, bitorder="little")


# -- the weights --


class Weights(nn.Module):
    """The classifier as torch learns it."""

    def __init__(self, width: int, pieces: int, runs: int, classes: int, rank: int) -> None:
        super().__init__()
        self.pieces = nn.EmbeddingBag(pieces, rank, mode="sum")
        self.runs = nn.EmbeddingBag(max(1, runs), rank, mode="sum")
        self.outward = nn.Parameter(torch.randn(2, rank, classes) / rank**0.5)
        self.geometry = nn.Parameter(torch.zeros(width, classes))
        self.bias = nn.Parameter(torch.zeros(classes))
        for table in (self.pieces, self.runs):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, batch: Batch) -> Tensor:
        """Evidence `[texts, classes]`."""
        found = self.bias + batch.pooled @ self.geometry + batch.prior
        for table, rows, starts, outward in (
            (self.pieces, batch.pieces, batch.piece_starts, self.outward[0]),
            (self.runs, batch.runs, batch.run_starts, self.outward[1]),
        ):
            counts = torch.diff(starts).clamp(min=1)
            found = found + table(rows, starts[:-1]) / counts[:, None].sqrt() @ outward
        return found


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts, as `Evidence` has them: the states standardised, the runs by their rows, the script as a prior."""

    pooled: Tensor
    pieces: Tensor
    piece_starts: Tensor
    runs: Tensor
    run_starts: Tensor
    prior: Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """All texts, of which batches are taken."""

    pooled: np.ndarray
    pieces: np.ndarray
    piece_starts: np.ndarray
    runs: np.ndarray
    run_starts: np.ndarray
    prior: np.ndarray

    def batch(self, rows: np.ndarray, kept: float = 1.0, dice: np.random.Generator | None = None) -> Batch:
        """Those texts; with `dice`, of their pieces and runs that share, drawn anew."""
        pieces, piece_starts = _thinned(*taken(self.pieces, self.piece_starts, rows), kept, dice)
        runs, run_starts = _thinned(*taken(self.runs, self.run_starts, rows), kept, dice)
        arrays = (self.pooled[rows], pieces, piece_starts, runs, run_starts, self.prior[rows])
        return Batch(*map(torch.from_numpy, arrays))


def taken(values: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of some texts laid end to end, and where those of each begin; those of text i are `values[starts[i]:starts[i + 1]]`."""
    begins = np.concatenate([[0], np.cumsum(starts[rows + 1] - starts[rows])])
    places = np.arange(begins[-1]) + np.repeat(starts[rows] - begins[:-1], np.diff(begins))
    return values[places], begins


def _thinned(values: np.ndarray, starts: np.ndarray, kept: float, dice: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    there = np.ones(len(values), bool) if dice is None else dice.random(len(values), np.float32) < kept
    return values[there], np.concatenate([[0], np.cumsum(there)])[starts]


def prepared(of: Evidence, centre: np.ndarray, spread: np.ndarray, keys: np.ndarray, parts: Sequence[str]) -> Prepared:
    """Texts as torch takes them, without the parts that are not named."""
    nothing = np.zeros(0, np.int64), np.zeros_like(of.run_starts)
    runs, run_starts = loglinear.known_runs(keys, of.runs, of.run_starts) if "runs" in parts else nothing
    pieces, piece_starts = (of.pieces, of.piece_starts) if "pieces" in parts else nothing
    pooled = (of.pooled - centre) / spread * ("geometry" in parts)
    prior = loglinear.prior(of.shares) * ("script" in parts)
    return Prepared(pooled.astype(np.float32), pieces, piece_starts, runs, run_starts, prior.astype(np.float32))


def learnt(train: Labelled, classes: Sequence[str], vocabulary: int, layer: int, settings: Settings) -> Classifier:
    """The weights, from texts; without what tells known from unknown. By AdamW, the rate falling to nothing."""
    torch.manual_seed(settings.seed)
    centre, spread = train.evidence.pooled.mean(0), train.evidence.pooled.std(0) + 1e-6
    keys = chosen(train, len(classes), settings.runs) if "runs" in settings.parts else np.zeros(0, np.uint32)
    texts = prepared(train.evidence, centre, spread, keys, settings.parts)
    weights = Weights(len(centre), vocabulary, len(keys), len(classes), settings.rank)
    dice = np.random.default_rng(settings.seed)
    tables, others = [*weights.pieces.parameters(), *weights.runs.parameters()], [weights.outward, weights.geometry, weights.bias]
    groups = [{"params": tables, "weight_decay": settings.shrinking}, {"params": others, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, settings.rate, betas=(0.9, 0.99))
    steps = max(settings.least, round(settings.passes * len(train.wanted) / settings.batch))
    for step, rows in enumerate(_drawn(len(train.wanted), steps, settings)):
        for group in adam.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / 50) * (1 - step / steps)
        loss = F.cross_entropy(weights(texts.batch(rows, settings.kept, dice)), torch.from_numpy(train.wanted[rows]))
        adam.zero_grad()
        (loss + settings.decay * weights.geometry.square().sum() / len(classes)).backward()
        adam.step()
    means = np.stack([texts.pooled[train.wanted == kind].mean(0) for kind in range(len(classes))])
    with torch.no_grad():
        weights.outward.mul_(torch.tensor([part in settings.parts for part in ("pieces", "runs")])[:, None, None])
    return _stored(weights, classes, layer, centre, spread, means, keys, common(train, len(classes), settings.common))


def _drawn(size: int, steps: int, settings: Settings) -> Iterator[np.ndarray]:
    """Which texts each step sees: all, in some order, again and again."""
    dice = np.random.default_rng(settings.seed)
    order, at = dice.permutation(size), 0
    for _ in range(steps):
        if at + settings.batch > size:
            order, at = dice.permutation(size), 0
        yield order[at : at + settings.batch]
        at += settings.batch


def _stored(
    weights: Weights, classes: Sequence[str], layer: int, centre: np.ndarray, spread: np.ndarray, means: np.ndarray, keys: np.ndarray,
    seen: np.ndarray,
) -> Classifier:  # fmt: skip
    """The weights as they are computed with: rows in int8, their scales in what leads to the classes."""
    outward, tables = weights.outward.detach().numpy().copy(), []
    for i, table in enumerate((weights.pieces, weights.runs)):
        rows = table.weight.detach().numpy()
        scale = np.abs(rows).max(0) / INT8 + 1e-12
        tables.append(np.round(rows / scale).astype(np.int8))
        outward[i] *= scale[:, None]
    return Classifier(
        classes=tuple(classes), layer=layer, centre=centre, spread=spread, means=means.astype(np.float32),
        geometry=weights.geometry.detach().numpy(), bias=weights.bias.detach().numpy(), pieces=tables[0], keys=keys,
        runs=tables[1][: len(keys)], outward=outward, seen=seen, temperature=1.0,
        usual=np.zeros((len(classes), MEASURED), np.float32), known=np.zeros(SIGNALS + 1, np.float32), threshold=0.5, switch=5.0,
    )  # fmt: skip
