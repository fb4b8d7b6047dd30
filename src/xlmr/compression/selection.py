"""Which pieces of a vocabulary stay: those that some languages or a corpus use, and those without which other text would be unknown.

Which pieces a language uses no vocabulary says, and no checkpoint. Its scripts do say which it cannot use. So of languages alone all pieces
in their scripts stay, which changes nothing for any text in these; a corpus, or a number of pieces, keeps fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from reprlib import repr as shorten

import numpy as np

from xlmr import languages, scripts
from xlmr.compression import affinity
from xlmr.errors import BadInput
from xlmr.examples import sources
from xlmr.examples.sources import Source
from xlmr.scripts import ANY
from xlmr.tokenizer.trimming import characters, essential
from xlmr.tokenizer.vocabulary import SPACE, Vocabulary

WRITTEN = 0.01
"""The share of a corpus's letters from which on it is written in a script, and not only quotes some of it."""


@dataclass(frozen=True, slots=True)
class Trim:
    """What is kept. Raises BadInput where nothing says so, or a language is not known."""

    languages: tuple[str, ...] = ()
    """Codes or names: the pieces in their scripts; beside a corpus, the characters of these scripts."""
    corpus: tuple[str | PathLike[str], ...] = ()
    """Files of texts, or LANG=FILE: the pieces that these use."""
    min_count: int = 1
    """How often a corpus uses a piece that it keeps, at least."""
    pieces: int | None = None
    """How many are kept at most: those that the corpus uses most often, then the likeliest in the languages."""
    drop: tuple[str, ...] = ()
    """Pieces that go in any case."""

    def __post_init__(self) -> None:
        if not (self.languages or self.corpus):
            raise BadInput("nothing says which pieces to keep; wanted languages, or a corpus, or both")
        for name, least in (("min_count", 1), ("pieces", 1)):
            if (number := getattr(self, name)) is not None and (type(number) is not int or number < least):
                raise BadInput(f"{name} is {shorten(number)}, wanted a whole number, {least} or more")
        if self.min_count > 1 and not self.corpus:
            raise BadInput(f"min_count is {self.min_count}, and there is no corpus in which to count; wanted a corpus too")
        for name in self.languages:
            languages.find(name)

    @property
    def codes(self) -> tuple[str, ...]:
        """The languages by XLM-R's codes, each once."""
        return tuple(dict.fromkeys(languages.find(name).code for name in self.languages))

    @property
    def scripts(self) -> frozenset[str]:
        """Those that the languages are written in, of Unicode's."""
        return scripts.parts(script for name in self.languages for script in languages.written(name))

    @property
    def sources(self) -> list[Source]:
        """The files of the corpus. Raises BadInput for a language that is none."""
        return [sources.source(str(given)) for given in self.corpus]


def choose(vocabulary: Vocabulary, asked: Trim, counts: np.ndarray | None) -> set[int]:
    """The ids of the pieces that stay; `counts` `[vocabulary]` says how often the corpus uses each, None where there is none.

    Without a number of pieces, a text is cut as it was where the corpus has all of its pieces `min_count` times, or, without a corpus,
    where its letters, normalised, are in the scripts. Characters with a piece of their own keep it where they are of the scripts, of the
    corpus or of ASCII, or are digits or signs. None of these becomes unknown.

    Raises BadInput where more pieces must stay than are wanted, and for a piece to drop that is none, or must stay.
    """
    names = [piece for piece, _ in vocabulary.pieces]
    letters = [frozenset(map(scripts.of, piece)) - {ANY} for piece in names]
    used = set() if counts is None else set(np.flatnonzero(counts >= asked.min_count).tolist())
    allowed = asked.scripts | _written(names, counts)
    fitting = {i for i, of in enumerate(letters) if of <= allowed} if asked.languages else set[int]()
    always = essential(vocabulary) | _characters(vocabulary, allowed, counts)
    if asked.pieces is None:
        wanted = fitting if counts is None else used
    else:
        wanted = set(_likeliest(vocabulary, sorted((fitting | used) - always), asked, counts, asked.pieces - len(always)))
    return (always | wanted) - set(_dropped(names, asked.drop))


def _written(names: list[str], counts: np.ndarray | None) -> frozenset[str]:
    """The scripts of a corpus; none of none."""
    found = Counter[str]()
    for i in [] if counts is None else np.flatnonzero(counts).tolist():
        for script, times in scripts.counted(names[i]).items():
            found[script] += times * int(counts[i])  # type: ignore[index]  # there is one
    return frozenset(script for script, times in found.items() if times >= WRITTEN * found.total())


def _characters(vocabulary: Vocabulary, allowed: frozenset[str], counts: np.ndarray | None) -> set[int]:
    """The pieces of one character that stay: what a corpus has, what the scripts have, and what every text may have."""
    used = [] if counts is None else np.flatnonzero(counts).tolist()
    had = frozenset(char for i in used for char in vocabulary.pieces[i][0])
    stay = allowed | {ANY}
    return {i for i, char in characters(vocabulary).items() if char.isascii() or char in had or scripts.of(char) in stay}


def _likeliest(vocabulary: Vocabulary, among: list[int], asked: Trim, counts: np.ndarray | None, room: int) -> Iterable[int]:
    """The pieces that a corpus uses most often, then those likeliest in the languages; without any, the commonest at all."""
    if room < 0:
        raise BadInput(
            f"pieces is {asked.pieces:,}, and {(asked.pieces or 0) - room:,} stay in any case: the special ones, and those of one "
            "character; wanted more pieces, or fewer scripts"
        )
    rows = [vocabulary.pieces[i] for i in among]
    likely = affinity.order(rows, asked.languages) if asked.languages else np.array([score for _, score in rows])
    often = np.zeros(len(among), np.int64) if counts is None else counts[among]
    often = np.where(often < asked.min_count, 0, often)
    best = np.lexsort((-likely, -often))[:room]
    return [among[place] for place in best.tolist()]


def _dropped(names: list[str], wanted: Iterable[str]) -> Iterable[int]:
    """The ids of pieces. Raises BadInput where one is none."""
    known = {name: i for i, name in enumerate(names)}
    for piece in wanted:
        name = SPACE + piece[1:] if piece.startswith(" ") else piece
        if name not in known:
            close = ", ".join(map(repr, get_close_matches(name, names, n=3, cutoff=0.8)))
            raise BadInput(f"{piece!r} to drop is none of the {len(names):,} pieces" + (f"; is it one of {close}?" if close else ""))
        yield known[name]
