"""What may be chosen of a fine-tuning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite

from xlmr.errors import BadRecipe
from xlmr.heads.classes import PROBLEMS, SINGLE
from xlmr.tasks.answering import STRIDE
from xlmr.tasks.extractors import LONGEST
from xlmr.tasks.taggers import MEAN, POOLINGS
from xlmr.training.finetuning import keeping
from xlmr.training.finetuning.growth import EMBEDDINGS, NOTHING

CLASSIFY, TAG, ANSWER = "classify", "tag", "answer"
LEAST_STEPS, LEAST_EPOCHS = 500, 3
"""A run without `epochs` has as many as make so many steps, and so many at least."""
MEASUREMENTS = 10
"""Of a run on the development set, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a task is learnt. What is None depends on the model or the data, as said."""

    task: str
    epochs: float | None = None
    """Passes over the examples; None: 3, or as many as make 500 steps."""
    batch: int = 32
    """Examples a step (of answers: windows of contexts)."""
    accumulate: int = 1
    """Parts a step is worked in, which takes as much less memory."""
    rate: float | None = None
    """None: by the model's width (`growth.rate`); ten times that with LoRA."""
    head_rate: float | None = None
    """None: as `rate`; 1e-3 where the whole encoder is frozen."""
    by_layer: float = 1.0
    """Each layer's rate as a share of that of the layer above."""
    warmup: float = 0.1
    """Share of the steps in which the rate rises; then it falls to 0, linearly."""
    decay: float = 0.01
    """Weight decay (AdamW)."""
    clip: float = 1.0
    dropout: float | None = None
    """In the encoder and before the head; None: as the model says, 0.1 where it says none."""
    freeze: str = EMBEDDINGS
    """Of the encoder: the `embeddings` alone, the first so many layers with them, `0` for nothing, or `all`. Words that no example has keep
    their place among those that some have: what is learnt of one language is truer of others."""
    lora: int = 0
    """Rank of the adapters that learn instead of the encoder (Hu et al. 2022); 0: none."""
    checkpointing: bool = False
    """Work the layers out again for the gradient instead of keeping what they made: less memory, more time."""
    precision: str = "no"
    """`no` (fp32) or `bf16`."""
    temperature: float = 1.0
    """Languages are mixed by their numbers of examples to the power of 1 / this; 1 leaves them as they are."""
    keep: str = keeping.BEST
    """Of `keeping.KEEP`; without development data the last."""
    patience: int = 0
    """Measurements without a better score after which the run ends; 0: it runs to its end."""
    measurements: int = MEASUREMENTS
    """On the development data, about; evenly over the run, and at its end."""
    seed: int = 1
    problem: str = SINGLE
    """Of classification, as Hugging Face names it."""
    vectors: bool = True
    """Whether a classification learns from a text's calibrated vector too, where the model has a calibration of pieces alone."""
    balanced: bool = False
    """Whether each label counts alike, however many examples it has."""
    words: str = MEAN
    """Whose state is a word's: its first piece's, or the mean of all."""
    chain: bool = False
    """Whether a CRF is learnt on top."""
    longest: int | None = None
    """Tokens of a row; None: what the model takes, of answers 384."""
    stride: int = STRIDE
    """Tokens by which windows of a context overlap."""
    span: int = LONGEST
    """Tokens of an answer, at most."""

    def identity(self, data: Sequence[object]) -> str:
        """What must be the same for a run to go on."""
        return hashlib.sha256(json.dumps([asdict(self), *data], sort_keys=True).encode()).hexdigest()


LARGEST_EPOCHS = 1_000_000
LARGEST_SEED = 2**63 - 1
"""torch's generators take no larger one."""

Range = tuple[Callable[[float], bool], str]
ABOVE_ZERO: Range = (lambda x: x > 0, "above 0")
RANGES: dict[str, Range] = {
    "epochs": (lambda x: 0 < x <= LARGEST_EPOCHS, f"above 0, at most {LARGEST_EPOCHS:,}"),
    "batch": (lambda x: x >= 1, "1 or more"),
    "accumulate": (lambda x: x >= 1, "1 or more"),
    "rate": ABOVE_ZERO,
    "head_rate": ABOVE_ZERO,
    "by_layer": (lambda x: 0 < x <= 1, "above 0, at most 1"),
    "warmup": (lambda x: 0 <= x <= 1, "from 0 to 1"),
    "decay": (lambda x: x >= 0, "0 or more"),
    "clip": ABOVE_ZERO,
    "dropout": (lambda x: 0 <= x < 1, "from 0 up to 1"),
    "lora": (lambda x: x >= 0, "0 or more"),
    "temperature": ABOVE_ZERO,
    "patience": (lambda x: x >= 0, "0 or more"),
    "measurements": (lambda x: x >= 1, "1 or more"),
    "seed": (lambda x: 0 <= x <= LARGEST_SEED, f"from 0 to {LARGEST_SEED:,}"),
    "longest": (lambda x: x >= 8, "8 or more"),
    "stride": (lambda x: x >= 0, "0 or more"),
    "span": (lambda x: x >= 1, "1 or more"),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "task": (CLASSIFY, TAG, ANSWER),
    "precision": ("no", "bf16"),
    "keep": keeping.KEEP,
    "words": POOLINGS,
    "problem": tuple(PROBLEMS),
}


def check(settings: Settings) -> None:
    """Raises BadRecipe where a value cannot be, or two contradict each other."""
    for name, known in CHOICES.items():
        if getattr(settings, name) not in known:
            raise BadRecipe(f"{name} is {getattr(settings, name)!r}, wanted one of {', '.join(known)}")
    for name, (fits, wanted) in RANGES.items():
        value = getattr(settings, name)
        if value is not None and not (isfinite(value) and fits(value)):
            raise BadRecipe(f"{name} is {value}, wanted {wanted}")
    if settings.lora and settings.freeze not in (NOTHING, EMBEDDINGS):
        raise BadRecipe(f"freeze is {settings.freeze!r} beside lora: adapters leave the whole encoder frozen; choose one")
    if settings.lora and settings.keep == keeping.MEAN:
        raise BadRecipe(f"keep is {settings.keep!r} beside lora: means of adapters' factors are no means of weights; choose best or last")
    if settings.balanced and settings.problem != SINGLE:
        raise BadRecipe(f"balanced weights are for one label of several, and the problem is {settings.problem!r}")
