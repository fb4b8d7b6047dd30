"""What an exported model gives, by task: the names that Hugging Face's consumers expect, and their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xlmr.checkpoint import Checkpoint
from xlmr.errors import BadInput

INPUTS = ("input_ids", "attention_mask")
"""int64 `[batch, sequence]`, padded to the right with `pad_id`; the mask is 0 there, else 1."""
Shape = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a model."""

    name: str
    """Hugging Face's."""
    outputs: tuple[str, ...]
    architecture: str
    """Hugging Face's class for it."""

    @property
    def signature(self) -> str:
        """The name where hyphens are none."""
        return self.name.replace("-", "_")


ENCODER = Task("feature-extraction", ("last_hidden_state",), "XLMRobertaModel")
MASKS = Task("fill-mask", ("logits",), "XLMRobertaForMaskedLM")
HEADED = (
    Task("text-classification", ("logits",), "XLMRobertaForSequenceClassification"),
    Task("token-classification", ("logits",), "XLMRobertaForTokenClassification"),
    Task("question-answering", ("start_logits", "end_logits"), "XLMRobertaForQuestionAnswering"),
)
"""Those of a fine-tuned head, with its class in `tensors.TASK_HEADS`."""
TASKS: Mapping[str, Task] = {task.name: task for task in (ENCODER, MASKS, *HEADED)}


def possible(model: Checkpoint) -> tuple[Task, ...]:
    """The tasks a model can be exported for: first that of its head, last the encoder alone."""
    head = [task for task in HEADED if model.task and task.architecture == model.task.architecture]
    masks = [MASKS] if model.has_mlm_head else []
    return (*head, *masks, ENCODER)


def find(model: Checkpoint, name: str | None) -> Task:
    """The task by its name; without one what the model's head is for. Raises BadInput where the model has no such head."""
    known = {task.name: task for task in possible(model)}
    if name is None and model.task and not {*HEADED} & {*known.values()}:
        raise BadInput(f"{model.folder}: its head is for {model.task.task}, which is not exported; --task {ENCODER.name} leaves it out")
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise BadInput(f"{model.folder}: cannot be exported for {name!r}; its weights are good for {', '.join(known)}")
    return known[name]


def shapes(task: Task, model: Checkpoint) -> dict[str, Shape]:
    """Of each output; sizes that a batch chooses have names."""
    config, labels = model.config, len(model.task.labels) if model.task else 0
    each: Mapping[str, Shape] = {
        "feature-extraction": ("batch", "sequence", config.width),
        "fill-mask": ("batch", "sequence", config.vocabulary),
        "text-classification": ("batch", labels),
        "token-classification": ("batch", "sequence", labels),
        "question-answering": ("batch", "sequence"),
    }
    return dict.fromkeys(task.outputs, each[task.name])
