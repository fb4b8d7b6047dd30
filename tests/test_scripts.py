import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import languages, scripts
from xlmr.errors import BadInput

LETTERS = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) in ("Lu", "Ll", "Lo")]


def test_letters_have_the_script_that_unicode_gives_them():
    regex = pytest.importorskip("regex")  # it comes with transformers, and carries the Script property
    wrong = {}
    for code in sorted(set(scripts.NAMES.values())):
        of_unicode = set(regex.findall(rf"\p{{Script={code}}}", "".join(LETTERS)))
        ours = {char for char in LETTERS if scripts.of(char) == code}
        wrong[code] = [unicodedata.name(char) for char in ours ^ of_unicode]
    named_otherwise = {"TURNED CAPITAL F", "TURNED SMALL F", "ROMAN NUMERAL REVERSED ONE HUNDRED", "IDEOGRAPHIC CLOSING MARK"}
    assert {name for names in wrong.values() for name in names} <= named_otherwise


@pytest.mark.parametrize(
    ("char", "script"),
    [
        ("a", "Latn"), ("ß", "Latn"), ("ª", "Latn"), ("Ａ", "Latn"), ("ж", "Cyrl"), ("Ω", "Grek"), ("ش", "Arab"), ("漢", "Hani"),
        ("々", "Hani"), ("ひ", "Hira"), ("カ", "Kana"), ("ｶ", "Kana"), ("한", "Hang"), ("ก", "Thai"), ("ि", "Deva"), ("ᏸ", "Cher"),
        ("𐘀", "Zzzz"), ("1", "Zyyy"), (",", "Zyyy"), (" ", "Zyyy"), ("\u0301", "Zyyy"), ("ー", "Zyyy"), ("\0", "Zyyy"),
        ("\ud800", "Zyyy"),
    ],
)  # fmt: skip
def test_the_script_of_a_character(char, script):
    assert scripts.of(char) == script


@pytest.mark.parametrize(
    ("text", "codes", "fit"),
    [
        ("Straße", ["Latn"], True), ("дом", ["Cyrl"], True), ("дом", ["Latn"], False), ("дoм", ["Cyrl"], False),
        ("дoм", ["Cyrl", "Latn"], True),
        ("2000", ["Latn"], False), ("", ["Latn"], False), ("a1", ["Latn"], True), ("スーパー", ["Jpan"], True), ("書き", ["Jpan"], True),
        ("書", ["Kore"], True), ("書き", ["Hans"], False),
    ],
)  # fmt: skip
def test_a_text_fits_scripts_where_it_has_their_letters_and_no_others(text, codes, fit):
    assert scripts.fits(text, scripts.parts(codes)) == fit


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Straße 5", "Latn"), ("дом, сад и house", "Cyrl"), ("スーパーで本を買う", "Jpan"), ("漢字", "Hani"), ("한국어와 漢字", "Hang"),
        ("བོད་ཡིག", "Tibt"), ("ᏣᎳᎩ", "Cher"), ("123 €", "Zyyy"), ("", "Zyyy"), ("😀", "Zyyy"),
    ],
)  # fmt: skip
def test_the_script_of_a_text_is_that_of_most_of_its_letters(text, script):
    assert scripts.main(text) == script


def test_every_script_of_a_language_is_known():
    for language in languages.LANGUAGES.values():
        assert scripts.parts(language.scripts) <= set(scripts.NAMES.values())
        assert all(scripts.find(script.lower()) == script for script in language.scripts)


@given(st.text())
def test_any_text_is_a_script_or_bad_input(name):
    with contextlib.suppress(BadInput):
        assert scripts.find(name) in scripts.CODES


@pytest.mark.parametrize(
    ("name", "hint"), [("Cyrillic", "is it one of Cyrl"), ("Latin", "Latn"), ("q", "wanted one of Adlm, Arab"), (7, "wanted one of")]
)
def test_an_unknown_script_comes_with_what_is_close(name, hint):
    with pytest.raises(BadInput, match=f"script {name!r} is not known; .*{hint}"):
        scripts.find(name)
