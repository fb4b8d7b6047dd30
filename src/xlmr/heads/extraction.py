"""Answers out of a context, from two logits of each of its tokens: whether the answer begins there, and whether it ends there.

An answer's score is the sum of the two; that there is none has the score of `<s>`, which no answer can be (Devlin et al. 2019, "BERT",
sections 4.2 and 4.3). A long context comes in overlapping windows. Of an answer in several the best score counts; that there is none counts
by the lowest, as in transformers' `run_qa`: a window without the answer says so rightly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xlmr.heads.classes import softmax


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate: tokens of a window from `best`, characters of the context from `merge`."""

    start: int
    """The first."""
    end: int
    """The last token itself; of characters, the one after the last."""
    score: float
    """The sum of the two logits."""


@dataclass(frozen=True, slots=True)
class Window:
    """What the head says of one window."""

    start: np.ndarray
    """float `[tokens]`: logits; `<s>` is the first token."""
    end: np.ndarray
    """float `[tokens]`."""
    allowed: np.ndarray
    """bool `[tokens]`: those of the context."""
    places: np.ndarray
    """int `[tokens, 2]`: start and end of each in the context; of others, anything."""


def best(start: np.ndarray, end: np.ndarray, allowed: np.ndarray, longest: int, top: int = 1) -> list[Span]:
    """The `top` best spans of at most `longest` tokens, best first, and all there are where they are fewer; exact.

    `start` and `end` are float `[tokens]`, `allowed` bool `[tokens]`: where a span may begin and end. Equals come by their place.
    """
    longest = min(longest, len(start))
    if longest < 1 or top < 1:
        return []
    ends = np.full(len(end) + longest - 1, -np.inf)
    ends[: len(end)] = np.where(allowed, end, -np.inf)
    first = np.flatnonzero(allowed)
    # Row i holds the spans that begin at token first[i], by their length.
    scores = (np.lib.stride_tricks.sliding_window_view(ends, longest)[first] + start[first, None]).ravel()
    found = np.flatnonzero(scores > -np.inf)
    if len(found) > top:
        found = found[scores[found] >= np.partition(scores[found], -top)[-top]]
    found = found[np.argsort(-scores[found], kind="stable")][:top]
    begin, length = first[found // longest], found % longest
    return [Span(int(i), int(i + more), float(of)) for i, more, of in zip(begin, length, scores[found], strict=True)]


def merge(windows: Iterable[Window], longest: int, top: int = 1) -> list[Span]:
    """The `top` best answers over all windows of a context, by their places in it, each once.

    A token of no width, such as a lone `▁`, neither begins an answer nor ends one.
    """
    scores: dict[tuple[int, int], float] = {}
    for window in windows:
        wide = window.allowed & (window.places[:, 1] > window.places[:, 0])
        for span in best(window.start, window.end, wide, longest, top):
            place = int(window.places[span.start, 0]), int(window.places[span.end, 1])
            scores[place] = max(span.score, scores.get(place, -np.inf))
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Span(*place, score) for place, score in ranked[:top]]


def null_score(windows: Iterable[Window]) -> float:
    """That the context has no answer: the lowest score of `<s>` in any window, of which there is one at least."""
    return min(float(window.start[0]) + float(window.end[0]) for window in windows)


def probabilities(spans: Sequence[Span], null: float) -> np.ndarray:
    """How likely each span is, and last that there is none, float64 `[spans + 1]`: the softmax over these alone, as in `run_qa`.

    So a probability depends on how many spans are looked at; of few it is too high.
    """
    return softmax(np.array([*(span.score for span in spans), null], np.float64))
