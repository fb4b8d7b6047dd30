"""A smaller model taught by the larger one that it was made of: what distilling does, and what `prune --recover` does after pruning."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from xlmr.checkpoint import Checkpoint
from xlmr.compression.parts import Parts, Step
from xlmr.errors import BadInput

LEFT = ("state", "state.old", "state.partial", "log.jsonl", "log.partial", "tensorboard")
"""What the training loop writes into a run's folder."""
QUESTIONS = ("XLMRobertaForQuestionAnswering", "XLMRobertaForMultipleChoice")
"""Heads that read pairs of texts, which plain texts are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How a student is taught."""

    steps: int = 1_000
    """0 teaches nothing."""
    batch: int = 4_096
    """Tokens a step."""
    accumulate: int = 1
    """Parts that a step is worked in, which takes as much less memory."""
    rate: float | None = None
    """None: by the model's width (`rate_of`)."""
    soft: float = 5.0
    """Weight of the teacher's predictions, …"""
    hard: float = 2.0
    """… of the pieces that were hidden, …"""
    states: float = 1.0
    """… and of the teacher's states: 5, 2 and 1 are those of DistilBERT, as its authors published the command."""
    temperature: float = 2.0
    """Likewise."""
    embeddings: float = 0.0
    """The embeddings' rate, as a share of `rate`. 0 leaves them the teacher's, and with them whatever reads them alone."""
    masked: float = 0.15
    """Share of the pieces that are hidden."""
    longest: int = 128
    """Tokens of a text."""
    exponent: float = 0.5
    """Languages are mixed by their tokens to this power."""
    precision: str = "no"
    """`no` (fp32) or `bf16`."""
    seed: int = 1
    state: Path | None = None
    """Where the run keeps its state, so that it can go on; None: nowhere."""
    resume: bool = False
    """Go on from there."""

    def __post_init__(self) -> None:
        for name, (fits, wanted) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and fits(value)):
                raise BadInput(f"{name} is {value}, wanted {wanted}")
        if self.precision not in PRECISIONS:
            raise BadInput(f"precision is {self.precision!r}, wanted one of {', '.join(PRECISIONS)}")
        if not self.soft + self.hard + self.states > 0:
            raise BadInput("soft, hard and states all weigh 0, so there is nothing to learn; give one of them a weight")
        if self.resume and self.state is None:
            raise BadInput("there is nothing to resume from: name the folder of the run's state")


PLACES = ("state", "resume")
"""Fields that say where a run lies, on which nothing depends."""
PRECISIONS = ("no", "bf16")
Range = tuple[Callable[[float], bool], str]
NOT_NEGATIVE: Range = (lambda x: x >= 0, "0 or more")
FROM_ONE: Range = (lambda x: x >= 1, "1 or more")
ABOVE_ZERO: Range = (lambda x: x > 0, "above 0")
RANGES: Mapping[str, Range] = {
    "steps": NOT_NEGATIVE, "batch": (lambda x: x >= 8, "8 or more"), "accumulate": FROM_ONE, "rate": ABOVE_ZERO, "soft": NOT_NEGATIVE,
    "hard": NOT_NEGATIVE, "states": NOT_NEGATIVE, "temperature": ABOVE_ZERO, "embeddings": NOT_NEGATIVE,
    "masked": (lambda x: 0 < x < 1, "above 0, below 1"), "longest": (lambda x: x >= 8, "8 or more"),
    "exponent": (lambda x: 0 <= x <= 1, "from 0 to 1"), "seed": (lambda x: 0 <= x < 2**63, "from 0 up to 2 to the power of 63"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it."""

    parts: Parts
    """The student, taught."""
    facts: dict[str, Any]
    """The settings, how many texts and tokens of each language there were, and the losses on held-out texts before and after."""
    heldout: tuple[str, ...]
    """Texts that it has not seen."""


def rate_of(width: int) -> float:
    """The rate where none is given: 1.5e-3 for a width of 256, 5e-4 for 768, DistilBERT's. Inverse to the width (Yang et al. 2022)."""
    return 5e-4 * 768 / width


def recover(parts: Parts, teacher: Checkpoint, texts: Sequence[str], options: Recovery, step: Step) -> Recovered:
    """Teach a student, in parts, what the model it was made of says of texts.

    Each of `texts` is `FILE` or `LANG=FILE`. The vocabulary and the width must be the teacher's; there may be fewer layers, heads and inner
    units. A weight of a layer that is 0 stays 0, so what was pruned stays so. Attachments are left as they were, and those that were fitted
    to states are no longer true of them (`refitting`).

    Raises MissingExtra without torch, BadInput where there are no texts or the model cannot be taught by them, BadLine where a line cannot
    be read, BadRecipe where a run cannot be resumed or its gradient is not finite.
    """
    check(parts, teacher, texts)
    if not options.steps:
        return Recovered(parts, {"settings": {"steps": 0}}, ())
    import xlmr.training  # noqa: F401  # says what is missing, if torch is
    from xlmr.compression import lessons

    return lessons.run(parts, teacher, texts, options, step)


def forget(state: Path) -> None:
    """Remove what a run that has ended left in the folder of its state, and the folder, if nothing else is in it."""
    for path in state.glob("*"):
        if path.name in LEFT:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    with suppress(OSError):
        state.rmdir()


def check(parts: Parts, teacher: Checkpoint, texts: Sequence[str]) -> None:
    """Raises BadInput, before any work is done, where there is nothing to teach with, or no teacher for this student."""
    if not texts:
        raise BadInput("a model is taught by texts, and there are none; name some with --data FILE or --data LANG=FILE")
    if parts.head is not None and parts.head.architecture in QUESTIONS:
        raise BadInput(
            f"{teacher.folder}: its head ({parts.head.architecture}) reads questions with contexts or choices, which plain texts are not; "
            "make the model smaller before it is fine-tuned"
        )
    for name in ("vocabulary", "width"):
        own, theirs = getattr(parts.config, name), getattr(teacher.config, name)
        if own != theirs:
            raise BadInput(f"the student's {name} is {own}, the teacher's {theirs}; wanted the same")
    if parts.config.layers > teacher.config.layers:
        raise BadInput(f"the student has {parts.config.layers} layers, the teacher {teacher.config.layers}; wanted as many or fewer")
