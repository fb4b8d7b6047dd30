"""`fit calibration`: vectors in which translations lie near each other, learnt from translated texts.

First the table, by contrast (van den Oord et al. 2018, "Representation learning with contrastive predictive coding", equation 4): in a
batch of pairs each text's translation is to be nearer than all others'. Then, with that table or without, a projection of the states of
each layer. What finds the most translations of texts held out is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from xlmr import batching, metrics
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.evaluation import questions
from xlmr.heads.calibration import Calibration, Projection, Table
from xlmr.training import static, translations
from xlmr.training.corpus import Corpus
from xlmr.training.loop import follow, often
from xlmr.training.objectives import contrast
from xlmr.training.translations import Batches, Texts

INT8 = 127
FLAT = 0.01
"""Share of the mean spread of a state's numbers: one that spreads less says nothing, but would weigh more than float16 holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a calibration is learnt."""

    size: int = 96
    """Numbers of a vector."""
    sequences: int = 56_000
    """Sequences of pieces that have a row."""
    steps: int = 8_000
    batch: int = 1_024
    """Pairs of a step."""
    rate: float = 8.0
    """Of the table, where a row of the start has about length 10."""
    temperature: float = 0.05
    exponent: float = 0.5
    """Languages are drawn by their number of texts to this power."""
    english: float = 0.8
    """Share of the pairs with English, where there is some."""
    coarse: float = 0.4
    """A step of int8, in root mean squares of the table: numbers as few as that pack well, and lose nothing that counts."""
    looked: int = 40_000
    """Pairs whose states are looked at."""
    layers: int = 4
    """How many are tried, evenly spaced from the embeddings to the last."""
    projected: int = 300
    """Steps of a projection."""
    worth: float = 0.01
    """Share of the translations that a pass of the encoder must find beyond what the table finds without it."""
    asked: int = 100
    """Pairs of each language held out that are asked about, at most."""
    project_rate: float = 1e-3
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Looked:
    """Texts as a calibration sees them."""

    rows: Tensor
    """float32 `[texts, size]`: what the table makes of each."""
    states: np.ndarray
    """float16 `[layers, texts, width]`: the means of its pieces' states."""


def fit(encoder: Encoder, train: Corpus, domain: np.ndarray, heldout: Corpus, settings: Settings) -> tuple[Calibration, dict[str, Any]]:
    """A calibration, and what was measured of it on `heldout`; `domain` is that of each group of `train`.

    The same texts, encoder and settings give the same calibration on the same machine. Raises BadInput where no text has a translation.
    """
    vocabulary = encoder.config.vocabulary
    keys = translations.choose(train, settings.sequences, questions.look_at(encoder.tokenizer).begins)
    texts = translations.look_at(train, domain, keys, vocabulary)
    batches = _batches(texts, train, settings)
    asked = pairs_of(heldout, settings.asked)
    if batches.count < 2 or not asked:
        raise BadInput(
            f"found {batches.count:,} texts with a translation to learn from, and {len(asked):,} languages with two translations into "
            "English to ask about; wanted hundreds of texts, and of some languages forty"
        )
    say(f"{batches.count:,} texts with translations, {len(keys):,} sequences of pieces")
    table = quantised(_table(batches, train, vocabulary, len(keys), settings), keys, vocabulary, settings.coarse)
    layers = sorted({round(at) for at in np.linspace(0, encoder.config.layers, settings.layers)})
    once, place = np.unique(np.concatenate([of for sides in asked.values() for of in sides]), return_inverse=True)
    held = look(encoder, heldout, once, table, layers)
    tried = {told(of): (score(of, held, layers, asked, place), of) for of in candidates(encoder, train, texts, table, layers, settings)}
    for name, (found, _) in tried.items():
        say(f"{name}: {100 * found:.1f} % of held-out translations are found")
    best = cheapest({name: found for name, (found, _) in tried.items()}, settings.worth)
    measured = {name: found for name, (found, _) in tried.items()}
    return tried[best][1], {"pairs": len(place) // 2, "found": measured[best], "tried": measured}


def cheapest(scores: Mapping[str, float], worth: float) -> str:
    """The best; of those that are as good but for `worth`, the first: the table alone needs no pass of the encoder."""
    least = max(scores.values()) - worth
    return next(name for name, score in scores.items() if score >= least)


def told(of: Calibration) -> str:
    """Which parts it has, for people."""
    parts = ["pieces"] * (of.table is not None) + ([f"layer {of.states.layer}"] if of.states is not None else [])
    return " and ".join(parts)


def _batches(texts: Texts, corpus: Corpus, settings: Settings, seed: int = 0) -> Batches:
    pivot = corpus.languages.index(translations.PIVOT) if translations.PIVOT in corpus.languages else -1
    return Batches(texts, pivot, exponent=settings.exponent, english=settings.english, seed=settings.seed + seed)


# -- the table --


def _table(batches: Batches, corpus: Corpus, vocabulary: int, sequences: int, settings: Settings) -> Tensor:
    """Rows of pieces and sequences, float32 `[vocabulary + sequences, size]`."""
    start = static.decompose(corpus, vocabulary, settings.size, 0.5, settings.seed) / static.SPREAD
    rows = torch.cat([torch.from_numpy(start.astype(np.float32)), torch.zeros(sequences, settings.size)])
    seen = torch.full((len(rows),), 1e-6)
    rates = (settings.rate * (1 - step / settings.steps) for step in range(settings.steps))
    follow((_step(rows, seen, batches, settings, rate) for rate in rates), "pieces", settings.steps)
    return rows


def _step(rows: Tensor, seen: Tensor, batches: Batches, settings: Settings, rate: float) -> float:
    """One step of AdaGrad (Duchi et al. 2011), one rate for each row; only the rows of the batch are touched."""
    taken = [batches.texts.taken(side) for side in batches.draw(settings.batch)]
    picked = torch.from_numpy(np.concatenate([of for of, _ in taken]))
    starts = torch.from_numpy(np.concatenate([taken[0][1], taken[1][1] + len(taken[0][0])]))
    vectors = F.embedding_bag(picked, rows, starts, mode="sum").requires_grad_()
    ours, theirs = vectors.chunk(2)
    loss = contrast(ours, theirs, settings.temperature)
    (gradient,) = torch.autograd.grad(loss, vectors)
    owner = torch.repeat_interleave(torch.diff(starts, append=torch.tensor([len(picked)])))
    touched, place = picked.unique(return_inverse=True)
    order = place.argsort()
    begins = torch.searchsorted(place[order], torch.arange(len(touched)))
    sums = F.embedding_bag(owner[order], gradient, begins, mode="sum")
    seen[touched] += sums.square().mean(1)
    rows[touched] -= rate * sums / seen[touched].sqrt()[:, None]
    return float(loss.detach())


def quantised(rows: Tensor, keys: np.ndarray, vocabulary: int, coarse: float) -> Table:
    """The table as it is stored."""
    scale = coarse * float(rows.square().mean().sqrt()) or 1.0  # of zeros any
    whole = (rows / scale).round().clamp(-INT8, INT8).to(torch.int8).numpy()
    return Table(whole[:vocabulary].copy(), keys, whole[vocabulary:].copy(), scale)


# -- the projections --


def candidates(
    encoder: Encoder, corpus: Corpus, texts: Texts, table: Table, layers: Sequence[int], settings: Settings
) -> Iterator[Calibration]:
    """The table alone; the states of each layer beside it; and alone, where there are too few texts to learn a table from."""
    yield Calibration(settings.size, table, None)
    batches = _batches(texts, corpus, settings, seed=1)
    count = min(settings.looked, len(texts.lines))
    drawn = [np.stack(batches.draw(min(settings.batch, count))) for _ in range(-(-count // settings.batch))]
    once, pairs = np.unique(np.concatenate(drawn, axis=1), return_inverse=True)
    seen = look(encoder, corpus, texts.lines[once], table, layers)
    for held, rows in ((table, seen.rows), (None, torch.zeros_like(seen.rows))):
        for states, layer in zip(seen.states, layers, strict=True):
            of = _projection(torch.from_numpy(states.astype(np.float32)), rows, pairs.reshape(2, -1), settings)
            yield Calibration(settings.size, held, replace(of, layer=layer))


def _projection(states: Tensor, rows: Tensor, pairs: np.ndarray, settings: Settings) -> Projection:
    """What is to be added to `rows` `[texts, size]` from `states` `[texts, width]`, so that those of a pair are near."""
    torch.manual_seed(settings.seed)
    centre, spread = states.mean(0), states.std(0)
    spread[spread <= FLAT * spread.mean()] = torch.inf
    x = (states - centre) / spread
    length = float(rows.norm(dim=1).mean()) or 1.0
    weight = (torch.randn(x.shape[1], settings.size) * length * (x.shape[1] * settings.size) ** -0.5).requires_grad_()
    adam = torch.optim.Adam([weight], settings.project_rate * length)
    dice = np.random.default_rng(settings.seed)
    for step in range(settings.projected):
        adam.param_groups[0]["lr"] = settings.project_rate * length * (1 - step / settings.projected)
        ours, theirs = pairs[:, dice.choice(pairs.shape[1], min(settings.batch, pairs.shape[1]), replace=False)]
        adam.zero_grad()
        contrast(rows[ours] + x[ours] @ weight, rows[theirs] + x[theirs] @ weight, settings.temperature).backward()
        adam.step()
    return Projection(0, centre.numpy(), (weight.detach() / spread[:, None]).numpy())


def look(encoder: Encoder, corpus: Corpus, lines: np.ndarray, table: Table, layers: Sequence[int]) -> Looked:
    """What there is of some lines, in their order."""
    vocabulary = encoder.config.vocabulary
    rows, counts = translations.features(corpus, lines, table.keys, vocabulary)
    held = torch.from_numpy(np.concatenate([table.pieces, table.sequences])).float() * table.scale
    sums = F.embedding_bag(torch.from_numpy(rows.astype(np.int64)), held, torch.from_numpy(np.cumsum(counts) - counts), mode="sum")
    texts = [corpus.line(line) for line in lines]
    return Looked(sums / torch.tensor([[max(1, len(of))] for of in texts]), pooled(encoder, texts, layers))


def pooled(encoder: Encoder, texts: Sequence[np.ndarray], layers: Sequence[int]) -> np.ndarray:
    """The mean of each text's states, of its pieces alone, float16 `[layers, texts, width]`."""
    of, longest = encoder.config, encoder.config.longest - 2
    found = np.zeros((len(layers), len(texts), of.width), np.float16)
    rows = [[of.bos_id, *text[:longest].tolist(), of.eos_id] for text in texts]
    with tqdm(total=len(rows), desc="states", mininterval=often()) as bar:
        for batch in batching.group([len(row) for row in rows], batching.BUDGET):
            states = encoder.runtime.hidden_states(encoders.pad([rows[i] for i in batch], of.pad_id), layers)
            for layer, after in enumerate(states):
                for i, state in zip(batch, after, strict=True):
                    found[layer, i] = state[1 : len(rows[i]) - 1].mean(0)
            bar.update(len(batch))
    return found


# -- what is found of texts held out --


def pairs_of(corpus: Corpus, most: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By language, lines that have an English translation, at most so many, and those translations; of a language at least two."""
    if translations.PIVOT not in corpus.languages:
        return {}
    pivot = corpus.languages.index(translations.PIVOT)
    lengths = np.diff(corpus.starts)
    lines = np.flatnonzero((corpus.group >= 0) & (lengths > 0) & (lengths <= translations.TOKENS) & ~corpus.phrase)
    english = np.full(int(corpus.group.max(initial=-1)) + 1, -1)
    english[corpus.group[lines[corpus.language[lines] == pivot]]] = lines[corpus.language[lines] == pivot]
    lines = lines[(corpus.language[lines] != pivot) & (english[corpus.group[lines]] >= 0)]
    sides = {code: _spread(lines[corpus.language[lines] == i], most) for i, code in enumerate(corpus.languages)}
    return {code: (ours, english[corpus.group[ours]]) for code, ours in sides.items() if len(ours) > 1}


def _spread(lines: np.ndarray, most: int) -> np.ndarray:
    """So many of them, evenly spaced."""
    return lines[np.unique(np.linspace(0, len(lines) - 1, min(most, len(lines))).round().astype(int))] if len(lines) else lines


def score(
    of: Calibration, held: Looked, layers: Sequence[int], asked: dict[str, tuple[np.ndarray, np.ndarray]], place: np.ndarray
) -> float:
    """Share of the translations that are found, both ways, the mean of the languages; `place` finds the asked among the held."""
    vectors = held.rows.numpy() if of.table else np.zeros((len(held.rows), of.size), np.float32)
    if of.states:
        vectors = vectors + (held.states[layers.index(of.states.layer)].astype(np.float32) - of.states.centre) @ of.states.weight
    found, at = [], 0
    for ours, theirs in asked.values():
        sides = np.split(vectors[place[at : at + 2 * len(ours)]], [len(ours)])
        found.append(float(np.mean(metrics.retrieval(*sides))))
        at += len(ours) + len(theirs)
    return float(np.mean(found))


def say(line: str) -> None:
    """A line of progress."""
    tqdm.write(line, file=sys.stderr)
