"""Which pieces stay, by scripts, by a corpus, by their number; and what never goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xlmr.compression.selection import Trim, choose
from xlmr.errors import BadInput
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.vocabulary import FIRST, MASK, Vocabulary

PIECES = [
    "▁", "▁the", "ing", "▁der", "ß", "▁ü", "e", "a", "▁город", "а", "▁и", "犬", "▁家", "猫が", "が", "12", "!", "▁…", "☃☃", "ŧa", "▁ŧ", "ŧ",
    "Ж", "عا",
]  # fmt: skip
WORST = "Ж"
ALWAYS = {*FIRST, MASK, "▁", "e", "a", "!", "▁…", WORST}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    scored = [(piece, -30.0 if piece == WORST else -5.0 - i / 10) for i, piece in enumerate(PIECES)]
    return Vocabulary([*((name, 0.0) for name in FIRST), *scored, (MASK, 0.0)])


@pytest.fixture(scope="module")
def kept(vocabulary: Vocabulary) -> Callable[..., set[str]]:
    """`kept(options, text)`: the pieces that stay; `text` is the corpus."""

    def those(text: str | None = None, **options: object) -> set[str]:
        counts = None
        if text is not None:
            counts = np.bincount(Tokenizer(vocabulary).encode(text).ids, minlength=len(vocabulary.pieces))
        return {vocabulary.pieces[i][0] for i in choose(vocabulary, Trim(**options), counts)}  # type: ignore[arg-type]

    return those


def test_of_a_language_stay_all_pieces_in_its_scripts_and_those_of_none(kept: Callable[..., set[str]]) -> None:
    latin = {"▁the", "ing", "▁der", "ß", "▁ü", "ŧa", "▁ŧ", "ŧ", "12", "☃☃"}
    assert kept(languages=("en",)) == ALWAYS | latin
    assert kept(languages=("ru",)) == ALWAYS | {"▁город", "а", "▁и", "12", "☃☃"}
    assert kept(languages=("zh",)) == ALWAYS | {"犬", "▁家", "12", "☃☃"}
    assert kept(languages=("ja",)) == ALWAYS | {"犬", "▁家", "猫が", "が", "12", "☃☃"}


def test_of_several_languages_stays_what_each_of_them_keeps(kept: Callable[..., set[str]]) -> None:
    assert kept(languages=("en", "ru")) == kept(languages=("en",)) | kept(languages=("ru",))


def test_a_tag_with_a_script_means_that_script(kept: Callable[..., set[str]]) -> None:
    assert "▁город" not in kept(languages=("sr-Latn",))
    assert {"▁город", "▁the"} <= kept(languages=("sr",))


def test_of_a_corpus_stay_its_pieces_and_the_characters_of_its_scripts(kept: Callable[..., set[str]]) -> None:
    characters = {"ß", "▁ü", "▁ŧ", "ŧ"}
    assert kept(text="the ing der", corpus=("f",)) == ALWAYS | characters | {"▁the", "ing", "▁der"}
    assert kept(text="the ing the", corpus=("f",), min_count=2) == ALWAYS | characters | {"▁the"}


def test_a_script_that_a_corpus_only_quotes_keeps_the_characters_that_are_there(kept: Callable[..., set[str]]) -> None:
    found = kept(text=" ".join(["the"] * 200) + " а", corpus=("f",))
    assert "а" in found
    assert "▁и" not in found


def test_beside_a_corpus_languages_keep_their_characters(kept: Callable[..., set[str]]) -> None:
    found = kept(text="the", corpus=("f",), languages=("ru",))
    assert {"▁the", "а", "▁и"} <= found
    assert not {"▁город", "ing"} & found


def test_of_a_number_of_pieces_those_of_the_corpus_come_first_and_then_the_likely_ones(kept: Callable[..., set[str]]) -> None:
    assert kept(languages=("de",), pieces=15) == ALWAYS | {"ß", "▁ü", "▁ŧ", "ŧ"}
    for number in range(16, 20):
        assert len(kept(languages=("de",), pieces=number)) == number
    assert kept(languages=("de",), pieces=99) == kept(languages=("de",))
    assert "ŧa" in kept(text="ŧa ŧa", corpus=("f",), languages=("de",), pieces=16)


def test_fewer_pieces_than_must_stay_are_refused(kept: Callable[..., set[str]]) -> None:
    with pytest.raises(BadInput, match=r"pieces is 9, and 15 stay in any case: the special ones, and those of one character"):
        kept(languages=("de",), pieces=9)


def test_a_piece_to_drop_goes_though_it_is_used(kept: Callable[..., set[str]]) -> None:
    assert kept(languages=("en",), drop=("▁the", " der", "ß")) == kept(languages=("en",)) - {"▁the", "▁der", "ß"}


def test_a_piece_to_drop_that_is_none_is_refused_with_what_comes_close(kept: Callable[..., set[str]]) -> None:
    with pytest.raises(BadInput, match=r"'der' to drop is none of the 29 pieces; is it one of '▁der'\?"):
        kept(languages=("en",), drop=("der",))
    with pytest.raises(BadInput, match=r"'QQQQ' to drop is none of the 29 pieces$"):
        kept(languages=("en",), drop=("QQQQ",))
