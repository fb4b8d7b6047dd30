from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import scripts
from xlmr.tasks import spans


@given(st.integers(1, 5), st.integers(1, 3), st.floats(0, 6), st.integers(0, 999))
def test_the_likeliest_sequence_is_the_best_of_all(words, classes, switch, seed):
    scores = np.random.default_rng(seed).normal(size=(words, classes)) * 3

    def worth(path) -> float:
        return sum(scores[i, kind] for i, kind in enumerate(path)) - switch * sum(a != b for a, b in pairwise(path))

    found = spans.likeliest(scores.astype(np.float32), switch)
    assert worth(found) == pytest.approx(max(map(worth, product(range(classes), repeat=words))), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Er sagte: ja!", ["Er", "sagte", "ja"]), ("l’été, e-mail", ["l’été", "e-mail"]), ("iPhoneを買う", ["iPhone", "を買う"]),
        ("12 % 😀", []), ("", []), ("дом/house", ["дом", "house"]), ("cafe\u0301 au lait", ["cafe\u0301", "au", "lait"]),
        ("e\u0301x", ["e\u0301x"]), ("한국어で", ["한국어", "で"]), ("ก" * 30, ["ก" * 12, "ก" * 12, "ก" * 6]), ("कि है", ["कि", "है"]),
    ],
)  # fmt: skip
def test_words_stand_between_spaces_and_are_of_one_script(text, parts):
    assert [text[begin:end] for begin, end in spans.words(text)] == parts


@given(st.text(max_size=60))
def test_words_are_in_order_and_hold_every_letter(text):
    places = spans.words(text)
    held = [place for begin, end in places for place in range(begin, end)]
    assert held == sorted({*held})
    assert {place for place, char in enumerate(text) if scripts.of(char) != scripts.ANY} <= {*held}
    assert all(begin < end for begin, end in places)


@given(st.lists(st.integers(1, 40), max_size=40))
def test_windows_hold_every_word_once_and_are_not_long(sizes):
    ends = np.cumsum(sizes).tolist()
    places = [(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    found = list(spans.windows(places))
    assert [place for window in found for place in window] == places
    assert all(window[-1][1] - window[0][0] <= spans.WINDOW for window in found)
