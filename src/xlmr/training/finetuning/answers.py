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
from xlmr.evaluation import scoring
from xlmr.evaluation.reports import Scored
from xlmr.examples import Asked
from xlmr.heads.extraction import Window
from xlmr.tasks import answering, extractors
from xlmr.tokenizer import Tokenizer
from xlmr.training.finetuning import lessons
from xlmr.training.finetuning.lessons import Given, Lengths, Row

NONE = 0
"""The token that begins and ends no answer: `<s>`."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A window, and what of it is the answer."""

    start: int
    """The answer's first token, and its last; both `NONE` where the window has no answer."""
    end: int
    window: answering.Window


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


class Answering:
    """The `Lesson` of questions on contexts."""

    architecture = "XLMRobertaForQuestionAnswering"
    problem = ""
    labels: tuple[str, ...] = ()

    def __init__(self, tokenizer: Tokenizer, lengths: Lengths, *, stride: int, span: int, threshold: float) -> None:
        """Windows overlap by `stride` tokens while it learns; answers have at most `span`. There is no answer where that scores higher by
        `threshold`; infinity where every question has one."""
        self.tokenizer, self.lengths, self.stride, self.span, self.threshold = tokenizer, lengths, stride, span, threshold

    def head(self, config: Config, dropout: float) -> Head:
        """A new head."""
        head = Head(config.width, dropout)
        lessons.initialise(head, config.init_std)
        return head

    def rows(self, examples: Sequence[Asked], *, served: bool = False) -> list[Row[Goal]]:
        """A row for each window; of several answers the first is learnt."""
        longest, stride = (self.lengths.served, answering.STRIDE) if served else (self.lengths.learnt, self.stride)
        return lessons.each(examples, lambda number, of: self._rows(number, of, longest, stride))

    def _rows(self, example: int, of: Asked, longest: int, stride: int) -> Iterator[Row[Goal]]:
        windows = answering.windows(self.tokenizer, of.question, of.context, longest, stride)
        spans = _spans(windows, of.answers[0]) if of.answers else [(NONE, NONE)] * len(windows)
        for window, (start, end) in zip(windows, spans, strict=True):
            yield Row(np.array(window.ids, np.int64), example, Goal(start, end, window))

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
        return [answering.with_logits(goal.window, of) for of, goal in zip(parts, given.goals, strict=True)]

    def join(self, head: nn.Module, examples: Sequence[Asked], rows: Sequence[Row[Goal]], predicted: Sequence[Window]) -> list[str | None]:
        """The likeliest answer of each, from all windows of its context, or that there is none."""
        windows: list[list[Window]] = [[] for _ in examples]
        for row, window in zip(rows, predicted, strict=True):
            windows[row.example].append(window)
        return [answering.ranked(of.context, held, self.span, self.threshold)[0].answer for of, held in zip(examples, windows, strict=True)]

    def score(self, examples: Sequence[Asked], predictions: Sequence[str | None]) -> Scored:
        """F1 of words, by the rules of each language."""
        return scoring.replies(examples, predictions)

    def collapsed(self, examples: Sequence[Asked], predictions: Sequence[str | None]) -> str | None:
        """What to say where no question is answered, and some should be."""
        return "no question is answered" if not any(predictions) and any(of.answers for of in examples) else None

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """By the names of `tensors`."""
        return lessons.exported(head, ("out.weight", "out.bias"))

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """From when on there is no answer, and how long one may be."""
        return {extractors.NAME: extractors.pack(self.threshold, self.span)}


def _spans(windows: Sequence[answering.Window], answer: tuple[str, int]) -> list[tuple[int, int]]:
    """The first and the last token of an answer in each window; `NONE` twice where not all of its tokens are there.

    Its tokens are those that share a character with it: spaces at its ends, or signs that no token stands for, are missed by none.
    """
    begin, end = answer[1], answer[1] + len(answer[0])

    def within(place: tuple[int, int]) -> bool:
        return place[0] < min(end, place[1]) and place[1] > begin

    held = [[i for i in range(of.first, of.last) if within(of.offsets[i])] for of in windows]
    parts = [{of.offsets[i] for i in tokens} for of, tokens in zip(windows, held, strict=True)]
    wanted = set().union(*parts)
    return [(tokens[0], tokens[-1]) if part and part == wanted else (NONE, NONE) for tokens, part in zip(held, parts, strict=True)]
