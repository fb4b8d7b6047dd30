"""Classification and regression of texts, and of pairs of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.errors import BadInput
from xlmr.examples import Classified
from xlmr.training.finetuning import lessons
from xlmr.training.finetuning.lessons import Given, Row

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
PROBLEMS = (SINGLE, MULTI, REGRESSION)
"""As Hugging Face names them."""


class Head(nn.Module):
    """Hugging Face's: the state of `<s>`, a dense layer, tanh, and the outputs."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """`[rows, width]` to `[rows, labels]`."""
        hidden = torch.tanh(self.dense(self.dropout(states)))
        found: Tensor = self.out(self.dropout(hidden))
        return found


class Classification:
    """The `Lesson` of texts with labels."""

    architecture = "XLMRobertaForSequenceClassification"

    def __init__(self, tokenizer: Tokenizer, longest: int, problem: str, labels: Sequence[str], weights: np.ndarray | None = None) -> None:
        """`weights` `[labels]` says what an example of each label counts for in the loss."""
        self.tokenizer, self.longest, self.problem, self.labels = tokenizer, longest, problem, tuple(labels)
        self.metric = METRIC[problem]
        self._index = {label: i for i, label in enumerate(labels)}
        self._weights = weights

    def head(self, config: Config, dropout: float) -> Head:
        """A new head."""
        head = Head(config.width, len(self.labels), dropout)
        lessons.initialise(head, config.init_std)
        return head

    def rows(self, examples: Sequence[Classified]) -> list[Row[np.ndarray]]:
        """A row for each; what is too long is cut, as it is when the model answers."""
        return [
            Row(np.array(encode(self.tokenizer, of.text, of.pair, self.longest), np.int64), i, self._goal(of), self._weight(of))
            for i, of in enumerate(examples)
        ]

    def loss(self, head: nn.Module, states: Tensor, given: Given[np.ndarray]) -> Tensor:
        """Cross-entropy; of several labels binary, the mean over them; of a regression the squared error."""
        found = head(states.index_select(0, given.begins)).float()
        wanted = torch.from_numpy(np.stack(given.goals)).to(found.device)
        if self.problem == REGRESSION:
            return F.mse_loss(found, wanted, reduction="sum")
        if self.problem == MULTI:
            return F.binary_cross_entropy_with_logits(found, wanted, reduction="sum") / len(self.labels)
        weight = None if self._weights is None else torch.from_numpy(self._weights).to(found)
        return F.cross_entropy(found, wanted.argmax(1), weight, reduction="sum")

    def predict(self, head: nn.Module, states: Tensor, given: Given[np.ndarray]) -> list[np.ndarray]:
        """The outputs, float32 `[labels]`, of each row."""
        found: np.ndarray = head(states.index_select(0, given.begins)).float().cpu().numpy()
        return [*found]

    def join(self, examples: Sequence[Classified], rows: Sequence[Row[np.ndarray]], predicted: Sequence[np.ndarray]) -> list[Any]:
        """What is said of each text: its label, its labels, its number."""
        return [SAID[self.problem](self.labels, of) for of in predicted]

    def score(self, examples: Sequence[Classified], predictions: Sequence[Any]) -> dict[str, float]:
        """The metric, of each language."""
        raise NotImplementedError

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """By the names of `tensors`."""
        return lessons.exported(head, ("dense.weight", "dense.bias", "out.weight", "out.bias"))

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """None: Hugging Face's files say all of it."""
        return {}

    def _goal(self, of: Classified) -> np.ndarray:
        """float32 `[labels]`: 1 at each of an example's; of a regression its number."""
        if self.problem == REGRESSION:
            return np.array([number(of)], np.float32)
        goal = np.zeros(len(self.labels), np.float32)
        goal[[self._index[label] for label in of.labels]] = 1
        return goal

    def _weight(self, of: Classified) -> float:
        return 1.0 if self._weights is None else float(self._weights[self._index[of.labels[0]]])


def number(of: Classified) -> float:
    """What a regression learns of an example. Raises BadLine where it is no number."""
    try:
        found = float(of.labels[0])
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise BadLine(f"{of.where}: found {of.labels[0]!r}, wanted a number: a regression learns those")
    return found


def labels_of(examples: Sequence[Classified], problem: str) -> list[str]:
    """The labels there are, in the order of their names, numbers by their size. Raises BadInput where there is nothing to tell apart."""
    if problem == REGRESSION:
        return ["score"]
    counts = Counter(label for of in examples for label in of.labels)
    least = 2 if problem == SINGLE else 1
    if len(counts) < least:
        found = f"every label is {next(iter(counts))!r}" if counts else "no example has a label"
        raise BadInput(f"{examples[0].where} and all after it: {found}; wanted {least} labels or more")
    return sorted(counts, key=natural)


def natural(label: str) -> tuple[bool, float, str]:
    """Numbers before names, by size."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def balanced(examples: Sequence[Classified], labels: Sequence[str]) -> np.ndarray:
    """Weights under which every label counts alike, float32 `[labels]`, 1 on average over the examples."""
    counts = Counter(of.labels[0] for of in examples)
    return np.array([len(examples) / (len(labels) * max(1, counts[label])) for label in labels], np.float32)
