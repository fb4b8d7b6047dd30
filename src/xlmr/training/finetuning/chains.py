"""The linear-chain CRF (Lafferty et al. 2001) that learns; `heads.crf` is the same in NumPy, and decodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Chain(nn.Module):
    """Scores of the steps from one label to the next, of beginning with one and of ending with it."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        """`[from, to]`."""
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))

    def forward(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Minus the summed log-likelihood, `[]`, of `tags` `[sentences, longest]` under `emissions` `[sentences, longest, labels]`.

        Worked in float32 also where autocast is on. `lengths` `[sentences]` are at least 1; what lies beyond them does not matter.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            emissions = emissions.float()
            real = torch.arange(emissions.shape[1], device=lengths.device) < lengths[:, None]
            return (self.normaliser(emissions, real) - self.score(emissions, tags, real)).sum()

    def score(self, emissions: Tensor, tags: Tensor, real: Tensor) -> Tensor:
        """The score of one path each, `[sentences]`; `real` is bool `[sentences, longest]`."""
        own = emissions.gather(2, tags[..., None]).squeeze(2)
        steps = self.transitions[tags[:, :-1], tags[:, 1:]]
        last = tags.gather(1, real.sum(1, keepdim=True) - 1).squeeze(1)
        return (own * real).sum(1) + (steps * real[:, 1:]).sum(1) + self.start[tags[:, 0]] + self.end[last]

    def normaliser(self, emissions: Tensor, real: Tensor) -> Tensor:
        """The logarithm of the summed exponentials of all paths' scores, `[sentences]` (Rabiner 1989, the forward procedure)."""
        forward = self.start + emissions[:, 0]
        for place in range(1, emissions.shape[1]):
            stepped = torch.logsumexp(forward[:, :, None] + self.transitions, dim=1) + emissions[:, place]
            forward = torch.where(real[:, place, None], stepped, forward)
        return torch.logsumexp(forward + self.end, dim=1)
