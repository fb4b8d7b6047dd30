"""`fit languages`: the classifier of languages for an encoder, from texts with their languages, as an attachment beside its weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
from tqdm import tqdm

from xlmr import metrics
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.heads import loglinear as heads
from xlmr.heads.loglinear import Classifier
from xlmr.tasks import evidence as evidences
from xlmr.tasks.recognition import Asked
from xlmr.tasks.spans import likeliest, word_scores
from xlmr.training import confidence, regression
from xlmr.training.crops import Text
from xlmr.training.regression import Labelled, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a classifier is fitted."""

    settings: Settings = field(default_factory=Settings)
    layer: int | None = None
    """The layer whose states are pooled; None measures which."""
    few: int = 60
    """Texts of each class by which the layers are measured."""
    folds: int = 2
    """Further fits that leave classes out, to learn what unknown ones look like."""
    left_out: int = 15
    """Classes that each of them leaves out, at most one in four."""
    coverage: float = 0.9875
    """Share of the held-out texts of known languages that is to be taken for known."""
    mixtures: int = 300
    """Held-out texts of two languages by which the price of a change is measured."""


SHARES = {"sr": 0.75, "sr-Latn": 0.25}
"""What part of a language's texts is taken to be in each of its classes: two classes else make it twice as likely as any other. That one
in four of Serbian's is in Latin letters is a guess that went well with the sentences of SIB-200."""
SWITCHES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def fit(encoder: Encoder, train: Sequence[Text], heldout: Sequence[Text], plan: Plan) -> tuple[Classifier, dict[str, Any]]:
    """A classifier of the classes of `train`, and what was measured of it on `heldout`.

    The same texts, encoder and plan give the same classifier on the same machine. Raises BadInput where there are too few texts or classes.
    """
    classes = sorted({text.kind for text in train})
    if len(classes) < 2 or {text.kind for text in heldout} - {*classes}:
        raise BadInput(f"found texts of {len(classes)} languages to fit on; wanted two or more, those held out among them")
    layers = layer_scores(encoder, train, heldout, plan) if plan.layer is None else {plan.layer: float("nan")}
    layer = max(layers, key=lambda at: (layers[at], -at))
    say(f"layer {layer}; looking at {len(train):,} texts, and at {len(heldout):,} that are held out")
    seen, held = (labelled(encoder, texts, classes, layer) for texts in (train, heldout))
    vocabulary = encoder.config.vocabulary
    say("fitting")
    found = calibrated(regression.learnt(seen, classes, vocabulary, layer, plan.settings), held)
    folds = [without(left, seen, held, classes, vocabulary, layer, plan)[1] for left in left_out(len(classes), plan)]
    known = confidence.regressed(folds)
    found = replace(found, known=known)
    sure = heads.certainty(found, held.evidence, heads.evidence(found, held.evidence))
    found = replace(found, threshold=max(1e-6, float(np.quantile(sure, 1 - plan.coverage))))
    switch, agreement = switch_cost(encoder, found, heldout, plan)
    found = replace(found, switch=switch)
    measured = {"layers": {str(at): score for at, score in layers.items() if score == score}, **scores(found, held)}
    measured |= {"unknown": confidence.crossed(folds, plan.coverage)} if len(folds) > 1 else {}
    return found, measured | {"words_in_mixtures": agreement}


def calibrated(of: Classifier, held: Labelled) -> Classifier:
    """A classifier whose classes share their language, as sure as it is right on held-out texts, and with what is usual in those."""
    shared = replace(of, bias=of.bias + _shares(of.classes))
    return confidence.accustomed(confidence.warmed(shared, held.evidence, held.wanted), held.evidence, held.wanted)


def _shares(classes: Sequence[str]) -> np.ndarray:
    """The logarithm of each class's part of its language: float32 `[classes]`, 0 where it is the only one."""
    of = [evidences.code_of(kind) for kind in classes]
    parts = [SHARES.get(kind, 1.0) for kind in classes]
    every = [sum(part for part, other in zip(parts, of, strict=True) if other == code) for code in of]
    found: np.ndarray = np.log(np.array(parts) / np.array(every)).astype(np.float32)
    return found


def labelled(encoder: Encoder, texts: Sequence[Text], classes: Sequence[str], layer: int) -> Labelled:
    """Texts as the classifier sees them, after one layer."""
    (evidence,) = regression.encode(encoder, [text.text for text in texts], [layer], [evidences.written(kind) for kind in classes])
    return Labelled(evidence, _numbered(texts, classes))


def _numbered(texts: Sequence[Text], classes: Sequence[str]) -> np.ndarray:
    number = {kind: i for i, kind in enumerate(classes)}
    return np.array([number[text.kind] for text in texts], np.int64)


def scores(of: Classifier, held: Labelled) -> dict[str, Any]:
    """What it is worth on held-out texts: macro F1, calibration error, the share taken for unknown."""
    found = heads.evidence(of, held.evidence)
    shares, best = heads.probabilities(found), found.argmax(1)
    sure = heads.certainty(of, held.evidence, found)
    return {
        "texts": len(best),
        "macro_f1": metrics.macro_f1(best, held.wanted),
        "calibration_error": metrics.calibration_error(shares.max(1), best == held.wanted),
        "known_refused": float(np.mean(sure < of.threshold)),
    }


# -- which layer --


def layer_scores(encoder: Encoder, train: Sequence[Text], heldout: Sequence[Text], plan: Plan) -> dict[int, float]:
    """Macro F1 of the geometry alone on held-out texts, by layer: from the embeddings to the middle, at most six of them.

    Lower layers tell languages apart as well as higher ones do, and cost less; the states of the last ones serve the prediction of words.
    """
    classes = sorted({text.kind for text in train})
    layers = sorted({round(at) for at in np.linspace(0, max(1, encoder.config.layers // 2), 6)})
    some, asked = (few(texts, plan.few) for texts in (train, heldout))
    written = [evidences.written(kind) for kind in classes]
    settings = replace(plan.settings, parts=("geometry",))
    found = {}
    for layer, one, other in zip(
        layers,
        regression.encode(encoder, [text.text for text in some], layers, written),
        regression.encode(encoder, [text.text for text in asked], layers, written),
        strict=True,
    ):
        of = regression.learnt(Labelled(one, _numbered(some, classes)), classes, encoder.config.vocabulary, layer, settings)
        best = (of.bias + heads.standard(of, other.pooled) @ of.geometry).argmax(1)
        found[layer] = metrics.macro_f1(best, _numbered(asked, classes))
        say(f"layer {layer}: macro F1 of the geometry alone {found[layer]:.3f}")
    return found


def few(texts: Sequence[Text], count: int) -> list[Text]:
    """The first so many of each class."""
    held: dict[str, list[Text]] = {}
    for text in texts:
        if len(of := held.setdefault(text.kind, [])) < count:
            of.append(text)
    return [text for of in held.values() for text in of]


# -- what is unknown --


def left_out(classes: int, plan: Plan) -> list[np.ndarray]:
    """The classes that each fold leaves out, drawn without meeting; none where there are too few."""
    size = min(plan.left_out, classes // (2 * max(1, plan.folds)), classes // 4)
    order = np.random.default_rng(plan.settings.seed).permutation(classes)
    return [np.sort(order[i : i + size]) for i in range(0, size * plan.folds, size)] if size else []


def without(
    left: np.ndarray, train: Labelled, held: Labelled, classes: Sequence[str], vocabulary: int, layer: int, plan: Plan
) -> tuple[Classifier, confidence.Seen]:
    """A fit without some classes, and what it makes of the held-out texts of all."""
    say(f"fitting without {', '.join(classes[kind] for kind in left)}")
    kept = np.setdiff1d(np.arange(len(classes)), left)
    hasty = replace(plan.settings, passes=plan.settings.passes / 2)  # enough to see what is strange
    of = regression.learnt(only(train, kept), [classes[kind] for kind in kept], vocabulary, layer, hasty)
    known = np.isin(held.wanted, kept)
    of = calibrated(of, only(held, kept))
    return of, confidence.look_at(of, replace(held.evidence, shares=held.evidence.shares[:, kept]), known)


def only(of: Labelled, kept: np.ndarray) -> Labelled:
    """The texts of some classes, numbered anew."""
    rows = np.flatnonzero(np.isin(of.wanted, kept))
    return Labelled(regression.rows_of(of.evidence, rows, kept), np.searchsorted(kept, of.wanted[rows]))


# -- what a change within a text costs --


def switch_cost(encoder: Encoder, of: Classifier, heldout: Sequence[Text], plan: Plan) -> tuple[float, float]:
    """The price of a change under which most words of mixed texts are given their own language; and what share that is."""
    asked = Asked(of, None, 1)
    asked_about = ((word_scores(encoder, text, asked), wanted) for text, wanted in mixtures(heldout, plan))
    mixed = [(found, [of.classes.index(kind) for kind in wanted]) for found, wanted in asked_about if len(found) == len(wanted)]
    if not mixed:
        return SWITCHES[len(SWITCHES) // 2], float("nan")
    shares = {
        cost: float(np.mean(np.concatenate([np.array(likeliest(found, cost)) == wanted for found, wanted in mixed]))) for cost in SWITCHES
    }
    best = max(shares, key=shares.__getitem__)
    return best, shares[best]


def mixtures(texts: Sequence[Text], plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """Texts of three to six words of one language after as many of another, and the class of each word."""
    dice = Random(plan.settings.seed)
    long = [text for text in texts if len(text.text.split()) > 2]
    for _ in range(plan.mixtures if len(long) > 1 else 0):
        parts = [(text.kind, text.text.split()[: dice.randint(3, 6)]) for text in dice.sample(long, 2)]
        yield " ".join(word for _, words in parts for word in words), [kind for kind, words in parts for word in words]


def say(line: str) -> None:
    """A line of progress."""
    tqdm.write(line, file=sys.stderr)
