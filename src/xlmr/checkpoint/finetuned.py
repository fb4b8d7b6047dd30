"""What a model was fine-tuned for: its task's head, found among the tensors and named, or to be saved with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from xlmr import tensors
from xlmr.checkpoint import floats
from xlmr.checkpoint.header import Stored
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.heads.classes import SINGLE

if TYPE_CHECKING:
    from xlmr.checkpoint.attachments import Attachment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskHead:
    """A fine-tuned head."""

    task: str
    """Such as `token classification`."""
    labels: tuple[str, ...]
    """The names of its outputs, in their order; none where the task's have no names."""
    stored: Mapping[str, Stored]
    """Where each of its tensors lies, by our name for it (`task.*`)."""
    architecture: str = ""
    """Hugging Face's class, a key of `tensors.TASK_HEADS`."""


@dataclass(frozen=True, slots=True)
class SavedHead:
    """A fine-tuned head that is to be saved with its encoder."""

    architecture: str
    """Hugging Face's class, a key of `tensors.TASK_HEADS`."""
    labels: tuple[str, ...]
    """The names of its outputs, each once; none where the task's have no names, as those of question answering."""
    weights: Mapping[str, np.ndarray]
    """Float32 arrays by our names (`task.*`), those of `tensors.task_head`."""
    problem: str = ""
    """Of `heads.classes.PROBLEMS`, for `XLMRobertaForSequenceClassification`."""
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    """What is written beside it, by name: `tagging` or `answering`."""

    def __post_init__(self) -> None:
        if self.architecture not in tensors.TASK_HEADS:
            raise BadCheckpoint(f"the head's class is {self.architecture!r}, wanted one of {', '.join(tensors.TASK_HEADS)}")
        task, table = tensors.TASK_HEADS[self.architecture]
        wanted = {f"task.{name}" for name, _, _ in table}
        if {*self.weights} != wanted:
            raise BadCheckpoint(f"a head for {task} has the weights {', '.join(sorted(wanted))}; found {', '.join(sorted(self.weights))}")
        if task in tensors.NAMED and len(self.labels) != self.outputs:
            raise BadCheckpoint(f"the head for {task} has {self.outputs} outputs and {len(self.labels)} labels; wanted one for each")
        if task not in tensors.NAMED and self.labels:
            raise BadCheckpoint(f"the outputs of a head for {task} have no names; found {len(self.labels)} labels")
        if len({*self.labels}) < len(self.labels):
            raise BadCheckpoint("a label of the head is there twice; wanted each once")
        if self.problem == SINGLE and self.outputs == 1:
            raise BadCheckpoint(f"the head for {task} has one label, and of one label there is nothing to choose; wanted two at least")

    @property
    def outputs(self) -> int:
        """How many it has."""
        return len(self.weights["task.out.bias"])


class Head:
    """A checkpoint's fine-tuned head. Its weights are read when it is first asked for."""

    def __init__(self, head: TaskHead) -> None:
        self.of = head
        self._made: list[Any] = []

    def find(self, make: Callable[[TaskHead, dict[str, np.ndarray]], T]) -> T:
        """What `make` makes of it and its weights, float32 by our names, once: a model has one head, and that is for one task.

        Raises as `weights` and `make`.
        """
        if not self._made:
            self._made.append(make(self.of, weights(self.of)))
        found: T = self._made[0]
        return found


def weights(head: TaskHead) -> dict[str, np.ndarray]:
    """A head's tensors by our names for them (`task.*`), in float32. Raises BadCheckpoint where they are not finite."""
    from xlmr.checkpoint import folder  # which imports this

    found = {}
    for name, stored in head.stored.items():
        if stored.dtype not in floats.HELD:
            raise BadCheckpoint(f"{stored.file}: {name} is stored as {stored.dtype}, wanted one of {', '.join(floats.HELD)}")
        found[name] = folder.numbers(stored).reshape(stored.shape)
        if not np.isfinite(found[name]).all():
            raise BadCheckpoint(f"{stored.file}: {name} holds numbers that are not finite")
    return found


def find(config: Config, found: Mapping[str, Stored], file: Path) -> TaskHead | None:
    """The head that the config's `architectures` names, or, where it names nothing, the first that is there; None where none is whole.

    Raises BadCheckpoint where the config names another number of labels than the head has.
    """
    candidates = [name for name in config.architectures if name in tensors.TASK_HEADS] if config.architectures else tensors.TASK_HEADS
    return next((head for head in (_head(name, config, found, file) for name in candidates) if head), None)


def _head(architecture: str, config: Config, found: Mapping[str, Stored], file: Path) -> TaskHead | None:
    task, table = tensors.TASK_HEADS[architecture][0], list(tensors.task_head(architecture))
    if not all(tensor.hf in found for tensor in table):
        return None
    (labels,) = found[table[-1].hf].shape[:1] or (0,)  # the last is the bias of the outputs
    if any(found[tensor.hf].shape != tensor.shape(config, labels) for tensor in table):
        return None
    if task not in tensors.NAMED:
        names: tuple[str, ...] = ()
    elif config.labels and len(config.labels) != labels:
        raise BadCheckpoint(f"{file}: its head for {task} has {labels} labels, and config.json names {len(config.labels)} (id2label)")
    else:
        names = config.labels or tuple(f"LABEL_{i}" for i in range(labels))  # as transformers names them
    return TaskHead(task, names, {tensor.name: found[tensor.hf] for tensor in table}, architecture)
