"""The table of pieces, of which only those rows learn that the examples have.

No other row has a gradient, so AdamW would move none but by its decay. A multilingual table is most of a model (of xlm-roberta-base's 278
million numbers 192), and a task's examples have some thousand of its 250,002 pieces: without the others there is a third as much to clip,
to step and to save, and gradients and moments take a third of the memory. The rows that no example has, those of other languages among
them, stay exactly as they were; AdamW's decay alone would have made them shorter, by a thousandth or so.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr.runtimes.torch import Encoder


class Table(nn.Module):
    """In the place of the whole table: reads every row, learns some."""

    whole: Tensor
    places: Tensor

    def __init__(self, whole: Tensor, ids: np.ndarray) -> None:
        """`whole` is `[vocabulary, width]`; the rows `ids`, int64, each once, learn."""
        super().__init__()
        rows = torch.from_numpy(ids).to(whole.device)
        places = torch.full(whole.shape[:1], -1, device=whole.device)
        places[rows] = torch.arange(len(rows), device=whole.device)
        self.rows = nn.Parameter(whole.detach()[rows])
        """`[ids, width]`."""
        self.register_buffer("whole", whole.detach(), persistent=False)  # the model that a run begins with has it
        self.register_buffer("places", places, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """`[tokens]` to `[tokens, width]`."""
        places = self.places[ids]
        learnt = F.embedding(places.clamp(min=0), self.rows)
        return torch.where((places < 0).unsqueeze(-1), F.embedding(ids, self.whole), learnt)

    def merged(self) -> nn.Embedding:
        """The whole table, with what was learnt."""
        weight = self.whole.clone()
        learns = self.places >= 0
        weight[learns] = self.rows.detach()[self.places[learns]]
        merged: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)
        return merged


def narrow(encoder: Encoder, ids: np.ndarray) -> None:
    """Let only the rows of these pieces learn, int64 in any order and number; of a table that does not learn at all, none."""
    words = encoder.embeddings.words
    if words.weight.requires_grad:
        encoder.embeddings.register_module("words", Table(words.weight, np.unique(ids)))


def widen(encoder: Encoder) -> None:
    """Undo `narrow`; what was learnt stays."""
    words: nn.Module = encoder.embeddings.words
    if isinstance(words, Table):
        encoder.embeddings.register_module("words", words.merged())
