"""Hidden pieces: how high the right one stands, and how many bits it costs; for a model, for counts, by language and by source.

Two kinds of questions:
- whole words that are one piece, one hidden in each line. Right is the piece itself, first or among the first five of all pieces but
  the special ones; no other form or synonym counts. The counts are of whole words that are one piece, so they know what a model has to
  find out; `model_words` is the model choosing among pieces that can be such words too.
- any pieces, for bits per character. One piece is hidden at a time and all others are seen, on both sides: bits of a pseudo-likelihood
  (Salazar et al. 2020, section 2), which compare with each other but not with a left-to-right model's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xlmr import batching, metrics
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.evaluation import guesser
from xlmr.evaluation.guesser import Corpus, Text
from xlmr.evaluation.questions import Marks, Question, known, whole_words

FEWEST = 20
"""Questions that a language needs for a score of its own, and for a part in the mean."""
BLOCK = 128
"""Questions that counts answer at a time: a vocabulary of chances for each."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown."""

    ids: list[int]
    """With `<s>`, `</s>` and the mask."""
    place: int
    """Of the mask."""
    answer: int


@dataclass(frozen=True, slots=True)
class Guesses:
    """How some questions were answered, `[questions]` each."""

    ranks: np.ndarray
    """int64: how many pieces were thought likelier than the right one."""
    bits: np.ndarray
    """float64: minus the binary logarithm of the right one's probability."""


def judge(scores: np.ndarray, answers: np.ndarray, candidates: np.ndarray) -> Guesses:
    """Scores `[questions, vocabulary]` (logits, or logarithms of chances) judged among the candidates, bool `[vocabulary]`.

    An answer that is no candidate is ranked behind all, at infinitely many bits.
    """
    held = np.where(candidates, scores.astype(np.float64), -np.inf)
    own = held[np.arange(len(answers)), answers]
    top = held.max(1)
    total = top + np.log(np.exp(held - top[:, None]).sum(1))
    return Guesses(metrics.ranks(held, answers), (total - own) / np.log(2))


def alone(encoder: Encoder, question: Question) -> Prompt:
    """The line by itself: `<s> A </s>`."""
    ids = [encoder.tokenizer.bos_id, *question.ids.tolist(), encoder.tokenizer.eos_id]
    ids[question.place + 1] = encoder.tokenizer.mask_id
    return Prompt(ids, question.place + 1, question.answer)


def model(encoder: Encoder, prompts: Iterable[Prompt], candidates: Sequence[np.ndarray]) -> list[Guesses]:
    """A model's guesses, once for each set of candidates."""

    def answer(batch: list[Prompt]) -> list[list[Guesses]]:
        picks = [(row, prompt.place) for row, prompt in enumerate(batch)]
        logits = encoders.mlm_logits(encoder, [prompt.ids for prompt in batch], picks)
        answers = np.array([prompt.answer for prompt in batch])
        return [[judge(logits[i : i + 1], answers[i : i + 1], mask) for mask in candidates] for i in range(len(batch))]

    return [_join(of) for of in zip(*batching.run(prompts, lambda prompt: len(prompt.ids), answer), strict=True)]


def counts(corpus: Corpus, questions: Sequence[Question], marks: Marks, *, words: bool,
           contexts: Sequence[Sequence[tuple[int, ...]]]) -> list[Guesses]:  # fmt: skip
    """The guesses of counts, once for each choice of contexts. With `words` whole words alone are counted and proposed."""
    size, candidates = len(marks.text), marks.word if words else marks.text
    places, guesses = [], []
    for language in dict.fromkeys(question.line.language for question in questions):
        mine = [i for i, question in enumerate(questions) if question.line.language == language]
        text = _targets(guesser.of_language(corpus, language, size), marks, words)
        for start in range(0, len(mine), BLOCK):
            rows = mine[start : start + BLOCK]
            asked = _asked([questions[i] for i in rows], size)
            answers = asked.pieces[asked.places]
            found = [np.log(guesser.chances(text, asked, size, chosen)) for chosen in contexts]
            guesses.append([judge(scores, answers, candidates) for scores in found])
            places += rows
    order = np.argsort(places)
    joined = [_join(of) for of in zip(*guesses, strict=True)]
    return [Guesses(of.ranks[order], of.bits[order]) for of in joined]


def words(questions: Sequence[Question], guesses: Guesses) -> dict[str, Any]:
    """Top-1, top-5 and bits of a word: `mean` of the languages, `all` questions alike, `languages`, `sources`."""

    def score(rows: np.ndarray) -> dict[str, float]:
        ranks, bits = guesses.ranks[rows], guesses.bits[rows]
        return {"questions": len(rows), "top1": float(np.mean(ranks < 1)), "top5": float(np.mean(ranks < 5)), "bits": float(np.mean(bits))}

    return _summary(questions, score)


def characters(questions: Sequence[Question], guesses: Guesses, marks: Marks) -> dict[str, Any]:
    """Bits per character of the hidden pieces, the space before a word counted as one: as `words`."""
    letters = marks.letters[[question.answer for question in questions]]

    def score(rows: np.ndarray) -> dict[str, float]:
        return {"questions": len(rows), "bits": float(guesses.bits[rows].sum() / letters[rows].sum())}

    return _summary(questions, score)


def _summary(questions: Sequence[Question], score: Callable[[np.ndarray], dict[str, float]]) -> dict[str, Any]:
    groups: dict[str, dict[str, list[int]]] = {"languages": {}, "sources": {}}
    for i, question in enumerate(questions):
        groups["languages"].setdefault(question.line.language, []).append(i)
        groups["sources"].setdefault(question.line.source, []).append(i)
    found: dict[str, Any] = {kind: {name: score(np.array(rows)) for name, rows in sorted(of.items()) if len(rows) >= FEWEST}
                             for kind, of in groups.items()}  # fmt: skip
    scored = list(found["languages"].values())
    found["mean"] = {name: float(np.mean([of[name] for of in scored])) for name in (scored[0] if scored else ()) if name != "questions"}
    found["mean"]["languages"] = len(scored)
    return found | ({"all": score(np.arange(len(questions)))} if questions else {})


def _targets(text: Text, marks: Marks, only_words: bool) -> Text:
    """The text, counted at whole words alone or at every piece that is no `<unk>`."""
    edged = marks.with_edge()
    return replace(text, places=(whole_words if only_words else known)(text.pieces, edged))


def _asked(questions: Sequence[Question], size: int) -> Text:
    lengths = np.array([len(question.ids) for question in questions])
    ends = np.cumsum(lengths)
    text = guesser.of_lines(np.concatenate([question.ids for question in questions]), ends - lengths, ends, size)
    return replace(text, places=text.places[ends - lengths + [question.place for question in questions]])


def _join(parts: Iterable[Guesses]) -> Guesses:
    parts = list(parts)
    return Guesses(np.concatenate([part.ranks for part in parts]), np.concatenate([part.bits for part in parts]))
