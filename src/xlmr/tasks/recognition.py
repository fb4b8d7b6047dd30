"""Texts with the languages of each, as the classifier finds them: what `identification` answers of texts, and `spans` of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xlmr import languages, scripts
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


def recognise(encoder: Encoder, texts: Sequence[Text], asked: Asked) -> list[tuple[tuple[Language, ...], bool]]:
    """A batch of texts: the languages of each, best first, and whether it is known."""
    classifier, written = asked.classifier, asked.scripts
    found = evidences.gather(encoder, texts, classifier.layer, written)
    scores = loglinear.evidence(classifier, found)
    certain = loglinear.certainty(classifier, found, scores)
    if asked.chosen is not None:
        scores = np.where(asked.chosen, scores, -np.inf)
    shares = loglinear.probabilities(scores.astype(np.float64))
    every = frozenset[str]().union(*written)
    return [
        _ranked(text.text, asked, of, float(sure), every, found.shares[i])
        for i, (text, of, sure) in enumerate(zip(texts, shares, certain, strict=True))
    ]


def _ranked(
    text: str, asked: Asked, shares: np.ndarray, certain: float, every: frozenset[str], fitting: np.ndarray
) -> tuple[tuple[Language, ...], bool]:
    script = scripts.main(text)
    if script == scripts.ANY or (asked.chosen is None and not scripts.parts([script]) & every):
        return (Language(UNKNOWN, script, 1.0),), False
    ranked = _languages(asked, shares, script, fitting)
    if asked.chosen is not None or certain >= asked.classifier.threshold:
        return tuple(ranked[: asked.top]), True
    rest = (Language(of.code, of.script, of.confidence * certain) for of in ranked[: asked.top - 1])
    return (Language(UNKNOWN, script, 1 - certain), *rest), False


def _languages(asked: Asked, shares: np.ndarray, script: str, fitting: np.ndarray) -> list[Language]:
    """Languages by their probability, the classes of one together."""
    held: dict[str, tuple[float, int]] = {}
    for i in np.argsort(-shares, kind="stable"):
        if asked.chosen is None or asked.chosen[i]:
            code = evidences.code_of(asked.classifier.classes[i])
            before = held.get(code)
            held[code] = (float(shares[i]) + (before[0] if before else 0.0), before[1] if before else int(i))
    order = sorted(held.items(), key=lambda item: -item[1][0])
    return [Language(code, _script(asked.classifier.classes[i], script, float(fitting[i])), min(1.0, share)) for code, (share, i) in order]


def _script(kind: str, script: str, fitting: float) -> str:
    """The script of a text in a class: of those the class is written in, the text's; the text's own where it has no letter of them."""
    if not fitting:
        return script
    codes = languages.written(kind)
    return next((code for code in codes if script in (code, *scripts.parts([code]))), codes[0])
