"""The head that a model was fine-tuned with, for the task that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from xlmr.checkpoint import TaskHead
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint

T = TypeVar("T")

CLASSIFICATION, TAGGING, ANSWERING = "sequence classification", "token classification", "question answering"
COMMANDS: Mapping[str, str] = {CLASSIFICATION: "classify", TAGGING: "tag", ANSWERING: "answer"}
"""What is called with a head, by its task (`tensors.TASK_HEADS`), and what it is fine-tuned with."""


def find(encoder: Encoder, task: str, make: Callable[[TaskHead, dict[str, np.ndarray]], T]) -> T:
    """What `make` makes of the model's head and its weights (`task.*`, float32), once.

    Raises BadCheckpoint where the model has none, or one for another task, and what `make` raises.
    """
    fit = f"xlmr finetune {COMMANDS[task]} --train FILE --dev FILE --output DIR"
    if encoder.head is None:
        raise BadCheckpoint(f"the model has no head for {task} (the small model inside has none); name one that has, or make it: {fit}")
    found = encoder.head.of.task
    if found != task:
        use = f"it is for `xlmr {COMMANDS[found]}`" if found in COMMANDS else "no command runs it"
        raise BadCheckpoint(f"the model's head is for {found}, and {use}; wanted one for {task}, which is made with: {fit}")
    return encoder.head.find(make)


def plain(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights as `heads.classes` names them, without `task.`."""
    return {name.removeprefix("task."): values for name, values in weights.items()}
