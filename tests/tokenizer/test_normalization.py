"""Our normaliser against SentencePiece's own."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xlmr.errors import BadCheckpoint
from xlmr.tokenizer.normalization import Normalizer
from xlmr.tokenizer.sentencepiece import read

VIETNAMESE = "buổi sáng các em đọc sách"
KOREAN = "아침에 책을 읽는다"
TRICKY = "ea \t\n\u00a0\u2581\u0301\u0302\u0323\u1100\u1161\u11a8\u11abｶﾞ①…ﷺ\x85\x00\x07\u200b\u200d\ufeff\u0f71\u0f72"

texts = st.one_of(st.text(max_size=40), st.text(TRICKY, max_size=12))


@pytest.fixture(scope="module")
def normalizer(model):
    return Normalizer(read(model).charsmap)


@given(texts)
@example(unicodedata.normalize("NFD", VIETNAMESE))
@example(unicodedata.normalize("NFD", KOREAN))
@example("ｶﾞｷﾞ")
@example("①\u0301")
@example("a\u0323\u0302")
def test_it_is_sentencepieces(normalizer, processor, text):
    assert normalizer.normalize(text).text == processor.normalize(text)


@given(texts, texts)
def test_what_was_normalised_before_changes_nothing(normalizer, model, first, second):
    normalizer.normalize(first)
    assert normalizer.normalize(second) == Normalizer(read(model).charsmap).normalize(second)


@given(texts)
def test_places_lie_in_the_text_and_in_order(normalizer, text):
    found = normalizer.normalize(text)
    assert len(found.starts) == len(found.text) + 1
    assert len(found.ends) == len(found.text)
    assert found.starts == sorted(found.starts)
    assert found.ends == sorted(found.ends)
    assert all(0 <= start <= end <= len(text) for start, end in zip(found.starts, found.ends, strict=False))


@given(texts)
def test_what_a_slice_holds_normalises_to_what_came_from_it(normalizer, text):
    found = normalizer.normalize(text)
    for char, start, end in zip(found.text, found.starts, found.ends, strict=False):
        if char != "▁":
            assert char in normalizer.normalize(text[start:end]).text


def test_without_a_table_white_space_separates_and_the_rest_stays():
    assert Normalizer().normalize(" e\u0301\n\tＡ ").text == "▁e\u0301▁Ａ"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"\x01", "says 1 bytes of trie"),
        (b"\x08\0\0\0abcd", "says 8 bytes of trie and has 4"),
        (b"\x04\0\0\0\xff\xff\xff\xff", "points outside itself"),
        (bytes((1 << 22) + 1), "has 4,194,305 bytes, at most 4,194,304 are taken"),
    ],
)
def test_a_broken_table_is_refused(table, message):
    with pytest.raises(BadCheckpoint, match=message):
        Normalizer(table).normalize("a")


def test_a_replacement_has_an_end_that_is_near(model):
    table = read(model).charsmap
    size = 4 + int.from_bytes(table[:4], "little")
    changed = table[:size] + b"x" * (len(table) - size)
    with pytest.raises(BadCheckpoint, match="replaces with what does not end within 256 bytes"):
        Normalizer(changed).normalize("…①")


@given(st.binary(min_size=8, max_size=400), st.text(max_size=10))
def test_a_table_of_noise_is_used_or_refused_never_a_crash(noise, text):
    size = len(noise) // 4 * 4
    try:
        Normalizer(size.to_bytes(4, "little") + noise).normalize(text)
    except BadCheckpoint as error:
        assert "normalisation table" in str(error)  # noqa: PT017
