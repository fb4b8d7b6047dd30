"""Guessing a hidden piece from counts: what stood most often between these neighbours.

The text is the one a model learnt from, cut into the same pieces, a language by itself. The chances of a piece are those of its
neighbourhoods, two pieces on each side, interpolated from the smallest to the largest: those of a larger one are its counts and, for each
different piece seen in it, `WEIGHT` more that are shared out by the chances so far (after Witten and Bell 1991, method C, of weight 1).

Tried on five languages (en, ru, hi, tr, sw) and two kinds of text: backing off without smoothing (Brants et al. 2007, section 4) comes
behind it in every score, so do weights 1 and 3, in most, and neighbourhoods of one piece on each side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

UNIGRAMS: tuple[tuple[int, ...], ...] = ()
TRIGRAMS = ((1,), (-1,), (-1, 1))
CONTEXTS = ((1,), (-1,), (1, 2), (-2, -1), (-1, 1), (-1, 1, 2), (-2, -1, 1), (-2, -1, 1, 2))
"""Neighbourhoods: which places, counted from the hidden one."""
REACH = 2
WEIGHT = 6.0
FLOOR = 0.1
"""Added to every piece's count, so that none is impossible."""


class Corpus(Protocol):
    """The text that was learnt from; see `xlmr.training.corpus.Corpus`."""

    @property
    def tokens(self) -> np.ndarray:
        """`[tokens]`."""
        ...

    @property
    def starts(self) -> np.ndarray:
        """`[lines + 1]`."""
        ...

    @property
    def language(self) -> np.ndarray:
        """`[lines]`, indices into `languages`."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Lines one after another, an edge `REACH` pieces long around each."""

    pieces: np.ndarray
    """int64 `[pieces]`; the edge is one id beyond the vocabulary."""
    places: np.ndarray
    """int64 `[targets]`: where pieces are counted, or asked for."""


def of_lines(tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray, size: int) -> Text:
    """The lines `tokens[starts[i]:ends[i]]`; `places` are all that are not an edge."""
    lengths = ends - starts
    into = np.cumsum(lengths + REACH) - lengths
    places = np.repeat(into - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    pieces = np.full(int(lengths.sum() + REACH * (len(lengths) + 1)), size, np.int64)
    pieces[places] = tokens[np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())]
    return Text(pieces, places)


def of_language(corpus: Corpus, language: str, size: int) -> Text:
    """All lines of a language."""
    codes = [code.lower() for code in corpus.languages]
    lines = np.flatnonzero(corpus.language == codes.index(language)) if language in codes else np.empty(0, np.int64)
    return of_lines(corpus.tokens, corpus.starts[lines], corpus.starts[lines + 1], size)


def chances(text: Text, asked: Text, size: int, contexts: Sequence[tuple[int, ...]] = CONTEXTS) -> np.ndarray:
    """Each piece's chance at each place of `asked`, float64 `[places, size]`, from what stands at the places of `text`."""
    counts = np.bincount(text.pieces[text.places], minlength=size) + FLOOR
    found = np.tile(counts / counts.sum(), (len(asked.places), 1))
    for rows, seen in _tallies(text, asked, size, contexts):
        new = WEIGHT * np.count_nonzero(seen, axis=1, keepdims=True)
        found[rows] = (seen + new * found[rows]) / (seen.sum(1, keepdims=True) + new)
    return found


def _tallies(text: Text, asked: Text, size: int, contexts: Sequence[tuple[int, ...]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each neighbourhood, the questions whose neighbours occur in the text, and how often each piece stood there, `[rows, size]`."""
    for context in contexts if len(asked.places) else ():
        wanted, which = np.unique(_keys(asked, context, size), return_inverse=True)
        keys = _keys(text, context, size)
        at = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        hits = np.flatnonzero(wanted[at] == keys)
        seen = np.bincount(at[hits] * size + text.pieces[text.places[hits]], minlength=len(wanted) * size).reshape(-1, size)
        rows = np.flatnonzero(seen.sum(1)[which])
        yield rows, seen[which[rows]]


def _keys(text: Text, context: Sequence[int], size: int) -> np.ndarray:
    """A number for each place's neighbours; up to 65,535 pieces no two neighbourhoods share one, beyond that hardly any."""
    keys = np.zeros(len(text.places), np.uint64)
    for offset in context:
        keys = keys * np.uint64(size + 1) + text.pieces[text.places + offset].astype(np.uint64)
    return keys
