"""Whether a translation beside it helps to find a hidden word: the same words, beside their line's translation and beside another line.

The model is shown `<s> A </s></s> B </s>`, a word of A that is one piece hidden. B is A's translation into English (for English A: into
French), or, in the same language and of the same source, the line that follows the translation in a shuffled order.
`new` are the words that stand as they are in neither B, so that they could not be copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlmr.encoder import Encoder
from xlmr.evaluation import prediction
from xlmr.evaluation.benchmarks import Line
from xlmr.evaluation.prediction import FEWEST, Guesses, Prompt
from xlmr.evaluation.questions import Question, draw, look_at, pieces, whole_words

SOURCES = ("ntrex128", "tico19", "bible", "stories")
BESIDE = ("en", "fr")
"""Languages of B, the first that is not A's."""
CONTEXTS = ("translation", "unrelated")
TOPS = {"top1": 1, "top5": 5}


@dataclass(frozen=True, slots=True)
class Case:
    """A hidden word with both contexts, int64 `[pieces]` each."""

    question: Question
    contexts: tuple[np.ndarray, np.ndarray]

    @property
    def new(self) -> bool:
        """Whether the word stands in neither context."""
        return not any(self.question.answer in context for context in self.contexts)


def cases(encoder: Encoder, lines: Sequence[Line], *, count: int, seed: int = 0) -> list[Case]:
    """Up to `count` cases of each language, two of a line at most."""
    marks = look_at(encoder.tokenizer)
    beside = {language: {(line.source, line.id): line.text for line in lines if line.language == language} for language in BESIDE}
    next_to = {language: _following(list(texts), seed) for language, texts in beside.items()}

    def other(line: Line) -> str:
        return next(language for language in BESIDE if language != line.language)

    def contexts(line: Line) -> tuple[np.ndarray, np.ndarray]:
        key, texts = (line.source, line.id), beside[other(line)]
        return pieces(encoder.tokenizer, texts[key]), pieces(encoder.tokenizer, texts[next_to[other(line)][key]])

    fit = [line for line in lines if line.source in SOURCES and (line.source, line.id) in next_to[other(line)]]
    questions = draw(fit, encoder.tokenizer, lambda ids: whole_words(ids, marks), count=count, each=2, seed=seed)
    return [Case(question, contexts(question.line)) for question in questions]


def measure(encoder: Encoder, lines: Sequence[Line], *, count: int, seed: int = 0) -> dict[str, Any]:
    """Top-1 and top-5 in each context: `all` words and the `new` ones, the `mean` of the languages and `languages`."""
    drawn = cases(encoder, lines, count=count, seed=seed)
    text = look_at(encoder.tokenizer).text
    guesses = [prediction.model(encoder, (_prompt(encoder, case, i) for case in drawn), [text])[0] for i in range(len(CONTEXTS))]
    rows: dict[str, list[int]] = {}
    for i, case in enumerate(drawn):
        rows.setdefault(case.question.line.language, []).append(i)
    scored = {language: _score(guesses, of) for language, of in rows.items() if len(of) >= FEWEST}
    return {
        "all": _score(guesses, range(len(drawn))),
        "new": _score(guesses, [i for i, case in enumerate(drawn) if case.new]),
        "mean": {context: {top: _mean([of[context][top] for of in scored.values()]) for top in TOPS} for context in CONTEXTS},
        "languages": scored,
    }


def _prompt(encoder: Encoder, case: Case, context: int) -> Prompt:
    """`<s> A </s></s> B </s>`, the word hidden."""
    shown, eos = prediction.alone(encoder, case.question), encoder.tokenizer.eos_id
    return Prompt([*shown.ids, eos, *case.contexts[context].tolist(), eos], shown.place, shown.answer)


def _score(guesses: Sequence[Guesses], rows: Sequence[int]) -> dict[str, Any]:
    ranks = dict(zip(CONTEXTS, (of.ranks[list(rows)] for of in guesses), strict=True))
    shares = {context: {name: _mean(of < top) for name, top in TOPS.items()} for context, of in ranks.items()}
    return {"questions": len(rows), **shares}


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _following(keys: list[tuple[str, str]], seed: int) -> dict[tuple[str, str], tuple[str, str]]:
    """For each line, the next of its source in a shuffled order; after the last the first. A source's only line has none."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for source in SOURCES:
        mine = sorted(key for key in keys if key[0] == source)
        order = [mine[i] for i in np.random.default_rng(seed).permutation(len(mine))]
        found |= dict(zip(order, order[1:] + order[:1], strict=True)) if len(order) > 1 else {}
    return found
