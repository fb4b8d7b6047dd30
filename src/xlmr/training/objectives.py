"""What is learnt: masked pieces (MLM, TLM), and that translations lie together (contrast)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional as F

from xlmr.config import Config
from xlmr.runtimes.torch import Encoder, Packed, pack
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


@dataclass(frozen=True, slots=True)
class Negatives:
    """Pieces that predictions are compared with (sampled softmax; Jean et al. 2015, section 3)."""

    ids: Tensor
    """int64 `[negatives]`, each once."""
    log_chance: Tensor
    """`[vocabulary]`: log of each piece's chance to be among them."""


def inputs(batch: Batch, config: Config, device: torch.device) -> Inputs:
    """A batch, packed and on its device."""
    packed, order = pack(batch.ids, config)
    targets = np.concatenate([batch.targets[i] for i in order])
    picks = np.flatnonzero(targets >= 0)
    place = np.argsort(order)
    pairs = place[: 2 * batch.pairs].reshape(-1, 2).T
    tensors = (torch.from_numpy(np.ascontiguousarray(of)).to(device) for of in (picks, targets[picks], pairs))
    return Inputs(packed.to(device), *tensors)


def draw_negatives(rng: np.random.Generator, chances: np.ndarray, count: int, device: torch.device) -> Negatives:
    """`count` draws with replacement from `chances` `[vocabulary]`, each piece kept once."""
    ids = np.unique(rng.choice(len(chances), count, p=chances))
    included = -np.expm1(count * np.log1p(-np.minimum(chances, 0.999)))
    log_chance = np.log(np.maximum(included, 1e-12)).astype(np.float32)
    return Negatives(torch.from_numpy(ids).to(device), torch.from_numpy(log_chance).to(device))


class Losses(nn.Module):
    """An encoder with its losses, as one module, so that data-parallel training sees all of the work in `forward`."""

    def __init__(self, encoder: Encoder, temperature: float, layer: int = -1) -> None:
        super().__init__()
        self.encoder, self.temperature, self.layer = encoder, temperature, layer

    def forward(self, given: Inputs, negatives: Negatives | None = None) -> tuple[Tensor, Tensor]:
        """The sum over picks of the cross-entropy in nats, and the mean contrastive loss over all processes' pairs."""
        states, contrasted = self.encoder(given.packed, (-1, self.layer))
        transformed = self.encoder.transform(states.index_select(0, given.picks))
        matrix, bias = self.encoder.output_table()
        if negatives is None:
            masked = full_softmax(transformed, given.targets, matrix, bias)
        else:
            masked = sampled_softmax(transformed, given.targets, matrix, bias, negatives)
        vectors = pool(contrasted, given.packed)
        return masked, contrast(vectors[given.pairs[0]], vectors[given.pairs[1]], self.temperature, everywhere=True)


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
    own = (x * matrix.index_select(0, targets)).sum(-1) + shift[targets]
    scores = F.linear(x, matrix.index_select(0, negatives.ids), shift[negatives.ids])
    scores = scores.masked_fill(targets[:, None] == negatives.ids, -torch.inf)  # the target itself is no negative
    return (torch.logsumexp(torch.cat([own[:, None], scores], 1).float(), 1) - own.float()).sum()


def pool(states: Tensor, packed: Packed) -> Tensor:
    """Mean of each sequence's states, `[rows, width]`, `<s>` and `</s>` included."""
    summed = states.new_zeros(packed.rows, states.shape[-1]).index_add_(0, packed.row, states)
    return summed / torch.bincount(packed.row, minlength=packed.rows).clamp(min=1)[:, None].to(states.dtype)


def contrast(a: Tensor, b: Tensor, temperature: float, *, everywhere: bool = False) -> Tensor:
    """InfoNCE both ways (van den Oord et al. 2018, equation 4): each vector's translation among all in the batch.

    `a` and `b` are `[pairs, width]`; with `everywhere` the pairs of all processes are compared, and each gets the whole loss.
    """
    if not len(a):
        return a.sum() * 0
    a, b = (F.normalize(of.float(), dim=-1) for of in (a, b))
    if everywhere:
        a, b = _everywhere(a), _everywhere(b)
    scores = a @ b.T / temperature
    wanted = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(scores, wanted) + F.cross_entropy(scores.T, wanted)) / 2


def _everywhere(x: Tensor) -> Tensor:
    """The rows of all processes, with gradients."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.cat(all_gather(x))
    return x
