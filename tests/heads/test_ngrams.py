from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.heads import ngrams

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=6)


def runs_of(text: str) -> Counter[str]:
    """By brute force: runs of up to five characters within words between spaces, and longer words whole, marked."""
    found: Counter[str] = Counter()
    for word in ngrams.fold(text).split():
        padded = f" {word} "
        for size in range(1, ngrams.LONGEST + 1):
            pieces = [padded[i : i + size] for i in range(len(padded) - size + 1)]
            found.update(piece for piece in pieces if piece.strip())
        if len(word) >= ngrams.WHOLE:
            found[f"<{word}>"] += 1
    return found


@given(texts)
def test_as_many_runs_as_by_brute_force_and_equal_ones_are_equal(many):
    found, starts = ngrams.hashes(many)
    assert starts[0] == 0
    assert starts[-1] == len(found)
    for text, (begin, end) in zip(many, pairwise(starts), strict=True):
        wanted = runs_of(text)
        assert sorted(Counter(found[begin:end].tolist()).values()) == sorted(wanted.values())
        alone, _ = ngrams.hashes([text])
        np.testing.assert_array_equal(np.sort(alone), np.sort(found[begin:end]))


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_text_has_the_runs_of_its_words_and_no_others(one, other):
    both, _ = ngrams.hashes([f"{one} {other}"])
    apart, _ = ngrams.hashes([one, other])
    np.testing.assert_array_equal(np.sort(both), np.sort(apart))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Grüß Gott, Welt!", " grüß gott welt "), ("L’été  2024", " l'été "), ("e\u0301te\u0301", " été "), ("می\u200cروم", " میروم "),
        ("कि", " कि "), ("Ｔｏｋｙｏ", " tokyo "), ("123 😀", "  "), ("", "  "), ("don't", " don't "),
    ],
)  # fmt: skip
def test_words_are_letters_marks_and_apostrophes(text, folded):
    assert ngrams.fold(text) == folded


def test_different_runs_have_different_hashes():
    words = [f"{a}{b}{c}{d}" for a in "aeiou" for b in "bcdfg" for c in "aeiou" for d in "klmnp"]
    found, _ = ngrams.hashes(words)
    assert len(set(found.tolist())) == len({run for word in words for run in runs_of(word)})


@given(st.lists(st.text("ab cé'—", max_size=9), max_size=6))
def test_parts_of_words_have_the_runs_that_do_not_reach_beyond_them(parts):
    found, starts = ngrams.of_parts(parts)
    assert len(starts) == len(parts) + 1
    for i, part in enumerate(parts):
        before, _ = ngrams.of_parts([part])
        assert found[starts[i] : starts[i + 1]].tolist() == before.tolist()


def test_a_part_with_a_space_begins_a_word_and_none_ends_one():
    (inside, _), (begin, _), (whole, _) = ngrams.of_parts(["ab"]), ngrams.of_parts([" ab"]), ngrams.hashes(["ab"])
    assert set(inside) < set(begin) < set(whole)
    assert [len(of) for of in (inside, begin)] == [3, 5]  # a, b, ab; and those of two and three with the space


def test_a_part_without_letters_has_no_runs():
    found, starts = ngrams.of_parts([" ", "", "12", " ab"])
    assert starts.tolist() == [0, 0, 0, 0, 5]
    assert len(found) == 5
