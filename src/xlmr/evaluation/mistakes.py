"""Where a fine-tuned model is wrong: which labels it takes for which, and the examples it does worst on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.evaluation import scoring
from xlmr.evaluation.examination import Evaluation
from xlmr.examples import Asked, Classified, Example, Tagged
from xlmr.heads.classes import SINGLE
from xlmr.tasks import classification


@dataclass(frozen=True, slots=True)
class Confusion:
    """One label found where another was wanted."""

    wanted: str
    found: str
    count: int
    share: float
    """Of all where `wanted` was."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An example whose answer is not right."""

    language: str
    where: str
    """`FILE: line N`."""
    score: float
    """How good the answer is, from 0 to below 1."""
    confidence: float
    """How sure it is."""
    text: str
    """The text, and behind a tab its pair or context; words with spaces between them."""
    words: tuple[str, ...]
    """Those that have tags; none of other tasks."""
    wanted: tuple[str, ...]
    """Labels, tags, or answers that would be right."""
    found: tuple[str, ...]


def check(task: str, encoder: Encoder) -> None:
    """Raises BadInput where the model's head gives a text several labels, or a number: then none is taken for another."""
    if task == scoring.CLASSIFY and (problem := classification.find(encoder).problem) != SINGLE:
        raise BadInput(f"the model's head is for {problem.replace('_', ' ')}; confusions want one label for each text")


def confusions(of: Evaluation[Classified] | Evaluation[Tagged]) -> list[Confusion]:
    """Labels of texts, or tags of words, that were taken for others, the most frequent first; of equals in the order of the alphabet.

    Wants examples of which each has one label, or each word one tag; see `check`.
    """
    pairs = Counter[tuple[str, str]]()
    examples: Sequence[Example] = of.examples
    for example, found in zip(examples, of.found, strict=True):
        pairs.update(zip(_wanted(example), found, strict=True))
    wanted = Counter[str]()
    for (label, _), count in pairs.items():
        wanted[label] += count
    wrong = sorted((-count, pair) for pair, count in pairs.items() if pair[0] != pair[1])
    return [Confusion(*pair, -count, -count / wanted[pair[0]]) for count, pair in wrong]


def worst(of: Evaluation[Classified] | Evaluation[Tagged] | Evaluation[Asked], most: int) -> list[Mistake]:
    """The examples with the worst answers, `most` of them; of equally bad ones those first of which the model was surest."""
    each = of.report.each
    order = np.lexsort((-of.confidence, each))
    return [_mistake(of, int(i)) for i in order[:most] if each[i] < 1]


def _mistake(of: Evaluation[Classified] | Evaluation[Tagged] | Evaluation[Asked], i: int) -> Mistake:
    example: Example = of.examples[i]
    score, sure = float(of.report.each[i]), float(of.confidence[i])
    words = example.words if isinstance(example, Tagged) else ()
    return Mistake(example.language, example.where, score, sure, _text(example), words, _wanted(example), of.found[i])


def _text(example: Example) -> str:
    if isinstance(example, Tagged):
        return " ".join(example.words)
    if isinstance(example, Asked):
        return f"{example.question}\t{example.context}"
    return example.text if example.pair is None else f"{example.text}\t{example.pair}"


def _wanted(example: Example) -> tuple[str, ...]:
    if isinstance(example, Tagged):
        return example.tags
    if isinstance(example, Asked):
        return tuple(text for text, _ in example.answers)
    return example.labels
