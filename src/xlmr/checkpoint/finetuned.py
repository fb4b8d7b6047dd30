"""What a model was fine-tuned for: its task's head, found among the tensors and named. It is not run yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xlmr import tensors
from xlmr.checkpoint.header import Stored
from xlmr.config import Config
from xlmr.errors import BadCheckpoint


@dataclass(frozen=True, slots=True)
class TaskHead:
    """A fine-tuned head."""

    task: str
    """Such as `token classification`."""
    labels: tuple[str, ...]
    """The names of its outputs, in their order; none where the task's have no names."""
    stored: Mapping[str, Stored]
    """Where each of its tensors lies, by our name for it (`task.*`)."""


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
    return TaskHead(task, names, {tensor.name: found[tensor.hf] for tensor in table})
