"""Texts with the languages of each, as the classifier finds them: what `identification` answers of texts, and `spans` of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xlmr import scripts
from xlmr.encoder import Encoder
from xlmr.heads import loglinear
from xlmr.heads.loglinear import Classifier
from xlmr.tasks import evidence as evidences
from xlmr.tasks.evidence import Text

UNKNOWN = "und"
"""ISO 639-2 for a language that is not known."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language that a text may be in."""

    code: str
    """XLM-R's own, such as `no`, `zh`, `zh-Hant`; `und` for none of those it knows."""
    script: str
    """ISO 15924; for `und` that of most letters, `Zyyy` where there are none."""
    confidence: float
    """Its probability, calibrated on held-out texts. For `und`, that the text is in no language of the classifier's."""


Recognised = tuple[tuple[Language, ...], bool]
"""The languages of a text, best first, and whether it is known."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A classifier and what of it is asked for."""

    classifier: Classifier
    chosen: np.ndarray | None
    """bool `[classes]`: those among which is chosen; None for all, where the answer may be that it is none."""
    top: int

    @property
    def scripts(self) -> list[frozenset[str]]:
        """Those of each class."""
        return [evidences.written(kind) for kind in self.classifier.classes]


def recognise(encoder: Encoder, texts: Sequence[Text], asked: Asked) -> list[Recognised]:
    """A batch of texts: the languages of each, best first, and whether it is known."""
    return recognise_pooled(texts, evidences.pooled(encoder, texts, asked.classifier.layer), asked)


def recognise_pooled(texts: Sequence[Text], pooled: np.ndarray, asked: Asked) -> list[Recognised]:
    """The same from the pooled states of the classifier's layer, `[texts, width]`."""
    classifier, written = asked.classifier, asked.scripts
    counts = [scripts.counted(text.text) for text in texts]
    found = evidences.gather(texts, pooled, counts, written)
    rows = loglinear.known_runs(classifier.keys, found.runs, found.run_starts, classifier.index)
    scores = loglinear.evidence(classifier, found, rows)
    certain = loglinear.certainty(classifier, found, scores, rows)
    if asked.chosen is not None:
        scores = np.where(asked.chosen, scores, -np.inf)
    ranked = _languages(asked, loglinear.probabilities(scores.astype(np.float64)))
    every = frozenset[str]().union(*written)
    return [
        _answer(scripts.most(letters), asked, of, sure, every, fitting)
        for letters, of, sure, fitting in zip(counts, ranked, certain.tolist(), found.shares, strict=True)
    ]


def _answer(
    script: str, asked: Asked, ranked: Sequence[tuple[int, float]], certain: float, every: frozenset[str], fitting: np.ndarray
) -> Recognised:
    """What is said of a text: from its script, its classes with their shares, its certainty, and how its letters fit each class."""
    if script == scripts.ANY or (asked.chosen is None and not scripts.parts([script]) & every):
        return (Language(UNKNOWN, script, 1.0),), False
    known = asked.chosen is not None or certain >= asked.classifier.threshold
    found = []
    for i, share in ranked if known else ranked[: asked.top - 1]:
        kind = asked.classifier.classes[i]
        confidence = min(1.0, share) * (1 if known else certain)
        found.append(Language(evidences.code_of(kind), _script(kind, script, bool(fitting[i])), confidence))
    return (tuple(found), True) if known else ((Language(UNKNOWN, script, 1 - certain), *found), False)


def _languages(asked: Asked, shares: np.ndarray) -> list[list[tuple[int, float]]]:
    """For each text the likeliest languages, `top` of them: the likelier of its classes, and the share of all of them together."""
    chosen = None if asked.chosen is None else tuple(np.flatnonzero(asked.chosen).tolist())
    groups, member = _grouped(asked.classifier.classes, chosen)
    together = shares @ member
    order = np.argsort(-together, axis=1, kind="stable")[:, : asked.top]
    return [
        [(groups[at][0] if len(groups[at]) == 1 else max(groups[at], key=own.__getitem__), float(of[at])) for at in best]
        for best, of, own in zip(order.tolist(), together, shares, strict=True)
    ]


@lru_cache(maxsize=16)
def _grouped(classes: tuple[str, ...], chosen: tuple[int, ...] | None) -> tuple[list[list[int]], np.ndarray]:
    """The classes of each language, and which they are: float64 `[classes, languages]`."""
    held: dict[str, list[int]] = {}
    for i in range(len(classes)) if chosen is None else chosen:
        held.setdefault(evidences.code_of(classes[i]), []).append(i)
    member = np.zeros((len(classes), len(held)))
    for at, group in enumerate(held.values()):
        member[group, at] = 1
    return [*held.values()], member


@lru_cache(maxsize=1 << 14)
def _script(kind: str, script: str, fits: bool) -> str:
    """The script of a text in a class: of those the class is written in, the text's; the text's own where it has no letter of them."""
    if not fits:
        return script
    codes = evidences.script_codes(kind)
    return next((code for code in codes if script in (code, *scripts.parts([code]))), codes[0])
