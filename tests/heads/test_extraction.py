import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xlmr.heads import extraction
from xlmr.heads.extraction import Span, Window


@st.composite
def asked(draw, logits):
    tokens = draw(st.integers(0, 9))
    start, end = (draw(arrays(np.float32, tokens, elements=logits)) for _ in range(2))
    return start, end, draw(arrays(bool, tokens)), draw(st.integers(0, 12)), draw(st.integers(0, 12))


def all_spans(start, end, allowed, longest):
    """Best first, equals by their place."""
    tokens = range(len(start))
    spans = [(i, j) for i in tokens for j in tokens if allowed[i] and allowed[j] and i <= j < i + longest]
    return sorted((Span(i, j, float(start[i]) + float(end[j])) for i, j in spans), key=lambda span: (-span.score, span.start, span.end))


def near(found, wanted):
    assert [(span.start, span.end) for span in found] == [(span.start, span.end) for span in wanted]
    assert [span.score for span in found] == pytest.approx([span.score for span in wanted])


@settings(max_examples=300)
@given(asked(st.floats(-9, 9, width=32)) | asked(st.integers(-2, 2).map(float)))  # whole numbers: many are equal
def test_the_best_spans_equal_brute_force(of):
    start, end, allowed, longest, top = of
    near(extraction.best(start, end, allowed, longest, top), all_spans(start, end, allowed, longest)[:top])


def test_they_do_for_a_whole_window():
    dice = np.random.default_rng(0)
    start, end = dice.standard_normal((2, 200)).astype(np.float32)
    allowed = np.arange(200) > 20
    near(extraction.best(start, end, allowed, 30, 20), all_spans(start, end, allowed, 30)[:20])


def test_a_best_start_and_a_best_end_that_do_not_fit_are_not_an_answer():
    start, end = np.array([0, 1.0, 9, 1]), np.array([0, 9.0, 1, 1])  # the end that scores most lies before the start that does
    assert extraction.best(start, end, np.array([False, True, True, True]), 30) == [Span(1, 1, 10.0)]


@st.composite
def windowed(draw):
    """A context of up to 12 tokens in windows that overlap, each with two tokens of the question before it."""
    tokens, size, step = draw(st.integers(1, 12)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    windows = []
    for first in range(0, tokens, min(step, size)):
        inside = np.arange(first, min(first + size, tokens))
        logits = draw(arrays(np.float64, (2, 2 + len(inside)), elements=st.floats(-9, 9)))
        places = np.concatenate([np.zeros((2, 2), int), np.stack([3 * inside, 3 * inside + 2], 1)])
        windows.append(Window(*logits, np.arange(2 + len(inside)) >= 2, places))
    return windows


@given(windowed(), st.integers(1, 5), st.integers(1, 8))
def test_merged_windows_equal_brute_force_over_places(windows, longest, top):
    scores = {}
    for window in windows:
        for span in all_spans(window.start, window.end, window.allowed, longest):
            place = int(window.places[span.start][0]), int(window.places[span.end][1])
            scores[place] = max(span.score, scores.get(place, -100))
    wanted = sorted((Span(*place, score) for place, score in scores.items()), key=lambda span: (-span.score, span.start, span.end))
    near(extraction.merge(windows, longest, top), wanted[:top])
    assert extraction.null_score(windows) == min(window.start[0] + window.end[0] for window in windows)


def test_a_token_of_no_width_is_no_end_of_an_answer():
    """`<s> ▁ 東京 </s>`: the logits are highest at the lone `▁`."""
    window = Window(
        np.array([0, 9.0, 1, 0]), np.array([0, 9.0, 1, 0]), np.array([0, 1, 1, 0], bool), np.array([[0, 0], [0, 0], [0, 2], [0, 0]])
    )
    assert extraction.merge([window], 30, 5) == [Span(0, 2, 2.0)]


def test_a_context_without_tokens_has_no_span():
    window = Window(np.array([1.0, 0]), np.array([1.0, 0]), np.zeros(2, bool), np.zeros((2, 2), int))
    assert extraction.merge([window], 30, 5) == []
    assert extraction.probabilities([], extraction.null_score([window])).tolist() == [1.0]


@given(st.lists(st.floats(-1e4, 1e4), max_size=6), st.floats(-1e4, 1e4))
def test_probabilities_are_shared_out_among_spans_and_no_answer(scores, null):
    found = extraction.probabilities([Span(0, 1, score) for score in scores], null)
    odds = np.array([*scores, null])
    assert found == pytest.approx([1 / np.exp(np.minimum(odds - own, 700)).sum() for own in odds], rel=1e-9, abs=1e-300)
    assert found.sum() == pytest.approx(1)
