"""Which pieces of which lines are hidden."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.evaluation.benchmarks import Line
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.vocabulary import SPACE, SPECIAL

LONGEST = 126
"""Pieces of a line that are looked at: as many as a line has at most in training."""


@dataclass(frozen=True, slots=True)
class Question:
    """A line in pieces, one of which is hidden."""

    line: Line
    ids: np.ndarray
    """int64 `[pieces]`, without `<s>` and `</s>`."""
    place: int
    """Of the hidden piece."""

    @property
    def answer(self) -> int:
        """The hidden piece's id."""
        return int(self.ids[self.place])


@dataclass(frozen=True, slots=True)
class Marks:
    """What a vocabulary's pieces are: bool `[vocabulary]` each."""

    begins: np.ndarray
    """Begins a word."""
    word: np.ndarray
    """Begins a word and has a letter or digit: may be a whole word."""
    text: np.ndarray
    """Any but the special ones."""
    letters: np.ndarray
    """int64: characters, the space before a word counted as one."""

    def with_edge(self) -> Marks:
        """With one piece more, which ends the word before it and is none itself: where lines lie one after another, their edge."""
        return Marks(np.append(self.begins, True), np.append(self.word, False), np.append(self.text, False), np.append(self.letters, 0))


def look_at(tokenizer: Tokenizer) -> Marks:
    """The marks of a vocabulary."""
    names = [tokenizer.piece(i) for i in range(tokenizer.size)]
    text = np.array([name not in SPECIAL for name in names])
    begins = np.array([name.startswith(SPACE) for name in names])
    spoken = np.array([any(unicodedata.category(letter)[0] in "LN" for letter in name) for name in names])
    return Marks(begins & text, begins & spoken & text, text, np.array([len(name) for name in names]))


def pieces(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """A text's ids without `<s>` and `</s>`, int64, `LONGEST` at most."""
    return np.array(tokenizer.encode(text, longest=LONGEST + 2).ids[1:-1], np.int64)


def whole_words(ids: np.ndarray, marks: Marks) -> np.ndarray:
    """Places of words that are one piece: it begins a word and has a letter or digit, and the next begins a word or there is none."""
    last = np.append(marks.begins[ids[1:]], True)[: len(ids)]
    return np.flatnonzero(marks.word[ids] & last)


def known(ids: np.ndarray, marks: Marks) -> np.ndarray:
    """Places of pieces that stand for text: no `<unk>`."""
    return np.flatnonzero(marks.text[ids])


def draw(
    lines: Iterable[Line], tokenizer: Tokenizer, places: Callable[[np.ndarray], np.ndarray], *, count: int, each: int = 1, seed: int = 0
) -> list[Question]:
    """Up to `count` questions of each language, `each` of a line at most, the same for the same seed."""
    by_language: dict[str, list[Line]] = {}
    for line in lines:
        by_language.setdefault(line.language, []).append(line)
    return [question for language in sorted(by_language) for question in _of(by_language[language], tokenizer, places, count, each, seed)]


def _of(lines: Sequence[Line], tokenizer: Tokenizer, places: Callable[[np.ndarray], np.ndarray], count: int, each: int,
        seed: int) -> list[Question]:  # fmt: skip
    rng = np.random.default_rng([seed, *lines[0].language.encode()])
    questions: list[Question] = []
    for i in rng.permutation(len(lines)):
        ids = pieces(tokenizer, lines[i].text)
        for place in rng.permutation(places(ids))[:each]:
            questions.append(Question(lines[i], ids, int(place)))
        if len(questions) >= count:
            break
    return questions[:count]
