"""What the calibrated vector of a text says of its labels, beside what a head says of the state of `<s>`.

A calibration that is of pieces alone (`heads.calibration`) has alike vectors for texts that mean the same, in whatever language, and no
training of the encoder wears that off. So where a model has one, fine-tuning learns a second head, a logistic regression of these vectors,
each by a loss of its own, and their logits are added: a product of experts (Hinton 2002, "Training products of experts by minimizing
contrastive divergence", section 1). The first, which fits its examples closely and is surest where it knows least, is made softer for that,
and counts for as much as it can know of a text: the share of its pieces that were in the examples. The second lies beside it as
`classifying.safetensors`; Hugging Face's classes know the first alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint
from xlmr.heads import calibration
from xlmr.heads.calibration import Calibration
from xlmr.tasks import calibrations

NAME = "classifying"
SOFTER = 0.2
"""What the first head's logits are multiplied by. Without that other languages lose what the second one knows of them: of SIB-200, learnt
from four fifths of the English training sentences and asked in the rest of them in 23 languages, .34 instead of .40 are right."""
FIT = "xlmr finetune classify --train FILE --dev FILE --output DIR"
SEEN = "seen"
WHERE = f"{NAME}{attachments.SUFFIX}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A linear head on calibrated vectors."""

    calibration: Calibration
    weight: np.ndarray
    """float32 `[labels, size]`."""
    bias: np.ndarray
    """float32 `[labels]`."""
    seen: np.ndarray | None = None
    """Ascending: the numbers of the pieces that were in the examples; None where an older model does not say."""

    def share(self, ids: np.ndarray, config: Config) -> float:
        """What the other head's logits are multiplied by, for a text of these ids, `<s> … </s>`."""
        return 1.0 if self.seen is None else share(self.calibration, self.seen, ids, config)

    def logits(self, ids: np.ndarray, config: Config) -> np.ndarray:
        """Of one text, float32 `[labels]`, from its ids, `<s> … </s>`."""
        found: np.ndarray = self.weight @ vector(self.calibration, ids, config) + self.bias
        return found


def vector(of: Calibration, ids: np.ndarray, config: Config) -> np.ndarray:
    """The calibrated vector of a text, or of a pair, from its ids, int64, `<s>` and `</s>` among them: float32 `[size]`."""
    return calibration.vector(of, _pieces(ids, config), None)


def seen_in(of: Calibration, texts: Iterable[np.ndarray], config: Config) -> np.ndarray:
    """The numbers of the pieces of some texts, ascending, each once."""
    pieces = [_pieces(ids, config) for ids in texts]
    return np.unique(_numbers(of, np.concatenate([np.empty(0, np.int64), *pieces])))


def share(of: Calibration, seen: np.ndarray, ids: np.ndarray, config: Config) -> float:
    """How many of a text's pieces are among those `seen`, from 0 to 1; 1 where it has none."""
    pieces = _pieces(ids, config)
    return float((calibration.found_in(seen, _numbers(of, pieces)) >= 0).mean()) if len(pieces) else 1.0


def _pieces(ids: np.ndarray, config: Config) -> np.ndarray:
    found: np.ndarray = ids[(ids != config.bos_id) & (ids != config.eos_id)]
    return found


def _numbers(of: Calibration, pieces: np.ndarray) -> np.ndarray:
    assert of.table is not None
    return calibration.numbered(of.table, pieces).astype(np.int64)


def find(encoder: Encoder, labels: int) -> Meaning | None:
    """What lies beside a head of so many labels; None where nothing does. Raises BadCheckpoint where it is broken or has no calibration."""

    def make(found: Attachment) -> Meaning:
        of = calibrations.find(encoder)
        if of is None or of.states is not None:
            raise BadCheckpoint(f"{WHERE}: needs {calibrations.WHERE} beside it, of pieces alone; fine-tune it again: {FIT}")
        shapes = {"weight": (labels, of.size), "bias": (labels,)}
        seen = np.unique(attachments.array(found, SEEN, "ui", (None,), WHERE).astype(np.int64)) if SEEN in found.arrays else None
        return Meaning(of, **{name: attachments.array(found, name, "f", shape, WHERE) for name, shape in shapes.items()}, seen=seen)

    return encoder.attachments.find(NAME, FIT, make) if encoder.attachments else None


def pack(weight: np.ndarray, bias: np.ndarray, seen: np.ndarray | None = None) -> Attachment:
    """What is kept beside a head, of a regression's weights `[labels, size]` and bias `[labels]`, and of the pieces in its examples."""
    arrays = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return Attachment(arrays if seen is None else {**arrays, SEEN: seen.astype(np.uint32)})
