import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks.masks import Filling, fill_each, fill_mask

TEXTS = ["the cat <mask> water", "<mask>", "le chien <mask> dans la ville", "кошка <mask>", "水<mask>本", "un<mask>, y el gato bebe agua"]


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


class Fixed:
    """A runtime that gives every mask the same logits."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits.astype(np.float32)

    def hidden_states(self, ids, layers=(-1,)):
        raise AssertionError("not asked for")

    def mlm_logits(self, ids, picks):
        return np.tile(self.logits, (len(picks), 1))


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
    ("<mask> and <mask>", "the text has 2 masks; several are filled together from a later version on"),
    ("<mask> " + "x" * 70, "more than 64 tokens"),
    ("<mask>" * 70, "more than 64 tokens"),
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
