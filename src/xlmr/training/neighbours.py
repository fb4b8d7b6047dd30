"""The first layer's start: it reads a piece's neighbours by their place, and learns to predict from them before the others do anything.

Most of what can be guessed about a hidden piece stands beside it, but a model that starts at random needs millions of tokens until it
attends by place at all, and up to there it does no better than frequencies. So the first layer's heads are set to attend at fixed
offsets, by sinusoids in columns kept for them (turned as in Vaswani et al. 2017, section 3.5), and learn alone. What each of them
reads is known without computing attention, and every piece of a line can be asked at once. Its feed-forward part, three quarters of its
work, starts as the identity and so is left out: what learns is a log-bilinear model (Mnih and Hinton 2007), and a prediction costs a
twentieth of the whole model's. The layers above start as the identity too, and find a model that knows its neighbours (stacking, after
Gong et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
import torch
from torch import Tensor

from xlmr.config import Config
from xlmr.errors import BadRecipe
from xlmr.runtimes.torch import Encoder, Layer
from xlmr.training.corpus import Corpus
from xlmr.training.examples import Pieces, Sampler, pools_of, weights_of
from xlmr.training.objectives import contrast, draw_negatives, frequencies, sampled_softmax
from xlmr.training.recipes import Neighbours
from xlmr.training.static import PairSampler

OFFSETS = (-1, 1, None, -2, 2, None, -1, 1)
"""Where a head looks, in turn; None reads all places alike."""
PEAK = 12.0
"""Logit of the place a head looks at, where other places have about 0: enough against the many of a long sequence."""
LOUD = 2.0
"""The sinusoids' amplitude, in root mean squares of the pieces' columns."""
LOUDER = 0.2
"""The share of the pieces beside which the sinusoids may come to less than `PEAK`."""
JITTER = 0.02
"""Of the frequencies, so that the sum of the sinusoids does not repeat."""
LINEAR = 2.0
"""The head's bias at the start: about there GELU is a straight line, and the norm after it takes the constant away."""
LONGEST = 128


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines laid end to end, with `<s>` and `</s>`."""

    ids: np.ndarray
    """int64 `[tokens]`."""
    row: np.ndarray
    """int64 `[tokens]`: which line."""
    place: np.ndarray
    """int64 `[tokens]`: counted from 0 in each line."""
    lengths: np.ndarray
    """int64 `[lines]`."""

    @property
    def begins(self) -> np.ndarray:
        """Where each line begins, int64 `[lines]`."""
        begins: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return begins


def lay(lines: Sequence[np.ndarray], config: Config) -> Lines:
    """Lines given as tokens, each cut to what the model reads."""
    room = config.longest - 2
    whole = [np.concatenate([[config.bos_id], line[:room], [config.eos_id]]).astype(np.int64) for line in lines]
    lengths = np.array([len(ids) for ids in whole], np.int64)
    row = np.repeat(np.arange(len(whole)), lengths)
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Lines(np.concatenate(whole), row, place, lengths)


def offsets(config: Config) -> tuple[int | None, ...]:
    """Where each head of the first layer looks."""
    return tuple(OFFSETS[head % len(OFFSETS)] for head in range(config.heads))


def columns(config: Config, wanted: int) -> int:
    """How many of the table's last columns can be the positions': as many as wanted, but no more than a head has; always even."""
    return min(wanted, config.head_width, config.width // 4) // 2 * 2


@torch.no_grad()
def wire(encoder: Encoder, wanted: int, ids: np.ndarray) -> Tensor:
    """Positions in the table's last columns, the first layer's heads at their offsets, all else in the layers and the head as the identity.

    `ids` are some pieces of the text. Gives the sinusoids' frequencies, half as many as columns. Raises BadRecipe where there is no room
    for columns.
    """
    kept = columns(encoder.config, wanted)
    if not kept:
        raise BadRecipe(f"[neighbours] positions is {wanted} and a head {encoder.config.head_width} wide; "
                        "both must be 2 or more, and the width 8, or [neighbours] steps 0")  # fmt: skip
    angles = torch.linspace(0.5, kept / 2 - 0.5, kept // 2) / (kept / 2) * pi * (1 + JITTER * torch.randn(kept // 2))
    _place(encoder, angles)
    look(encoder, angles, ids)
    first, *others = _layers(encoder)
    width = encoder.config.width
    first.value.weight.normal_(std=width**-0.5)
    first.attention_out.weight.normal_(std=width**-0.5 / 2)
    first.shrink.weight.zero_()
    for layer in others:
        layer.attention_out.weight.zero_()
        layer.shrink.weight.zero_()
    if encoder.head is not None:
        encoder.head.transform.weight.copy_(torch.eye(width))
        encoder.head.transform.bias.fill_(LINEAR)
    return angles


def _place(encoder: Encoder, angles: Tensor) -> None:
    """Sinusoids for the positions, in columns where the pieces have nothing."""
    of, kept = encoder.embeddings, 2 * len(angles)
    for weight in (of.words.weight, of.types.weight, of.norm.bias):
        weight[..., -kept:] = 0
    loud = LOUD * of.words.weight[:, :-kept].square().mean().sqrt()
    turned = torch.arange(len(of.positions.weight))[:, None] * angles
    of.positions.weight.zero_()
    of.positions.weight[:, -kept:] = loud * torch.cat([turned.cos(), turned.sin()], 1)


@torch.no_grad()
def look(encoder: Encoder, angles: Tensor, ids: np.ndarray) -> None:
    """Queries and keys of the first layer: cos(a(i + offset - j)), summed over the angles, is highest at j = i + offset.

    How large they must be depends on what the norm leaves of the sinusoids beside a piece, so on the table as it is; `ids` are some pieces
    of the text.
    """
    first, config, count = _layers(encoder)[0], encoder.config, len(angles)
    size = config.head_width
    places = torch.from_numpy(np.arange(len(ids)) % config.longest + config.pad_id + 1)
    squares = encoder.embeddings(torch.from_numpy(ids), places)[:, -2 * count :].square().sum(1)
    scale = sqrt(PEAK * sqrt(size) / float(squares.quantile(LOUDER)))
    for head, offset in enumerate(offsets(config)):
        query, key = (part.weight[head * size : (head + 1) * size] for part in (first.query, first.key))
        key.zero_()  # a head without an offset keeps its query, and learns keys for it
        if offset is not None:
            query.zero_()
            key[: 2 * count, -2 * count :] = scale * torch.eye(2 * count)
            cos, sin = torch.diag((angles * offset).cos()), torch.diag((angles * offset).sin())
            query[: 2 * count, -2 * count :] = scale * torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])
    for part in (first.query, first.key):
        part.bias.zero_()


def predict(encoder: Encoder, lines: Lines, pieces: Pieces, hidden: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """What the model makes of each piece's place when that piece is hidden: transformed states `[picks, width]`, for the head's
    matrix, and the picks, int64 `[picks]`, all that are no special token.

    `hidden`, bool `[tokens]`, are hidden from all others too.
    """
    picks = np.flatnonzero(lines.ids >= pieces.first)
    positions = torch.from_numpy(lines.place + encoder.config.pad_id + 1)
    read = encoder.embeddings(torch.from_numpy(np.where(hidden, pieces.mask_id, lines.ids)), positions)
    own = encoder.embeddings(torch.full((len(picks),), pieces.mask_id), positions[picks])
    return encoder.transform(_states(encoder, lines, picks, read, own)), picks


def sentences(encoder: Encoder, lines: Lines, pieces: Pieces) -> Tensor:
    """Each line's mean state, `[lines, width]`, of its pieces that are no special token."""
    picks = np.flatnonzero(lines.ids >= pieces.first)
    read = encoder.embeddings(torch.from_numpy(lines.ids), torch.from_numpy(lines.place + encoder.config.pad_id + 1))
    states = _states(encoder, lines, picks, read, read[picks])
    row = lines.row[picks]
    summed = states.new_zeros(len(lines.lengths), states.shape[1]).index_add(0, torch.from_numpy(row), states)
    return summed / torch.from_numpy(np.bincount(row, minlength=len(lines.lengths))).clamp(min=1)[:, None]


def _states(encoder: Encoder, lines: Lines, picks: np.ndarray, read: Tensor, own: Tensor) -> Tensor:
    """The model's states at the picks, `[picks, width]`: there stands `own` `[picks, width]`, elsewhere `read` `[tokens, width]`."""
    first = _layers(encoder)[0]
    size = encoder.config.head_width
    values, inside = first.value(read).split(size, 1), first.value(own).split(size, 1)
    parts = [_at(values[head], lines, picks, offset) if offset is not None else _mean(values[head], lines, picks, inside[head])
             for head, offset in enumerate(offsets(encoder.config))]  # fmt: skip
    states = first.output_norm(first.attention_norm(own + first.attention_out(torch.cat(parts, 1))))
    for layer in _layers(encoder)[1:]:  # of which nothing is left yet but the norms
        states = layer.output_norm(layer.attention_norm(states))
    through: Tensor = states
    return through


def _at(values: Tensor, lines: Lines, picks: np.ndarray, offset: int) -> Tensor:
    """Values at an offset from each pick; beyond the line, at its edge."""
    place = np.clip(lines.place[picks] + offset, 0, lines.lengths[lines.row[picks]] - 1)
    return values[torch.from_numpy(lines.begins[lines.row[picks]] + place)]


def _mean(values: Tensor, lines: Lines, picks: np.ndarray, own: Tensor) -> Tensor:
    """The mean of each pick's line, `own` in place of the pick's value."""
    row = torch.from_numpy(lines.row)
    sums = values.new_zeros(len(lines.lengths), values.shape[1]).index_add(0, row, values)[row[picks]]
    return (sums - values[picks] + own) / torch.from_numpy(lines.lengths[lines.row[picks]])[:, None]


def learn(encoder: Encoder, corpus: Corpus, pieces: Pieces, recipe: Neighbours, seed: int) -> Iterator[float]:
    """Wire the encoder, then teach its table, first layer and head; one loss a step, nats per piece.

    Translations are contrasted beside, so that what the layer makes of a sentence goes on meaning the same in all languages.
    """
    config = encoder.config
    encoder.eval()  # no dropout: the wiring is measured, and what a head reads is exact
    torch.manual_seed(seed)
    some = np.random.default_rng(seed).choice(corpus.tokens, 10_000).astype(np.int64)
    angles = wire(encoder, recipe.positions, some)
    taught, wired = _taught(encoder), _wired(encoder, 2 * len(angles))
    optimiser = torch.optim.AdamW(taught, lr=recipe.rate, betas=(0.9, 0.999), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 100, (recipe.steps - step) / recipe.steps * 2))
    chances, pairs, draw = frequencies(corpus, config.vocabulary), PairSampler(corpus, seed), _drawn(corpus, recipe, config, seed)
    for step in range(recipe.steps):
        rng = np.random.default_rng([seed, step, 2])
        lines = lay(next(draw), config)
        states, picks = predict(encoder, lines, pieces, (rng.random(len(lines.ids)) < recipe.hidden) & (lines.ids >= pieces.first))
        negatives = draw_negatives(rng, chances, recipe.negatives, torch.device("cpu"))
        loss = sampled_softmax(states, torch.from_numpy(lines.ids[picks]), *encoder.output_table(), negatives) / max(1, len(picks))
        predicted = loss.item()
        if step % recipe.every == 0 and recipe.contrast and not pairs.none:
            sides = [lay([corpus.line(i)[:LONGEST] for i in side], config) for side in pairs.draw(step, recipe.pairs)]
            vectors = [sentences(encoder, side, pieces) for side in sides]
            loss = loss + recipe.contrast * contrast(vectors[0], vectors[1], recipe.temperature)
        loss.backward()
        for gradient in wired():
            gradient.zero_()
        torch.nn.utils.clip_grad_norm_(taught, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        yield predicted
    look(encoder, angles, some)  # again: the table has grown
    encoder.zero_grad()
    encoder.train()


def _layers(encoder: Encoder) -> list[Layer]:
    return [layer for layer in encoder.layers if isinstance(layer, Layer)]


def _taught(encoder: Encoder) -> list[torch.nn.Parameter]:
    """All that `predict` uses but the wiring: what decides where a head looks."""
    apart = ("embeddings.positions", *(f"layers.0.{part}" for part in ("query", "key", "grow", "shrink")))
    return [of for name, of in encoder.named_parameters()
            if not name.startswith(apart) and (not name.startswith("layers.") or name.startswith("layers.0."))]  # fmt: skip


def _wired(encoder: Encoder, kept: int) -> Callable[[], list[Tensor]]:
    """Gives the gradients of the positions' columns, which nothing but positions may be in."""
    of = encoder.embeddings
    parts = (of.words.weight, of.types.weight, of.norm.weight, of.norm.bias)
    return lambda: [part.grad[..., -kept:] for part in parts if part.grad is not None]


def _drawn(corpus: Corpus, recipe: Neighbours, config: Config, seed: int) -> Iterator[list[np.ndarray]]:
    """Lines of running text and, joined, lines and their translations, about `batch` tokens a step; languages are sampled as in the run."""
    pools = pools_of(corpus)[0]
    weights, sampler, pairs = weights_of(pools, corpus, recipe.exponent), Sampler(pools, seed), PairSampler(corpus, seed + 1)
    between = np.array([config.eos_id] * 2, corpus.tokens.dtype)
    for step in range(recipe.steps):
        rng, lines, room = np.random.default_rng([seed, step, 3]), [], recipe.batch
        for first, second in rng.permutation(np.stack(pairs.draw(step, recipe.pairs), 1)):  # they come sorted by group
            if room > recipe.batch * (1 - recipe.parallel):
                lines.append(np.concatenate([corpus.line(first)[: LONGEST // 2], between, corpus.line(second)[: LONGEST // 2]]))
                room -= len(lines[-1]) + 2
        while room > 0:
            lines.append(corpus.line(sampler.next(int(np.searchsorted(weights, rng.random(), side="right"))))[:LONGEST])
            room -= len(lines[-1]) + 2
        yield lines
