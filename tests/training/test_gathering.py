"""Texts as a corpus that fits into memory: an even sample of each language, whatever the order they come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.errors import BadInput
from xlmr.training.corpus import draw
from xlmr.training.gathering import HELD_LINES, HELD_OUT, Gathered, gather


def tokenize(texts: list[str]) -> list[list[int]]:
    return [[4 + ord(letter) % 200 for letter in text] for text in texts]


def texts(language: str, count: int) -> list[tuple[str, str]]:
    return [(language, f"{language} {i:05}") for i in range(count)]


def lines(of: Gathered) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for i, language in enumerate(of.corpus.language):
        found.setdefault(of.corpus.languages[language], []).append(of.corpus.line(i).astype(np.int64).tobytes())
    return found


def test_all_texts_are_kept_where_there_is_room() -> None:
    given_texts = texts("en", 300) + texts("de", 200)
    found = gather(given_texts, tokenize, 300, 1_000_000)
    learnt = [text for _, text in given_texts if draw(text) % HELD_OUT]
    assert sum(map(len, lines(found).values())) == len(learnt)
    assert {line for of in lines(found).values() for line in of} == {np.array(ids).tobytes() for ids in tokenize(learnt)}
    assert found.read == 500
    assert found.corpus.tokens.dtype == np.uint16
    assert found.sizes == {code: sum(len(text) for text in learnt if text.startswith(code)) for code in ("de", "en")}


def test_of_more_than_enough_the_largest_language_is_sampled_evenly() -> None:
    found = gather(texts("en", 20_000) + texts("de", 100), tokenize, 300, 20_000)
    kept = {language: len(of) for language, of in lines(found).items()}
    assert len(found.corpus.tokens) <= 20_000
    assert kept["de"] > 90  # the small one is whole
    assert kept["en"] > 500
    assert found.sizes["en"] == pytest.approx(20_000 * 8, rel=0.15)
    numbers = [int(bytes(np.frombuffer(of, np.int64).astype(np.uint8) - 4)[-5:]) for of in lines(found)["en"]]
    assert np.mean(numbers) == pytest.approx(10_000, rel=0.1)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_texts_has_no_say(dice) -> None:
    given_texts = texts("en", 400) + texts("de", 100)
    mixed = dice.sample(given_texts, len(given_texts))
    one, other = (gather(of, tokenize, 300, 2_000) for of in (given_texts, mixed))
    np.testing.assert_array_equal(one.corpus.tokens, other.corpus.tokens)
    np.testing.assert_array_equal(one.corpus.starts, other.corpus.starts)
    assert one.heldout == other.heldout


def test_held_out_texts_are_few_and_in_no_corpus() -> None:
    given_texts = texts("en", 5_000)
    found = gather(given_texts, tokenize, 300, 1_000_000)
    assert len(found.heldout["en"]) == HELD_LINES
    held = {np.array(ids).tobytes() for ids in tokenize(found.heldout["en"])}
    assert not held & {*lines(found)["en"]}


def test_one_long_text_is_kept_whole() -> None:
    text = next(text for text in ("a" * n for n in range(5_000, 5_100)) if draw(text) % HELD_OUT)
    assert len(gather([("en", text)], tokenize, 300, 100).corpus.tokens) == len(text)


def test_of_nothing_there_is_nothing_to_learn() -> None:
    held = next(text for _, text in texts("en", 1_000) if draw(text) % HELD_OUT == 0)
    for some in ([], [("en", held)]):
        with pytest.raises(BadInput, match="none of which is left to learn from"):
            gather(some, tokenize, 300, 1_000)


def test_too_many_languages_are_refused() -> None:
    with pytest.raises(BadInput, match="300 languages"):
        gather([(f"l{i}", f"text {i}") for i in range(300)], tokenize, 300, 1_000_000)
