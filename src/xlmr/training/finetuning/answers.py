"""Answers out of a context: where one begins and where it ends, in overlapping windows of the context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.examples import Asked
from xlmr.heads import extraction
from xlmr.heads.extraction import Window
from xlmr.tasks import answering
from xlmr.tokenizer import Tokenizer
from xlmr.training.finetuning import lessons
from xlmr.training.finetuning.lessons import Given, Row

NONE = 0
"""The token that begins and ends no answer: `<s>`."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A window, and what of it is the answer."""

    start: int
    """The answer's first token, and its last; both `NONE` where the window has no answer."""
    end: int
    allowed: np.ndarray
    """bool `[tokens]`: those of the context."""
    places: np.ndarray
    """int `[tokens, 2]`: start and end of each in the context."""


class Head(nn.Module):
    """Two logits of each token: Hugging Face's, which has no dropout; `dropout` is that of the states it reads."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Linear(width, 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """`[tokens, width]` to `[tokens, 2]`, float32."""
        found: Tensor = self.out(self.dropout(states))
        return found.float()


@dataclass(frozen=True, slots=True)
class Said:
    """The likeliest answer, what it scores, and what it scores that there is none."""

    text: str
    score: float
    null: float


class Answering:
    """The `Lesson` of questions on contexts."""

    architecture = "XLMRobertaForQuestionAnswering"
    problem = ""
    labels = ()
    metric = "f1"

    def __init__(self, tokenizer: Tokenizer, longest: int, *, stride: int, span: int) -> None:
        """Windows are of at most `longest` tokens and overlap by `stride`; answers have at most `span`."""
        self.tokenizer, self.longest, self.stride, self.span = tokenizer, longest, stride, span

    def head(self, config: Config, dropout: float) -> Head:
        """A new head."""
        head = Head(config.width, dropout)
        lessons.initialise(head, config.init_std)
        return head

    def rows(self, examples: Sequence[Asked]) -> list[Row[Goal]]:
        """A row for each window; of several answers the first is learnt."""
        return [row for i, of in enumerate(examples) for row in self._rows(i, of)]

    def _rows(self, example: int, of: Asked) -> Iterator[Row[Goal]]:
        for window in answering.windows(self.tokenizer, of.question, of.context, self.longest, self.stride):
            start, end = _span(window.places, window.allowed, of.answers[0]) if of.answers else (NONE, NONE)
            yield Row(np.array(window.ids, np.int64), example, Goal(start, end, window.allowed, window.places))

    def loss(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> Tensor:
        """The mean of the two cross-entropies over each window's tokens (Devlin et al. 2019, section 4.2), summed over windows."""
        found = head(states).split(given.lengths)
        goals = torch.tensor([(goal.start, goal.end) for goal in given.goals], device=states.device)
        losses = [F.cross_entropy(of.T, wanted) for of, wanted in zip(found, goals, strict=True)]
        return torch.stack(losses).sum()

    def predict(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> list[Window]:
        """The logits of each window."""
        found = head(states).cpu().numpy()
        parts = np.split(found, np.cumsum(given.lengths)[:-1])
        return [Window(of[:, 0], of[:, 1], goal.allowed, goal.places) for of, goal in zip(parts, given.goals, strict=True)]

    def join(self, examples: Sequence[Asked], rows: Sequence[Row[Goal]], predicted: Sequence[Window]) -> list[Said]:
        """The likeliest answer of each, from all windows of its context."""
        windows: list[list[Window]] = [[] for _ in examples]
        for row, window in zip(rows, predicted, strict=True):
            windows[row.example].append(window)
        return [self._said(of, held) for of, held in zip(examples, windows, strict=True)]

    def _said(self, of: Asked, windows: Sequence[Window]) -> Said:
        found, null = extraction.merge(windows, self.span), extraction.null_score(windows)
        return Said(of.context[found[0].start : found[0].end], found[0].score, null) if found else Said("", -np.inf, null)

    def score(self, examples: Sequence[Asked], predictions: Sequence[Said]) -> dict[str, float]:
        """The metric, of each language."""
        raise NotImplementedError

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """By the names of `tensors`."""
        return lessons.exported(head, ("out.weight", "out.bias"))

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """From when on there is no answer, and how long one may be."""
        raise NotImplementedError


def _span(places: np.ndarray, allowed: np.ndarray, answer: tuple[str, int]) -> tuple[int, int]:
    """The first and the last token of an answer in a window; `NONE` twice where it is not all there."""
    begin, end = answer[1], answer[1] + len(answer[0])
    inside = np.flatnonzero(allowed)
    if not len(inside) or places[inside[0], 0] > begin or places[inside[-1], 1] < end:
        return NONE, NONE
    held = inside[(places[inside, 1] > begin) & (places[inside, 0] < end)]
    return (int(held[0]), int(held[-1])) if len(held) else (NONE, NONE)
