"""What the classifier of languages owes to each part of its evidence, and what it makes of languages that it does not know: fitted again.

`language.py --parts`, `--unknown` and `--purity` run it, on the texts of `recipes/languages.py`, which `make small` fits on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import languages as recipe
import numpy as np
from language import Texts, merged

from xlmr import encoder, metrics
from xlmr.encoder import Encoder
from xlmr.evaluation import neighbourhoods
from xlmr.heads import loglinear
from xlmr.heads.loglinear import Classifier, Evidence
from xlmr.tasks import evidence
from xlmr.training import confidence, languages, regression
from xlmr.training.recipes import Data
from xlmr.training.regression import Labelled

LAYER = 2
"""Whose states are pooled where the plan measures that: what the fit of the model inside found best."""
IN_SCRIPT = 0.5
"""Share of a text's letters: where less of it is in the scripts of any class, the text is `und` by rule."""
PARTS = {
    "all": ("geometry", "pieces", "runs", "script"),
    "geometry alone": ("geometry",),
    "geometry and script": ("geometry", "script"),
    "without geometry": ("pieces", "runs", "script"),
    "without pieces": ("geometry", "runs", "script"),
    "without characters": ("geometry", "pieces", "script"),
    "without script": ("geometry", "pieces", "runs"),
}


@dataclass(frozen=True)
class Prepared:
    """What is fitted on."""

    encoder: Encoder
    classes: list[str]
    layer: int
    train: Labelled
    held: Labelled

    def fitted(self, named: tuple[str, ...]) -> Classifier:
        """A classifier with these parts of the evidence."""
        settings = replace(recipe.PLAN.settings, parts=named)
        found = regression.learnt(self.train, self.classes, self.encoder.config.vocabulary, self.layer, settings)
        return languages.calibrated(found, self.held)

    def seen(self, texts: Sequence[str], classes: Sequence[str]) -> Evidence:
        """Other texts as a classifier of some classes sees them."""
        return regression.encode(self.encoder, texts, [self.layer], [evidence.written(kind) for kind in classes])[0]


def prepare(model: Path) -> Prepared:
    """The recipe's texts, as a model's classifier sees them."""
    opened = encoder.load(model, threads=2)
    layer = LAYER if recipe.PLAN.layer is None else recipe.PLAN.layer
    train, held = recipe.texts(Data())
    classes = sorted({text.kind for text in train})
    return Prepared(opened, classes, layer, *(languages.labelled(opened, texts, classes, layer) for texts in (train, held)))


def parts(model: Path, *asked: Texts) -> Iterator[list[str]]:
    """Macro F1 with these parts of the evidence and no others, each fitted for itself; `und` is no answer here."""
    of = prepare(model)
    held = [of.seen(one.texts, of.classes) for one in asked]
    for name, named in PARTS.items():
        found = of.fitted(named)
        row = [name]
        for one, texts in zip(held, asked, strict=True):
            scores = loglinear.evidence(found, one if "script" in named else replace(one, shares=np.ones_like(one.shares)))
            row.append(f"{metrics.macro_f1(np.array([named_as(of.classes[i]) for i in scores.argmax(1)]), texts.wanted):.3f}")
        yield row


def unknown(model: Path, *asked: Texts) -> Iterator[list[str]]:
    """What is made of languages that a fit left out; what unknown looks like is learnt from one such fit and asked of the other.

    For each kind of texts the area under the ROC curve of `known`, and the shares of known and of unknown texts that are `und`, in percent.
    """
    of = prepare(model)
    folds = []
    for left in languages.left_out(len(of.classes), recipe.PLAN):
        found, seen = languages.without(left, of.train, of.held, of.classes, of.encoder.config.vocabulary, of.layer, recipe.PLAN)
        folds.append((found, [of.classes[kind] for kind in left], seen))
    for (found, left_out, own), (_, _, other) in zip(folds, folds[::-1], strict=True):
        known = confidence.regressed([other])
        least = np.quantile(confidence.certainties(known, own)[own.known], 1 - recipe.PLAN.coverage)
        row = [", ".join(left_out)]
        for texts in asked:
            strange = np.isin(texts.wanted, [*{*map(named_as, left_out)} - {*map(named_as, found.classes)}])
            shown = of.seen(texts.texts, found.classes)
            sure = confidence.certainties(known, confidence.look_at(found, shown, ~strange))
            sure[shown.shares.max(1) < IN_SCRIPT] = sure.min() - 1
            row.append(f"{metrics.area(sure[~strange], sure[strange]):.3f}")
            row += [f"{100 * np.mean(sure[some] < least):.1f}" for some in (~strange, strange)]
        yield row


def purity(model: str | None, texts: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """The share of a token's ten nearest, of other texts, that is of its language: by layer."""
    opened = encoder.load(model, threads=1)
    for layer, share in neighbourhoods.purity(opened, texts, range(opened.config.layers + 1)).items():
        yield [str(layer), f"{share:.3f}"]


def named_as(kind: str) -> str:
    """The language of a class, as it is counted."""
    return merged(evidence.code_of(kind))
