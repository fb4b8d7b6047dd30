"""The embedding table's start: pieces that occur in the same sentences, in whatever language, begin as neighbours.

First a truncated SVD of the matrix pieces x sentence ids (latent semantic analysis across languages; Landauer and Littman 1990),
then contrast on the mean of a sentence's embeddings against its translation's. What this makes alike, predicting pieces must tell
apart: so the table's last columns say in which languages a piece is common.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from xlmr.config import Config
from xlmr.runtimes.torch import Encoder, pack
from xlmr.training.corpus import Corpus
from xlmr.training.objectives import contrast, pool
from xlmr.training.recipes import Static

RARE = 2e-6  # a piece's share of a language that counts as none
SPREAD = 0.05  # root mean square of the table's numbers: above the positions', so that the piece decides what a state is about


def decompose(corpus: Corpus, size: int, width: int, power: float, seed: int) -> np.ndarray:
    """Piece vectors, float32 `[size, width]`, from the corpus's parallel groups."""
    pieces, ids, counts = _incidence(corpus, size)
    rows = np.bincount(pieces, minlength=size)
    columns = ids.max() + 1
    values = np.log1p(counts) * np.log(columns / np.maximum(rows, 1))[pieces]
    norms = np.sqrt(np.bincount(ids, values**2, minlength=columns))
    values /= np.maximum(norms, 1e-9)[ids]
    where, what = torch.from_numpy(np.stack([pieces, ids])), torch.from_numpy(values.astype(np.float32))
    matrix = torch.sparse_coo_tensor(where, what, (size, int(columns)), check_invariants=True, is_coalesced=True)
    torch.manual_seed(seed)
    # Halko et al. 2011, algorithm 5.1, as PyTorch has it; the first direction is how common a piece is, so it is left out.
    left, singular, _ = torch.svd_lowrank(matrix, q=min(width + 33, *matrix.shape), niter=3)
    vectors: np.ndarray = (left * singular**power)[:, 1 : width + 1].numpy()
    vectors = np.pad(vectors, ((0, 0), (0, width - vectors.shape[1])))  # of few texts there are fewer directions
    vectors *= SPREAD / max(float(np.sqrt(np.mean(vectors[rows > 0] ** 2))), 1e-12)  # zeros where all sentences have the same pieces
    return vectors


def align(encoder: Encoder, corpus: Corpus, recipe: Static, seed: int) -> Iterator[float]:
    """Learn the encoder's embeddings by contrast, one loss a step; its layers stay as they are."""
    parameters = [of for name, of in encoder.embeddings.named_parameters() if not name.startswith("positions")]
    optimiser = torch.optim.Adam(parameters, lr=recipe.rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / recipe.steps)
    pairs = PairSampler(corpus, seed)
    for step in range(recipe.steps):
        vectors = [_pooled(encoder, [corpus.line(i) for i in side]) for side in pairs.draw(step, recipe.pairs)]
        loss = contrast(vectors[0], vectors[1], recipe.temperature)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        yield loss.item()
    encoder.zero_grad()


class PairSampler:
    """Pairs of translated lines from distinct groups; a language is drawn by the root of its number of lines."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.seed = seed
        lengths = np.diff(corpus.starts)
        lines = np.flatnonzero((corpus.group >= 0) & (lengths > 0) & (lengths < 200))
        order = np.argsort(corpus.group[lines], kind="stable")
        self.lines = lines[order]
        groups, self.begins, sizes = np.unique(corpus.group[self.lines], return_index=True, return_counts=True)
        self.sizes = sizes
        self.group = np.repeat(np.arange(len(groups)), sizes)
        per_language = np.bincount(corpus.language[self.lines], minlength=len(corpus.languages))
        weights = np.where(sizes[self.group] > 1, per_language[corpus.language[self.lines]] ** -0.5, 0.0)
        self.none = not weights.any()
        sums = np.cumsum(weights)
        self.cumulated = sums / max(sums[-1] if len(sums) else 0.0, 1e-9)  # ends with 1 whatever the rounding, so what is drawn is below it

    def draw(self, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of lines and of their translations, at most `count`, no group twice; none where no line has a translation."""
        if self.none:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rng = np.random.default_rng([self.seed, step])
        first = np.searchsorted(self.cumulated, rng.random(count), side="right")
        first = first[np.unique(self.group[first], return_index=True)[1]]
        group = self.group[first]
        shift = rng.integers(1, self.sizes[group])
        second = self.begins[group] + (first - self.begins[group] + shift) % self.sizes[group]
        return self.lines[first], self.lines[second]


def start(corpus: Corpus, config: Config, encoder: Encoder, recipe: Static, seed: int) -> Iterator[float]:
    """Set the encoder's embeddings as the recipe says; yields the losses of the contrastive part. Without translations they stay random."""
    if recipe.start == "random" or PairSampler(corpus, seed).none:
        return
    with torch.no_grad():
        vectors = decompose(corpus, config.vocabulary, config.width, recipe.power, seed)
        encoder.embeddings.words.weight.copy_(torch.from_numpy(vectors))
        # A share of every token that is the same for all: pieces of small norm fade into it, and so count for less in a mean.
        encoder.embeddings.types.weight.normal_(std=SPREAD)
        encoder.embeddings.positions.weight.normal_(std=SPREAD / 5)
    if recipe.start == "contrast":
        yield from align(encoder, corpus, recipe, seed)


@torch.no_grad()
def tell_languages(encoder: Encoder, corpus: Corpus, columns: int, spare: int = 0) -> None:
    """Turn the table to its principal directions and give its last columns but `spare` to the languages.

    Those columns hold the least. A state that points along them raises the pieces of a language: the scores of a language's own unigrams
    are within reach of the first steps, instead of some millions of tokens away. The `spare` ones become 0.
    """
    of = encoder.embeddings
    features = torch.from_numpy(languages_of(corpus, len(of.words.weight))[:, : min(columns, of.words.embedding_dim // 2)])
    if len(corpus.languages) < 2:
        features = features[:, :0]  # there is nothing to tell
    used = torch.from_numpy(np.bincount(corpus.tokens, minlength=len(features)) > 0)
    table = of.words.weight[used].double()
    spread = of.words.weight[used].square().mean().sqrt()
    turn = torch.linalg.eigh(table.T @ table)[1].flip(1).to(of.words.weight.dtype)
    given, last = features.shape[1], of.words.embedding_dim - spare
    for weight in (of.words.weight, of.positions.weight, of.types.weight, of.norm.bias):
        weight.copy_(weight @ turn)
        weight[..., last - given :] = 0
    of.norm.weight.fill_(of.norm.weight.mean())
    of.words.weight[:, last - given : last] = features * spread / features[used].square().mean().sqrt()


def languages_of(corpus: Corpus, size: int) -> np.ndarray:
    """Which languages a piece is common in, float32 `[size, languages]`, principal directions first.

    They are those of log p(piece | language) less its mean over the languages, where all languages weigh alike.
    """
    count = len(corpus.languages)
    language = np.repeat(corpus.language, np.diff(corpus.starts)).astype(np.int64)
    counts = np.bincount(corpus.tokens * np.int64(count) + language, minlength=size * count).reshape(size, count)
    shares = np.log(counts / np.maximum(counts.sum(0), 1) + RARE)
    told = (shares - np.log(np.exp(shares).mean(1, keepdims=True))) * (counts.sum(1, keepdims=True) > 0)
    left, singular, _ = np.linalg.svd(told, full_matrices=False)
    features: np.ndarray = (left * singular**0.5).astype(np.float32)
    return features


def _incidence(corpus: Corpus, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which piece occurs in which group, and how often: three arrays `[entries]`."""
    group = np.repeat(corpus.group, np.diff(corpus.starts))
    inside = group >= 0
    keys, counts = np.unique(corpus.tokens[inside].astype(np.int64) * (int(corpus.group.max()) + 1) + group[inside], return_counts=True)
    pieces, ids = np.divmod(keys, int(corpus.group.max()) + 1)
    return pieces, ids, counts.astype(np.float64)


def _pooled(encoder: Encoder, lines: list[np.ndarray]) -> torch.Tensor:
    """The mean of each line's embeddings, `[lines, width]`."""
    config = encoder.config
    packed, order = pack([np.concatenate([[config.bos_id], line[: config.longest - 2], [config.eos_id]]) for line in lines], config)
    (states,) = encoder(packed.to(encoder.embeddings.words.weight.device), layers=(0,))
    return pool(states, packed)[np.argsort(order)]
