"""What every task has in common: examples become rows of tokens, rows a batch, states a loss or predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.errors import BadInput, BadLine
from xlmr.evaluation.reports import Scored
from xlmr.examples import Example
from xlmr.runtimes.torch import Encoder, Packed, pack

G = TypeVar("G")
E = TypeVar("E", bound=Example)


@dataclass(frozen=True, slots=True)
class Row(Generic[G]):
    """A sequence that the encoder reads, and what is to be learnt of it."""

    ids: np.ndarray
    """int64 `[tokens]`, `<s>` first and `</s>` last."""
    example: int
    """Which example it is of, or a part of."""
    goal: G
    weight: float = 1.0
    """What it counts for in the mean loss: answers, words, windows."""


@dataclass(frozen=True, slots=True)
class Given(Generic[G]):
    """Rows, packed, on their device."""

    packed: Packed
    begins: Tensor
    """int64 `[rows]`: where each row's `<s>` lies among the packed tokens …"""
    lengths: list[int]
    """… and how many tokens it has."""
    goals: list[G]
    """In packed order."""
    order: np.ndarray
    """`order[i]` is the number of packed row i among the rows as they were given."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a row, at most."""

    learnt: int
    """While it learns …"""
    served: int
    """… and where the model answers."""


class Lesson(Protocol):
    """A task. What its examples, its rows' goals and its predictions are, is its own affair."""

    architecture: str
    """Hugging Face's class."""
    problem: str
    """Hugging Face's `problem_type`, or nothing."""
    labels: tuple[str, ...]

    def head(self, config: Config, dropout: float) -> nn.Module:
        """A new head. Its parameters have the names of `tensors.TASK_HEADS`, and perhaps others, which are attached."""
        ...

    def rows(self, examples: Sequence[Any], *, served: bool = False) -> list[Row[Any]]:
        """Examples as rows: as the settings cut them, or, `served`, as they are cut where the model answers.

        Raises BadLine, with its place, for an example that cannot be a row.
        """
        ...

    def loss(self, head: nn.Module, states: Tensor, given: Given[Any]) -> Tensor:
        """The weighted sum of the rows' losses, `[]`, float32, from the states `[tokens, width]`."""
        ...

    def predict(self, head: nn.Module, states: Tensor, given: Given[Any]) -> list[Any]:
        """What is said of each row, in packed order: whatever `join` takes."""
        ...

    def join(self, head: nn.Module, examples: Sequence[Any], rows: Sequence[Row[Any]], predicted: Sequence[Any]) -> list[Any]:
        """What is said of each example, from what is said of its rows, which are in order."""
        ...

    def score(self, examples: Sequence[Any], predictions: Sequence[Any]) -> Scored:
        """How good the predictions are."""
        ...

    def collapsed(self, examples: Sequence[Any], predictions: Sequence[Any]) -> str | None:
        """What to say where all examples are predicted alike and are not alike; None where all is well."""
        ...

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """The head's weights by the names of `tensors`, float32."""
        ...

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """What Hugging Face's files have no place for."""
        ...


class Learner(nn.Module):
    """An encoder with a head as one module, so that data-parallel training sees all of the work in `forward`."""

    def __init__(self, encoder: Encoder, head: nn.Module, lesson: Lesson) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self._lesson = lesson

    def forward(self, given: Given[Any]) -> Tensor:
        """The weighted sum of the rows' losses."""
        (states,) = self.encoder(given.packed)
        return self._lesson.loss(self.head, states, given)

    @torch.inference_mode()
    def predict(self, given: Given[Any]) -> list[Any]:
        """What is said of each row, as the rows were given."""
        (states,) = self.encoder(given.packed)
        found = self._lesson.predict(self.head, states, given)
        return [found[place] for place in np.argsort(given.order)]


def each(examples: Sequence[E], make: Callable[[int, E], Iterable[Row[G]]]) -> list[Row[G]]:
    """The rows that `make` makes of each example and its number. Raises BadLine, with its place, where one cannot be read."""
    rows = list[Row[G]]()
    for number, example in enumerate(examples):
        try:
            rows += make(number, example)
        except BadInput as error:
            raise BadLine(f"{example.where}: {error}") from None
    return rows


def give(rows: Sequence[Row[G]], config: Config, device: torch.device) -> Given[G]:
    """Rows as a batch."""
    packed, order = pack([row.ids for row in rows], config)
    lengths = [len(rows[i].ids) for i in order]
    begins = np.cumsum([0, *lengths])[:-1]
    return Given(packed.to(device), torch.from_numpy(begins).to(device), lengths, [rows[i].goal for i in order], order)


def initialise(head: nn.Module, std: float) -> nn.Module:
    """As Hugging Face begins a head: normal weights, biases of zero."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)
    return head


def exported(head: nn.Module, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Some of a head's parameters as `task.*`."""
    found = head.state_dict()
    return {f"task.{name}": found[name].detach().float().cpu().numpy() for name in names}
