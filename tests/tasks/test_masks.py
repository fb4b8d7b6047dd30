import itertools
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from models import Fixed

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks.masks import Filling, fill_each, fill_mask, filled

TEXTS = ["the cat <mask> water", "<mask>", "le chien <mask> dans la ville", "кошка <mask>", "水<mask>本", "un<mask>, y el gato bebe agua"]


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def fixed(encoder: Encoder, logits: np.ndarray) -> Encoder:
    return Encoder(encoder.config, encoder.tokenizer, Fixed(logits))


def only(encoder: Encoder, piece: str) -> Encoder:
    """A model that always answers with one piece."""
    place = next(i for i in range(500) if encoder.tokenizer.piece(i) == piece)
    return fixed(encoder, 50.0 * (np.arange(500) == place))


def special_ids(encoder: Encoder) -> list[int]:
    return [0, 1, 2, 3, encoder.tokenizer.mask_id]


def test_fillings_are_those_of_transformers_without_special_tokens(tiny, encoder):
    transformers = pytest.importorskip("transformers")
    model = transformers.XLMRobertaForMaskedLM.from_pretrained(tiny).eval()
    tokenizer = transformers.XLMRobertaTokenizer.from_pretrained(tiny)
    pipeline = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu")
    for text in TEXTS:
        theirs = [answer for answer in pipeline(text, top_k=25) if answer["token"] not in special_ids(encoder)][:20]
        ours = fill_mask(encoder, text, top=20)
        assert [filling.ids for filling in ours] == [((answer["token"],),) for answer in theirs]
        np.testing.assert_allclose([filling.score for filling in ours], [answer["score"] for answer in theirs], atol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 80), st.integers(1, 500))
def test_the_best_are_those_of_sorting_everything(encoder, seed, spread, top):
    logits = np.random.default_rng(seed).integers(-spread, spread, 500, endpoint=True)  # whole numbers, so that many are equal
    scores = np.exp(logits - logits.max(), dtype=np.float64)
    scores /= scores.sum()
    wanted = sorted((i for i in range(500) if i not in special_ids(encoder)), key=lambda i: (-logits[i], i))[:top]
    found = fill_mask(fixed(encoder, logits), "the <mask>", top=top)
    assert [filling.ids[0][0] for filling in found] == wanted
    np.testing.assert_allclose([filling.score for filling in found], scores[wanted], rtol=1e-9)


def test_a_special_token_is_never_proposed_and_keeps_its_probability(encoder):
    logits = np.zeros(500)
    logits[special_ids(encoder)] = 10
    found = fill_mask(fixed(encoder, logits), "the <mask>", top=1000)
    assert len(found) == 495
    assert sum(filling.score for filling in found) == pytest.approx(495 / (495 + 5 * np.exp(10)))


def test_extreme_logits_give_numbers(encoder):
    assert fill_mask(fixed(encoder, np.where(np.arange(500) == 9, 3e38, -3e38)), "<mask>", top=3)[0].score == 1.0
    assert fill_mask(fixed(encoder, np.where(np.arange(500) == 9, 0.0, -np.inf)), "<mask>", top=2)[1].score == 0.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_model_that_answers_with_no_numbers_is_broken(encoder, wrong):
    logits = np.zeros(500)
    logits[77] = wrong
    with pytest.raises(BadCheckpoint, match="numbers that are not finite"):
        fill_mask(fixed(encoder, logits), "<mask>")


@pytest.mark.parametrize(
    ("text", "piece", "filled"),
    [
        ("la <mask> de", "▁capitale", "la capitale de"),
        ("un<mask>", "es", "unes"),
        ("un <mask>", "es", "un es"),
        ("un<mask>", "▁gato", "un gato"),
        ("<mask> de", "▁capitale", "capitale de"),
        ("the  <mask>\n de", "▁cat", "the  cat\n de"),
        ("«<mask>» de", "▁cat", "«cat» de"),
        ("l'<mask>", "▁eau", "l'eau"),
        ("book,<mask>", "▁cat", "book, cat"),
        ("水<mask>本", "▁书", "水书本"),
        ("น้ำ<mask>", "▁แมว", "น้ำแมว"),
        ("집<mask>", "▁물", "집 물"),
        ("<mask>", "▁", ""),
    ],
)
def test_only_the_mask_changes_and_a_space_comes_only_where_words_would_meet(encoder, text, piece, filled):
    assert fill_mask(only(encoder, piece), text, top=1)[0].text == filled


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["▁cat", "es", "▁書", "▁"]))
def test_nothing_outside_the_mask_changes(encoder, before, after, piece):
    text = f"{before}<mask>{after}"
    (answer,) = fill_each(only(encoder, "▁cat"), [text], top=1)
    if isinstance(answer, list):
        filled = answer[0].text
        assert filled in (f"{before}cat{after}", f"{before} cat{after}")


@given(
    st.lists(st.text(max_size=8), min_size=2, max_size=5),
    st.lists(st.sampled_from(["cat", "▁", "▁cat", "書", "es"]), min_size=4, max_size=4),
)
@example(["a", "", "b"], ["▁cat", "cat", "▁", "es"])
def test_nothing_outside_several_masks_changes(encoder, parts, pieces):
    """What a text is filled with is one word for each mask, at most a space before it, and all else as it was."""
    text = "<mask>".join(parts)
    words = [(piece.removeprefix("▁"), piece.startswith("▁")) for piece in pieces[: len(parts) - 1]]
    if text.count("<mask>") == len(words):
        out = re.escape(parts[0]) + "".join(
            f" ?{re.escape(word)}{re.escape(part)}" for (word, _), part in zip(words, parts[1:], strict=True)
        )
        assert re.fullmatch(out, filled(text, words))


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_asked_nothing_outside_the_masks_changes(encoder, before, between, after):
    text = f"{before}<mask>{between}<mask>{after}"
    for options in ({}, {"whole_word": True, "longest_word": 2}, {"candidates": ["cat", "big house"]}):
        (answer,) = fill_each(encoder, [text], top=2, beam=2, **options)
        for filling in answer if isinstance(answer, list) else []:
            rest = filling.text
            for word, part in zip(filling.words, (before, between), strict=True):
                assert rest.startswith(part)
                rest = rest.removeprefix(part).removeprefix("" if word.startswith(" ") else " ")
                assert rest.startswith(word)
                rest = rest.removeprefix(word)
            assert rest == after


def test_a_filling_tells_its_words_and_ids(encoder):
    (filling,) = fill_mask(only(encoder, "▁cat"), "the <mask>", top=1)
    (i,) = filling.ids[0]
    assert filling == Filling(filling.score, ("cat",), ((i,),), "the cat")
    assert encoder.tokenizer.piece(i) == "▁cat"


def test_one_text_gives_one_answer_many_a_list_and_a_stream_an_iterator(encoder):
    encoder = only(encoder, "▁cat")
    one = fill_mask(encoder, "the <mask>")
    assert len(one) == 5
    assert all(isinstance(filling, Filling) for filling in one)
    assert fill_mask(encoder, ["the <mask>"]) == [one]
    assert fill_mask(encoder, iter(["the <mask>"])) == [one]
    assert fill_mask(encoder, []) == []
    stream = fill_mask(encoder, itertools.cycle(["the <mask>"]), stream=True)
    assert next(stream) == next(stream) == one
    assert list(fill_mask(encoder, "the <mask>", stream=True)) == [one]


def test_an_answer_depends_on_its_own_text_alone(encoder):
    together = fill_mask(encoder, TEXTS * 3)
    for text, answer in zip(TEXTS * 3, together, strict=True):
        alone = fill_mask(encoder, text)
        assert [filling.ids for filling in answer] == [filling.ids for filling in alone]
        assert [filling.score for filling in answer] == pytest.approx([filling.score for filling in alone], abs=1e-5)


BAD = [
    ("", "the text is empty; wanted one with <mask>"),
    (" \n\t\u3000", "the text is empty"),
    ("the cat", "the text has no <mask>; put it where a word is missing, as in 'Paris"),
    ("<MASK> [MASK] ＜mask＞", "the text has no <mask>"),
    ("<mask>" * 200, "the text has 200 masks, and at most 16 are filled together; split it"),
    (
        "<mask>" + " a" * 61 + "<mask>",
        "the masks are too far apart: from the first to the last there are 63 tokens, and this model sees 62",
    ),
    ("<mask>" + "a" * 1_000_000, "has 1,000,006 characters, and at most 100,000 are taken"),
    ("<mask> \ud83d", r"character 7 of the text is U\+D83D, a half of a surrogate pair"),
    ("<mask> \x00 \x07 \x1b[31m", None),
]


@pytest.mark.parametrize(("text", "message"), [(text, message) for text, message in BAD if message])
def test_what_cannot_be_answered_says_why(encoder, text, message):
    with pytest.raises(BadInput, match=message):
        fill_mask(encoder, text)


@pytest.mark.parametrize("text", [text for text, message in BAD if message is None])
def test_control_characters_are_answered(encoder, text):
    assert len(fill_mask(encoder, text)) == 5


@pytest.mark.parametrize("top", [0, -1, 1001, 2.5, "5", None, True, np.float32(3)])
def test_top_has_limits(encoder, top):
    with pytest.raises(BadInput, match="wanted a whole number from 1 to 1,000"):
        fill_mask(encoder, "<mask>", top=top)


def test_a_number_of_any_integer_type_will_do(encoder):
    assert len(fill_mask(encoder, "<mask>", top=np.int64(3))) == 3


def test_fillings_are_not_copies_without_end(encoder):
    text = "<mask>" + " " * 99_000
    with pytest.raises(BadInput, match=r"1,000 fillings of a text of 99,006 characters have more than 10,000,000 .*at most 101 are given"):
        fill_mask(encoder, text, top=1000)
    assert len(fill_mask(encoder, text, top=101)) == 101


def test_a_text_longer_than_the_model_is_seen_through_a_window_with_the_mask_in_its_middle(encoder):
    words = "the cat drinks water and a dog sleeps in the house".split() * 70
    words[600] = "<mask>"
    ids = encoder.tokenizer.encode(" ".join(words)).ids
    place = ids.index(encoder.tokenizer.mask_id)
    assert place > 600
    window = [ids[0], *ids[place - 31 : place + 31], ids[-1]]
    logits = encoder.runtime.mlm_logits(np.array([window]), np.array([[0, 32]]))[0].astype(np.float64)
    found = fill_mask(encoder, " ".join(words))
    shares = np.exp(logits) / np.exp(logits).sum()
    assert [filling.score for filling in found] == pytest.approx(np.sort(np.delete(shares, special_ids(encoder)))[::-1][:5], rel=1e-5)
    assert found[0].text.split()[:600] == words[:600]
    assert found[0].text.split()[-99:] == words[-99:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"script": "Cyrillic"}, "script 'Cyrillic' is not known; is it one of Cyrl"),
        ({"script": "Tibt"}, "the model's vocabulary has no piece in Tibt; wanted a script that it knows"),
        ({"language": "Klingon"}, "language 'Klingon' is not known"),
        ({"language": 7}, "language 7 is not known; wanted a code such as en"),
        ({"language": "de", "script": "Latn"}, "both a script and a language are given; wanted one of them"),
        ({"candidates": ["a"], "script": "Latn"}, "candidates are given, and whole words, a script or a language as well"),
        ({"candidates": ["a"], "whole_word": True}, "candidates are given, and whole words, a script or a language as well"),
        ({"beam": 0}, "beam is 0, wanted a whole number from 1 to 1,000"),
        ({"whole_word": True, "longest_word": 17}, "longest_word is 17, wanted a whole number from 1 to 16"),
    ],
)
def test_options_that_cannot_be_answered_say_why(encoder, options, message):
    with pytest.raises(BadInput, match=message):
        fill_each(encoder, [], **options)


def test_masks_that_can_be_divided_in_too_many_ways_are_refused(encoder):
    with pytest.raises(BadInput, match=r"3 masks for 5 × 5 × 5 lengths of words can be divided into pieces in 125 ways, and at most 64"):
        fill_mask(encoder, "<mask> <mask> <mask>", whole_word=True, longest_word=5)


@pytest.mark.parametrize(
    ("options", "script"), [({"script": "cyrl"}, "CYRILLIC"), ({"language": "ru"}, "CYRILLIC"), ({"language": "el"}, "GREEK")]
)
def test_a_script_restricts_what_is_proposed_and_changes_no_score(encoder, options, script):
    every = {filling.ids: filling.score for filling in fill_mask(encoder, TEXTS[0], top=1000)}
    found = fill_mask(encoder, TEXTS[0], top=1000, **options)
    of_script = [i for i in range(500) if any(unicodedata.name(char, "").startswith(script) for char in encoder.tokenizer.piece(i))]
    assert sorted(filling.ids[0][0] for filling in found) == of_script
    assert {filling.ids: filling.score for filling in found}.items() <= every.items()


def test_a_list_names_the_text_that_cannot_be_answered(encoder):
    with pytest.raises(BadInput, match="text 3: the text has no <mask>"):
        fill_mask(encoder, ["<mask>", "a <mask>", "b"])
    for texts in (b"<mask>", None, 7, [None]):
        with pytest.raises(BadInput, match=r"found a \w+, wanted a text"):
            fill_mask(encoder, texts)


@given(st.lists(st.sampled_from([*TEXTS, *(text for text, _ in BAD), BadInput("unreadable")]), max_size=8))
@example(["", "", ""])
def test_what_cannot_be_answered_harms_no_other(encoder, texts):
    for text, answer in zip(texts, fill_each(encoder, texts, top=1), strict=True):
        if isinstance(answer, BadInput):
            assert answer is text or str(answer)
        else:
            assert [filling.ids for filling in answer] == [filling.ids for filling in fill_mask(encoder, text, top=1)]
        answerable = text in TEXTS or (text, None) in BAD
        assert isinstance(answer, list) == answerable
