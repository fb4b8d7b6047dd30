"""Classification and regression of texts, and of pairs of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.errors import BadInput
from xlmr.evaluation import scoring
from xlmr.evaluation.reports import Scored
from xlmr.examples import Classified
from xlmr.examples import labels as labels_of
from xlmr.heads.calibration import Calibration
from xlmr.heads.classes import MULTI, REGRESSION, SINGLE
from xlmr.tasks import classification, meanings
from xlmr.tokenizer import Tokenizer
from xlmr.training.finetuning import lessons
from xlmr.training.finetuning.lessons import Given, Lengths, Row

NUMBER = "score"
"""What a regression's one output is called."""
SAME = 1e-4
"""Numbers that differ by less of their size are the same."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A text, and what is to be said of it."""

    wanted: np.ndarray
    """float32 `[labels]`: 1 at each of its labels; of a regression its number."""
    vector: np.ndarray | None
    """Its calibrated vector, float32 `[size]`, where that is learnt from too."""
    share: float = 1.0
    """What the other head then counts for."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """That a text's calibrated vector is learnt from too."""

    calibration: Calibration
    """Of pieces alone."""
    examples: int
    """Of which it is learnt: the fewer, the more the prior of the weights counts."""
    seen: np.ndarray
    """The numbers of their pieces, ascending."""


class Head(nn.Module):
    """Hugging Face's: the state of `<s>`, a dense layer, tanh, and the outputs; and perhaps one of calibrated vectors."""

    def __init__(self, width: int, labels: int, dropout: float, size: int | None = None) -> None:
        """`size` is that of calibrated vectors."""
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, labels)
        self.dropout = nn.Dropout(dropout)
        self.meaning = None if size is None else nn.Linear(size, labels)

    def forward(self, states: Tensor) -> Tensor:
        """`[rows, width]` to `[rows, labels]`."""
        hidden = torch.tanh(self.dense(self.dropout(states)))
        found: Tensor = self.out(self.dropout(hidden))
        return found


class Classification:
    """The `Lesson` of texts with labels."""

    architecture = "XLMRobertaForSequenceClassification"

    def __init__(
        self, tokenizer: Tokenizer, config: Config, lengths: Lengths, problem: str, labels: Sequence[str], *,
        weights: np.ndarray | None = None, vectors: Vectors | None = None,
    ) -> None:  # fmt: skip
        """`weights` `[labels]` says what an example of each label counts for in the loss."""
        self.tokenizer, self.config, self.lengths, self.problem, self.labels = tokenizer, config, lengths, problem, tuple(labels)
        self._index = {label: i for i, label in enumerate(labels)}
        self._weights, self._vectors = weights, vectors

    def head(self, config: Config, dropout: float) -> Head:
        """A new head."""
        head = Head(config.width, len(self.labels), dropout, None if self._vectors is None else self._vectors.calibration.size)
        lessons.initialise(head, config.init_std)
        return head

    def rows(self, examples: Sequence[Classified], *, served: bool = False) -> list[Row[Goal]]:
        """A row for each; what is too long is cut."""
        longest = self.lengths.served if served else self.lengths.learnt

        def make(number: int, of: Classified) -> list[Row[Goal]]:
            ids = np.array(classification.row(self.tokenizer, of.text, of.pair, longest), np.int64)
            return [Row(ids, number, self._goal(of, ids), self._weight(of))]

        return lessons.each(examples, make)

    def loss(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> Tensor:
        """Cross-entropy; of several labels binary, the mean over them; of a regression the squared error. Of the calibrated vectors the
        same, with a penalty on their weights that is a standard normal prior's."""
        assert isinstance(head, Head)
        found = head(states.index_select(0, given.begins)).float()
        wanted = torch.from_numpy(np.stack([goal.wanted for goal in given.goals])).to(found.device)
        loss = self._loss(found, wanted)
        if head.meaning is not None and self._vectors is not None:
            prior = head.meaning.weight.square().sum() / 2 * (len(wanted) / self._vectors.examples)
            loss = loss + self._loss(head.meaning(_vectors(given, found)).float(), wanted) + prior
        return loss

    def _loss(self, found: Tensor, wanted: Tensor) -> Tensor:
        if self.problem == REGRESSION:
            return F.mse_loss(found, wanted, reduction="sum")
        if self.problem == MULTI:
            return F.binary_cross_entropy_with_logits(found, wanted, reduction="sum") / len(self.labels)
        weight = None if self._weights is None else torch.from_numpy(self._weights).to(found)
        return F.cross_entropy(found, wanted.argmax(1), weight, reduction="sum")

    def predict(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> list[np.ndarray]:
        """The outputs, float32 `[labels]`, of each row."""
        assert isinstance(head, Head)
        found = head(states.index_select(0, given.begins)).float()
        if head.meaning is not None:
            shares = torch.tensor([[goal.share] for goal in given.goals]).to(found)
            found = meanings.SOFTER * shares * found + head.meaning(_vectors(given, found)).float()
        return [*found.cpu().numpy()]

    def join(
        self, head: nn.Module, examples: Sequence[Classified], rows: Sequence[Row[Goal]], predicted: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The outputs of each text: each is a row."""
        return [*predicted]

    def score(self, examples: Sequence[Classified], predictions: Sequence[np.ndarray]) -> Scored:
        """Accuracy; of several labels F1; of a regression the correlation."""
        if self.problem == REGRESSION:
            return scoring.numbers(examples, [float(of[0]) for of in predictions])
        if self.problem == MULTI:
            return scoring.choices(examples, [self._chosen(of) for of in predictions], self.labels)
        return scoring.labels(examples, [label for of in predictions for label in self._chosen(of)], self.labels)

    def collapsed(self, examples: Sequence[Classified], predictions: Sequence[np.ndarray]) -> str | None:
        """What to say where every text is answered alike, and should not be."""
        if len({frozenset(of.labels) for of in examples}) < 2:
            return None
        if self.problem == REGRESSION:
            numbers = np.array([of[0] for of in predictions])
            return None if np.ptp(numbers) > SAME * max(1, abs(numbers[0])) else f"every text is given the number {numbers[0]:.4g}"
        said = {self._chosen(of) for of in predictions}
        return f"every text is labelled {' and '.join(map(repr, said.pop())) or 'nothing'}" if len(said) == 1 else None

    def _chosen(self, logits: np.ndarray) -> tuple[str, ...]:
        """A text's labels, from its outputs: the likeliest, or of several all that are likelier than not."""
        if self.problem == SINGLE:
            return (self.labels[int(logits.argmax())],)
        return tuple(label for label, logit in zip(self.labels, logits, strict=True) if logit >= 0)

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """By the names of `tensors`; the outputs as soft as they are where the other head's are added."""
        assert isinstance(head, Head)
        found = lessons.exported(head, ("dense.weight", "dense.bias", "out.weight", "out.bias"))
        softer = 1.0 if head.meaning is None else meanings.SOFTER
        return {name: softer * of if ".out." in name else of for name, of in found.items()}

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """The head of calibrated vectors; without one Hugging Face's files say all of it."""
        assert isinstance(head, Head)
        if head.meaning is None:
            return {}
        weight, bias = (of.detach().float().cpu().numpy() for of in (head.meaning.weight, head.meaning.bias))
        return {meanings.NAME: meanings.pack(weight, bias, None if self._vectors is None else self._vectors.seen)}

    def _goal(self, of: Classified, ids: np.ndarray) -> Goal:
        if (vectors := self._vectors) is None:
            return Goal(self._wanted(of), None)
        vector = meanings.vector(vectors.calibration, ids, self.config)
        return Goal(self._wanted(of), vector, meanings.share(vectors.calibration, vectors.seen, ids, self.config))

    def _wanted(self, of: Classified) -> np.ndarray:
        """float32 `[labels]`: 1 at each of an example's; of a regression its number."""
        if self.problem == REGRESSION:
            return np.array([labels_of.number(of)], np.float32)
        goal = np.zeros(len(self.labels), np.float32)
        goal[[self._index[label] for label in of.labels]] = 1
        return goal

    def _weight(self, of: Classified) -> float:
        return 1.0 if self._weights is None else float(self._weights[self._index[of.labels[0]]])


def vectors_of(of: Calibration, tokenizer: Tokenizer, config: Config, longest: int, train: Sequence[Classified]) -> Vectors:
    """What is learnt of the vectors of these texts. Raises BadLine, with its place, for one that cannot be a row."""

    def make(number: int, example: Classified) -> list[Row[None]]:
        return [Row(np.array(classification.row(tokenizer, example.text, None, longest), np.int64), number, None)]

    return Vectors(of, len(train), meanings.seen_in(of, (row.ids for row in lessons.each(train, make)), config))


def _vectors(given: Given[Goal], like: Tensor) -> Tensor:
    """The calibrated vectors, `[rows, size]`."""
    return torch.from_numpy(np.stack([goal.vector for goal in given.goals if goal.vector is not None])).to(like)


def found_in(examples: Sequence[Classified], problem: str) -> tuple[str, ...]:
    """The labels there are. Raises BadInput where there is nothing to tell apart."""
    if problem == REGRESSION:
        return (NUMBER,)
    found = labels_of.inferred(label for of in examples for label in of.labels)
    least = 2 if problem == SINGLE else 1
    if len(found) < least:
        said = f"every label is {found[0]!r}" if found else "no example has a label"
        raise BadInput(f"{examples[0].where} and all after it: {said}; wanted {least} labels or more")
    return found


def balanced(examples: Sequence[Classified], labels: Sequence[str]) -> np.ndarray:
    """Weights under which every label counts alike, float32 `[labels]`, 1 on average over the examples."""
    counts = Counter(of.labels[0] for of in examples)
    return np.array([len(examples) / (len(labels) * max(1, counts[label])) for label in labels], np.float32)
