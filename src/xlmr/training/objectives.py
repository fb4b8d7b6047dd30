"""What is learnt: masked pieces (MLM, TLM), that translations lie together (contrast), and what a teacher says of a text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional as F

from xlmr.config import Config
from xlmr.runtimes.torch import Encoder, Packed, pack
from xlmr.training.corpus import Corpus
from xlmr.training.examples import Batch


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch as tensors."""

    packed: Packed
    picks: Tensor
    """int64 `[picks]`: packed tokens to be predicted."""
    targets: Tensor
    """int64 `[picks]`."""
    pairs: Tensor
    """int64 `[2, pairs]`: packed rows that are translations of each other."""
    all_pairs: int
    """Of all processes: each has every so many-th."""
    begins: Tensor
    """int64 `[rows]`: the packed tokens that are `<s>`."""
    told: Tensor | None = None
    """What a teacher says of each packed row, `[rows, size]`."""


@dataclass(frozen=True, slots=True)
class Negatives:
    """Pieces that predictions are compared with (sampled softmax; Jean et al. 2015, section 3)."""

    ids: Tensor
    """int64 `[negatives]`, ascending, each once."""
    log_chance: Tensor
    """`[vocabulary]`: log of each piece's chance to be among them."""


def inputs(batch: Batch, config: Config, device: torch.device, *, all_pairs: int | None = None) -> Inputs:
    """A batch, packed and on its device; of several processes' pairs `all_pairs` together, the batch's own if not said."""
    packed, order = pack(batch.ids, config)
    targets = np.concatenate([np.empty(0, np.int64), *(batch.targets[i] for i in order)])
    picks = np.flatnonzero(targets >= 0)
    place = np.argsort(order)
    pairs = place[: 2 * batch.pairs].reshape(-1, 2).T
    begins = np.cumsum([0, *(len(batch.ids[i]) for i in order)])[:-1]
    at, wanted, paired, first = (torch.from_numpy(np.ascontiguousarray(of)).to(device) for of in (picks, targets[picks], pairs, begins))
    told = None if batch.told is None else torch.from_numpy(batch.told[order]).to(device)
    return Inputs(packed.to(device), at, wanted, paired, batch.pairs if all_pairs is None else all_pairs, first, told)


def frequencies(corpus: Corpus, size: int) -> np.ndarray:
    """How likely each piece is to be a negative, float64 `[size]`: its count to the power of 0.75 (Mikolov et al. 2013, section 2.2)."""
    weights = (np.bincount(corpus.tokens, minlength=size) + 1.0) ** 0.75
    shares: np.ndarray = weights / weights.sum()
    return shares


def draw_negatives(rng: np.random.Generator, chances: np.ndarray, count: int, device: torch.device) -> Negatives:
    """`count` draws with replacement from `chances` `[vocabulary]`, each piece kept once."""
    ids = np.unique(rng.choice(len(chances), count, p=chances))
    included = -np.expm1(count * np.log1p(-np.minimum(chances, 0.999)))
    log_chance = np.log(np.maximum(included, 1e-12)).astype(np.float32)
    return Negatives(torch.from_numpy(ids).to(device), torch.from_numpy(log_chance).to(device))


class Losses(nn.Module):
    """An encoder with its losses, as one module, so that data-parallel training sees all of the work in `forward`.

    What is contrasted are the mean states after `layer` of the pieces that are not to be predicted. Of the last layer nothing else reads
    those, so they are free to mean the same in all languages, whatever the predictions need. A translation is also told from the last
    `memory` vectors of earlier steps (Wang et al. 2020, cross-batch memory), which are part of the module's state; in a few cases of a
    hundred its own text is among them.
    """

    memory: Tensor
    remembered: Tensor

    def __init__(self, encoder: Encoder, temperature: float, layer: int = -1, memory: int = 0, told: int = 0) -> None:
        """`told` is how many numbers a teacher's vectors have; 0: there is none."""
        super().__init__()
        self.encoder, self.temperature, self.layer = encoder, temperature, layer
        self.says = nn.Linear(encoder.config.width, told) if told else None
        """From the last state of `<s>` to what the teacher says. It is learnt, and left behind when the model is done."""
        self.register_buffer("memory", torch.zeros(memory, encoder.config.width))
        self.register_buffer("remembered", torch.zeros((), dtype=torch.int64))

    def forward(self, given: Inputs, negatives: Negatives | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The sum over picks of the cross-entropy in nats, the mean contrastive loss over all processes' pairs, and the sum over rows of
        how far the cosine of what is said and what was told is from 1."""
        states, contrasted = self.encoder(given.packed, (-1, self.layer))
        transformed = self.encoder.transform(states.index_select(0, given.picks))
        matrix, bias = self.encoder.output_table()
        if negatives is None:
            masked = full_softmax(transformed, given.targets, matrix, bias)
        else:
            masked = sampled_softmax(transformed, given.targets, matrix, bias, negatives)
        hidden = torch.zeros_like(given.packed.ids, dtype=torch.bool).index_fill(0, given.picks, True)
        contrast = self._contrast(pool(contrasted, given.packed, hidden), given)
        return masked, contrast, self._lesson(states.index_select(0, given.begins), given)

    def _lesson(self, states: Tensor, given: Inputs) -> Tensor:
        if self.says is None or given.told is None:
            return states.sum() * 0
        return (1 - F.cosine_similarity(self.says(states).float(), given.told, dim=-1)).sum()

    def _contrast(self, vectors: Tensor, given: Inputs) -> Tensor:
        a, b = (_everywhere(vectors[rows], given.all_pairs) for rows in given.pairs)
        others = self.memory[: self.remembered].clone()
        if self.training and len(self.memory):
            self._remember(F.normalize(torch.cat([b, a]).detach().float(), dim=-1))
        return contrast(a, b, self.temperature, others)

    def _remember(self, vectors: Tensor) -> None:
        """Put the newest first; the oldest fall out."""
        vectors = vectors.nan_to_num()  # a step that is skipped must not spoil the next ones
        kept = torch.cat([vectors, self.memory[: self.remembered]])[: len(self.memory)]
        self.memory[: len(kept)] = kept
        self.remembered.fill_(len(kept))


def full_softmax(x: Tensor, targets: Tensor, matrix: Tensor, bias: Tensor, block: int = 1_024) -> Tensor:
    """Summed cross-entropy `[]` of `x` `[picks, width]` over all pieces, in blocks so that memory stays small."""
    losses = [
        F.cross_entropy(F.linear(part, matrix, bias).float(), wanted, reduction="sum")
        for part, wanted in zip(x.split(block), targets.split(block), strict=True)
    ]
    return torch.stack(losses).sum() if losses else x.sum() * 0


def sampled_softmax(x: Tensor, targets: Tensor, matrix: Tensor, bias: Tensor, negatives: Negatives) -> Tensor:
    """Summed cross-entropy `[]` against the negatives alone, each score less the log of its piece's chance to be drawn."""
    shift = bias - negatives.log_chance
    scores = F.linear(x, matrix.index_select(0, negatives.ids), shift[negatives.ids]).float()
    place = torch.searchsorted(negatives.ids, targets).clamp(max=len(negatives.ids) - 1)
    among = negatives.ids[place] == targets  # drawn too: it is counted once, and one number above and below, in half precision too
    alone = ((x * matrix.index_select(0, targets)).sum(-1) + shift[targets]).float()
    own = torch.where(among, scores.gather(1, place[:, None])[:, 0], alone)
    others = scores.logsumexp(1)
    return (torch.where(among, others, torch.logaddexp(others, own)) - own).sum()


def pool(states: Tensor, packed: Packed, hidden: Tensor | None = None) -> Tensor:
    """Mean of each sequence's states, `[rows, width]`, `<s>` and `</s>` included, the `hidden` ones not."""
    weights = states.new_ones(len(states)) if hidden is None else (~hidden).to(states.dtype)
    summed = states.new_zeros(packed.rows, states.shape[-1]).index_add_(0, packed.row, states * weights[:, None])
    return summed / weights.new_zeros(packed.rows).index_add_(0, packed.row, weights).clamp(min=1)[:, None]


def contrast(a: Tensor, b: Tensor, temperature: float, others: Tensor | None = None) -> Tensor:
    """InfoNCE both ways (van den Oord et al. 2018, equation 4): each vector's translation among all in the batch, and `others`.

    `a` and `b` are `[pairs, width]`, `others` `[vectors, width]`, which are of length 1. Worked in float32 also where autocast is on:
    bfloat16 has cosines to two digits, and the temperature makes the rest of them large.
    """
    if not len(a):
        return a.sum() * 0
    wanted = torch.arange(len(a), device=a.device)
    with torch.autocast(a.device.type, enabled=False):
        a, b = (F.normalize(of.float(), dim=-1) for of in (a, b))
        more = a[:0] if others is None else others
        both = [F.cross_entropy(one @ torch.cat([other, more]).T / temperature, wanted) for one, other in ((a, b), (b, a))]
    return torch.stack(both).mean()


def _everywhere(x: Tensor, count: int) -> Tensor:
    """All processes' rows, with gradients, in the order they were dealt out: `count` in all, one process after another taking one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    most = -(-count // torch.distributed.get_world_size())
    padded = torch.cat([x, x.new_zeros(most - len(x), x.shape[1])])
    return torch.stack(all_gather(padded), 1).flatten(0, 1)[:count]
