"""What a student learns from a teacher: its predictions, its states, and the hidden pieces themselves. Needs torch.

The loss of a step is the weighted sum of

- `soft`: the cross-entropy of the student's predictions with the teacher's, both softened by a temperature, less what the teacher's own
  entropy is (Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network", section 2: with T² before it);
- `hard`: the cross-entropy with the pieces that were hidden, as in pretraining;
- `states`: how far the cosine of a student's state and its teacher's is from 1, over all tokens, for each of the student's layers.

The three are those of Sanh et al. (2019), "DistilBERT", section 3, who compare the last states alone; that every layer of the student has
one of the teacher's to follow, at even distances, is the uniform mapping of Jiao et al. (2020), "TinyBERT", section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

ROWS, ROWS_GPU = 64, 256
"""Picks whose logits are worked out together. On a processor few are faster than many, since they stay near it: of 32,000 pieces, two
fifths faster than five hundred; of 250,002 pieces they take half a gigabyte with all that is made of them."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the two parts of the loss of predictions."""

    soft: float
    hard: float
    temperature: float


class Predictions(torch.autograd.Function):
    """Soft and hard cross-entropy over the whole vocabulary.

    A vocabulary of 250,002 pieces makes a gigabyte of logits for a thousand picks, and training would keep it several times. So picks are
    worked out block by block, each with its gradient at once, and nothing of the vocabulary's size is kept but the gradient of the table,
    where the table learns.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: Tensor, bias: Tensor, heard: Tensor, told_by: tuple[Tensor, Tensor], targets: Tensor, weights: Weights
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The weighted sum; the two sums; and at how many picks both find the same piece likeliest.

        `x` and `heard` are `[picks, width]`, the student's and the teacher's transformed states; `told_by` is the teacher's output table.
        """
        kind, device = x.dtype, x.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        sums, of_x = x.new_zeros(4, dtype=torch.float32), torch.zeros_like(x)
        of_matrix = torch.zeros_like(matrix) if matrix.requires_grad else None
        of_bias = torch.zeros_like(bias)
        asked, table, table_bias, heard, *told = (of.to(kind) for of in (x, matrix, bias, heard, *told_by))
        size = ROWS if device == "cpu" else ROWS_GPU
        for begin in range(0, len(x), size):
            rows = slice(begin, begin + size)
            own, theirs = F.linear(asked[rows], table, table_bias), F.linear(heard[rows], *told)
            found, slope = compared(own.float(), theirs.float(), targets[rows], weights)
            sums += found
            of_bias += slope.sum(0)
            slope = slope.to(kind)
            of_x[rows] = (slope @ table).to(x.dtype)
            if of_matrix is not None:
                of_matrix += slope.T @ asked[rows]
        ctx.save_for_backward(of_x, of_matrix, of_bias)
        loss, soft, hard, agreed = sums.unbind()
        ctx.mark_non_differentiable(soft, hard, agreed)
        return loss, soft, hard, agreed

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients that were worked out with the loss."""
        of_x, of_matrix, of_bias = ctx.saved_tensors
        slope = slopes[0]
        return (of_x * slope.to(of_x.dtype), None if of_matrix is None else of_matrix * slope, of_bias * slope, None, None, None, None)


def compared(own: Tensor, theirs: Tensor, targets: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """The four sums of `Predictions`, `[4]`, for some picks' logits `[picks, vocabulary]`, and the gradient of the first by `own`."""
    t, at = weights.temperature, targets[:, None]
    agreed = (own.argmax(-1) == theirs.argmax(-1)).sum().float()
    known, softened, plain = F.log_softmax(theirs / t, -1), F.log_softmax(own / t, -1), F.log_softmax(own, -1)
    shares = known.exp()
    soft = t * t * known.sub_(softened).mul_(shares).sum()
    hard = -plain.gather(1, at).sum()
    slope = softened.exp_().sub_(shares).mul_(weights.soft * t).add_(plain.exp_(), alpha=weights.hard)
    slope.scatter_add_(1, at, torch.full_like(at, -weights.hard, dtype=slope.dtype))
    return torch.stack([weights.soft * soft + weights.hard * hard, soft, hard, agreed]), slope
