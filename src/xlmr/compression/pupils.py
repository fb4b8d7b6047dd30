"""Student and teacher as modules: what both make of a batch, held against each other. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xlmr.checkpoint import Checkpoint, head_weights
from xlmr.compression.imitation import Predictions, Weights
from xlmr.compression.parts import Parts
from xlmr.compression.recovering import Recovery
from xlmr.runtimes.torch import Encoder, build, load
from xlmr.training.objectives import Inputs

OF_TEXTS = "XLMRobertaForSequenceClassification"
Sums = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums over what a batch has."""

    predicted: Tensor
    """`[]`: the weighted sum over predictions of soft and hard; it has a gradient, the three below have none."""
    soft: Tensor
    hard: Tensor
    agreed: Tensor
    """Predictions of which both think the same likeliest."""
    states: Tensor
    """`[]`: over tokens, the mean of the layers; it has a gradient."""

    def means(self, predictions: int, tokens: int) -> dict[str, Tensor]:
        """Of a prediction, and of a token."""
        sums = {"soft": self.soft, "hard": self.hard, "agreed": self.agreed}
        return {name: of.detach() / max(1, predictions) for name, of in sums.items()} | {"states": self.states.detach() / max(1, tokens)}


class TaskHead(nn.Module):
    """Hugging Face's head for texts, or for words: what it says is compared number by number.

    Two heads that give the same logits answer alike, whatever is made of the logits: one label, several, a number, or the path of a CRF
    (Ba and Caruana 2014, "Do deep nets really need to be deep?", section 2.2, regress on logits).
    """

    def __init__(self, architecture: str, weights: Mapping[str, np.ndarray]) -> None:
        """`weights` have the names of `tensors.TASK_HEADS`, as `task.*`."""
        super().__init__()
        self.of_texts = architecture == OF_TEXTS
        """Whether the state of `<s>` is asked, else that of every token."""
        self.dense = _linear(weights, "task.dense") if "task.dense.weight" in weights else None
        self.out = _linear(weights, "task.out")

    def forward(self, states: Tensor, given: Inputs) -> Tensor:
        """`[tokens, width]` to `[rows, labels]` or `[tokens, labels]`, float32."""
        asked = states.index_select(0, given.begins) if self.of_texts else states
        if self.dense is not None:
            asked = torch.tanh(self.dense(asked))
        found: Tensor = self.out(asked)
        return found.float()


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who is imitated. Nothing of it learns."""

    encoder: Encoder
    head: TaskHead | None


class Pupil(nn.Module):
    """The student, as a module that makes its losses."""

    def __init__(self, encoder: Encoder, head: TaskHead | None, weights: Weights, states: float) -> None:
        """`states` is the weight of the states; where it is 0 they are not compared."""
        super().__init__()
        self.encoder, self.head = encoder, head
        self.tables = frozenset(name for name, _ in self.named_parameters() if name.startswith("encoder.embeddings.") or "words" in name)
        """Which parameters are the embeddings'; an untied output table is one of them."""
        self._weights, self._states = weights, states

    @property
    def predicts(self) -> bool:
        """Whether hidden pieces are predicted: it has the head for that, and no other."""
        return self.head is None and self.encoder.head is not None

    def forward(self, given: Inputs, teacher: Teacher) -> Losses:
        """Of a batch."""
        compared = range(1, self.encoder.config.layers + 1) if self._states else (self.encoder.config.layers,)
        own = self.encoder(given.packed, compared)
        with torch.no_grad():
            theirs = teacher.encoder(given.packed, [followed(self.encoder, teacher.encoder)[layer - 1] for layer in compared])
        apart = torch.stack([_apart(a, b) for a, b in zip(own, theirs, strict=True)]).mean() if self._states else own[-1].sum() * 0
        return Losses(*self._predictions(own[-1], theirs[-1], given, teacher), apart)

    def _predictions(self, own: Tensor, theirs: Tensor, given: Inputs, teacher: Teacher) -> Sums:
        if self.head is not None and teacher.head is not None:
            return self._answers(self.head(own, given), theirs, given, teacher.head)
        if not self.predicts:
            none = own.sum() * 0
            return none, none.detach(), none.detach(), none.detach()
        with torch.no_grad():
            heard = teacher.encoder.transform(theirs.index_select(0, given.picks))
        asked = self.encoder.transform(own.index_select(0, given.picks))
        found: Sums = Predictions.apply(  # type: ignore[no-untyped-call]
            asked, *self.encoder.output_table(), heard, teacher.encoder.output_table(), given.targets, self._weights
        )
        return found

    def _answers(self, said: Tensor, theirs: Tensor, given: Inputs, teacher: TaskHead) -> Sums:
        """Squared differences of logits, the mean of a prediction's; nothing hard."""
        with torch.no_grad():
            wanted = teacher(theirs, given)
        apart = (said - wanted).square().mean(-1).sum()
        agreed = (said.argmax(-1) == wanted.argmax(-1)).sum().float()
        return self._weights.soft * apart, apart.detach(), apart.detach() * 0, agreed


def followed(student: Encoder, teacher: Encoder) -> list[int]:
    """After which of the teacher's layers the states are that each of the student's follows: evenly spaced, the last the last."""
    few, many = student.config.layers, teacher.config.layers
    return [round(many * layer / few) for layer in range(1, few + 1)]


def pupil_of(parts: Parts, options: Recovery) -> Pupil:
    """A student as it begins: what is not to learn is frozen, and zeros stay."""
    encoder = build(parts.config, parts.weights, head="head.bias" in parts.weights)
    head = None if parts.head is None else TaskHead(parts.head.architecture, parts.head.weights)
    pupil = Pupil(encoder, head, Weights(options.soft, options.hard, options.temperature), options.states)
    for name, parameter in pupil.named_parameters():
        if name in pupil.tables:
            parameter.requires_grad_(options.embeddings > 0)
        elif parameter.ndim == 2:
            keep_zeros(parameter)
    return pupil


def keep_zeros(parameter: nn.Parameter) -> None:
    """Let weights that are 0 stay so: without a gradient AdamW moves nothing that is 0."""
    kept = parameter.detach() != 0
    if not bool(kept.all()):
        parameter.register_hook(lambda slope: slope * kept.to(slope.device))


def teacher_of(checkpoint: Checkpoint, pupil: Pupil, device: torch.device) -> Teacher:
    """The teacher on a device. Where its embeddings are the student's, and stay so, both have one table."""
    encoder = load(checkpoint)
    head = TaskHead(checkpoint.task.architecture, head_weights(checkpoint)) if checkpoint.task and pupil.head is not None else None
    own = pupil.encoder.embeddings.words
    if not own.weight.requires_grad and torch.equal(own.weight, encoder.embeddings.words.weight):
        pupil.to(device)
        encoder.embeddings.words.weight = own.weight
    encoder.requires_grad_(False)
    return Teacher(encoder.to(device).eval(), None if head is None else head.requires_grad_(False).to(device).eval())


def _apart(own: Tensor, theirs: Tensor) -> Tensor:
    """How far the cosines are from 1, summed over tokens."""
    return (1 - F.cosine_similarity(own.float(), theirs.float(), dim=-1)).sum()


def _linear(weights: Mapping[str, np.ndarray], name: str) -> nn.Linear:
    weight, bias = (torch.from_numpy(np.ascontiguousarray(weights[f"{name}.{part}"])) for part in ("weight", "bias"))
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.load_state_dict({"weight": weight, "bias": bias})
    return made
