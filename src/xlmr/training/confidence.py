"""How sure a classifier of languages may be: its temperature, and what tells a text of none of its classes.

Nobody has texts of all other languages. So the classifier is fitted again with some of its classes left out, and from those two kinds of
held-out texts, of classes that it knows and of classes that it does not, a logistic regression learns what unknown looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from xlmr import metrics
from xlmr.heads import loglinear
from xlmr.heads.loglinear import Classifier, Evidence

FEW = 10.0
"""Texts that what is usual in all classes counts for in each, so that a class of few is none of its own."""
STEPS = 60
PENALTY = 1e-3
SEVERAL = (0.5, 6.0)
"""Between which temperatures is searched."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The signals of some texts, and which of them are of a class that was known."""

    signals: np.ndarray
    known: np.ndarray
    weight: np.ndarray
    """float64 `[texts]`: those known and those not count the same in all."""


def warmed(of: Classifier, texts: Evidence, wanted: np.ndarray) -> Classifier:
    """The classifier with the temperature under which held-out texts are likeliest (Guo et al. 2017, section 4.2)."""
    scores = torch.from_numpy(loglinear.evidence(replace(of, temperature=1.0), texts).astype(np.float64))
    right = torch.from_numpy(wanted)
    low, high = np.log(SEVERAL)
    for _ in range(40):  # the loss has one minimum: thirds of what is left are dropped until nothing is
        thirds = low + (high - low) / 3, high - (high - low) / 3
        losses = [float(F.cross_entropy(scores / np.exp(at), right)) for at in thirds]
        low, high = (low, thirds[1]) if losses[0] < losses[1] else (thirds[0], high)
    return replace(of, temperature=float(np.exp(low)))


def accustomed(of: Classifier, texts: Evidence, wanted: np.ndarray) -> Classifier:
    """The classifier with what is usual in the texts of each class, of those that it finds."""
    scores = loglinear.evidence(of, texts)
    found, right = loglinear.measured(of, texts, scores), scores.argmax(1) == wanted
    every = found[right].mean(0) if right.any() else found.mean(0)
    rows = [found[right & (wanted == kind)] for kind in range(len(of.classes))]
    usual = np.stack([(own.sum(0) + FEW * every) / (len(own) + FEW) for own in rows])
    return replace(of, usual=usual.astype(np.float32))


def look_at(of: Classifier, texts: Evidence, known: np.ndarray) -> Seen:
    """What a classifier that was fitted without some classes makes of texts of all classes."""
    weight = np.where(known, 1 / max(1, known.sum()), 1 / max(1, (~known).sum()))
    return Seen(loglinear.signals(of, texts, loglinear.evidence(of, texts)), known, weight)


def regressed(seen: list[Seen]) -> np.ndarray:
    """Weights and bias of the logistic regression: float32 `[SIGNALS + 1]`."""
    x = torch.from_numpy(np.concatenate([of.signals for of in seen]).astype(np.float64))
    known = torch.from_numpy(np.concatenate([of.known for of in seen]).astype(np.float64))
    weight = torch.from_numpy(np.concatenate([of.weight for of in seen]) / len(seen) / 2)
    centre, spread = x.mean(0), x.std(0) + 1e-6
    x = (x - centre) / spread
    learnt = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([learnt], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        found = F.binary_cross_entropy_with_logits(x @ learnt[:-1] + learnt[-1], known, weight, reduction="sum")
        found = found + PENALTY * learnt[:-1].square().sum()
        found.backward()
        return found

    search.step(loss)
    moved = learnt.detach()[:-1] / spread
    return torch.cat([moved, (learnt.detach()[-1] - (moved * centre).sum())[None]]).numpy().astype(np.float32)


def certainties(known: np.ndarray, seen: Seen) -> np.ndarray:
    """What the regression makes of them, as log-odds."""
    found: np.ndarray = seen.signals @ known[:-1] + known[-1]
    return found


def crossed(seen: list[Seen], coverage: float) -> dict[str, float]:
    """How well it does on classes that neither the classifier nor the regression has seen: learnt from all folds but one, asked of that."""
    areas, kept, refused = [], [], []
    for i, fold in enumerate(seen):
        rest = [of for j, of in enumerate(seen) if j != i]
        known = regressed(rest)
        least = np.quantile(np.concatenate([certainties(known, of)[of.known] for of in rest]), 1 - coverage)
        found = certainties(known, fold)
        areas.append(metrics.area(found[fold.known], found[~fold.known]))
        kept.append(float(np.mean(found[fold.known] < least)))
        refused.append(float(np.mean(found[~fold.known] < least)))
    return {"area": float(np.mean(areas)), "known_refused": float(np.mean(kept)), "unknown_refused": float(np.mean(refused))}
