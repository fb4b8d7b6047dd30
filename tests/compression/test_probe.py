"""The texts that models are compared on."""

from __future__ import annotations

import pytest

from xlmr import languages, scripts
from xlmr.compression import probe
from xlmr.errors import BadInput


def test_every_language_has_four_sentences_in_its_own_script() -> None:
    texts = probe.builtin()
    assert len(texts) == 48
    for code, of in texts.items():
        known = scripts.parts(languages.find(code).scripts)
        assert len(of) == len({*of}) == 4
        assert languages.find(code).code == code
        for text in of:
            assert {scripts.of(letter) for letter in text if letter.isalpha()} <= known, text
            assert text == text.strip()
    assert len({languages.find(code).scripts[0] for code in texts}) >= 22


def test_sentences_are_taken_from_the_first_on() -> None:
    assert all(len(of) == 1 for of in probe.builtin(1).values())
    assert probe.builtin(1)["de"] == probe.builtin()["de"][:1]


def test_given_texts_are_gathered_by_language_and_blank_ones_left_out() -> None:
    given = [("de", "eins"), ("fr", " "), ("en", "one"), ("de", ""), ("de", "zwei"), ("de", "drei")]
    assert probe.gathered(given, 2) == {"de": ("eins", "zwei"), "en": ("one",)}


def test_no_text_at_all_is_told() -> None:
    with pytest.raises(BadInput, match="no texts to compare"):
        probe.gathered([("de", " ")])


def test_only_some_languages_are_asked_where_they_are_there() -> None:
    texts = {"de": ("eins",), "en": ("one",)}
    assert probe.among(texts, ["en", "fr"]) == {"en": ("one",)}
    assert probe.among(texts, ["fr"]) == texts
