import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import Fixed

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks.scoring import Score, score, score_each

TEXTS = ["the cat drinks water", "unbelievably good, isn't it?", "кошка читает", "我 水书籍", "x", "«l'eau»", "the  \n cat"]


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def log_probability(encoder: Encoder, row: list[int], place: int, piece: int) -> float:
    logits = encoder.runtime.mlm_logits(np.array([row]), np.array([[0, place]]))[0].astype(np.float64)
    return float(logits[piece] - np.log(np.exp(logits).sum()))


@pytest.mark.parametrize("text", TEXTS)
def test_the_pseudo_log_likelihood_is_that_of_a_naive_loop(encoder, text):
    ids = encoder.tokenizer.encode(text).ids
    wanted = []
    for place in range(1, len(ids) - 1):
        row = ids.copy()
        row[place] = encoder.tokenizer.mask_id
        wanted.append(log_probability(encoder, row, place, ids[place]))
    found = score(encoder, text, masking="token")
    assert [token.score for token in found.tokens] == pytest.approx(wanted, abs=1e-4)
    assert [token.id for token in found.tokens] == ids[1:-1]
    assert found.score == pytest.approx(sum(wanted), abs=1e-4)


WORDS = [  # the words of a text, as its pieces with the words of several pieces in brackets
    ("the cat drinks water", [[0], [1], [2], [3]]),
    ("xyz ab, cd.", [[0, 1, 2, 3], [4, 5], [6], [7, 8, 9], [10]]),
    ("水书籍", [[0], [1], [2]]),
    ("ab水cd", [[0, 1], [2], [3, 4]]),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_with_each_token_the_rest_of_its_word_is_masked(encoder, text, words):
    ids = encoder.tokenizer.encode(text).ids
    assert [place for word in words for place in word] == list(range(len(ids) - 2)), [encoder.tokenizer.piece(i) for i in ids]
    wanted = []
    for word in words:
        for place in word:
            row = [
                encoder.tokenizer.mask_id if place <= i - 1 <= word[-1] and 0 < i < len(ids) - 1 else piece for i, piece in enumerate(ids)
            ]
            wanted.append(log_probability(encoder, row, place + 1, ids[place + 1]))
    assert [token.score for token in score(encoder, text).tokens] == pytest.approx(wanted, abs=1e-4)


def test_words_of_one_piece_score_the_same_either_way(encoder):
    text = "the cat drinks water"
    assert score(encoder, text).score == pytest.approx(score(encoder, text, masking="token").score, abs=1e-4)


def test_every_token_of_a_long_text_is_scored_once_in_the_middle_of_its_window(encoder):
    text = " ".join("the cat drinks water and a dog sleeps".split() * 20)
    ids = encoder.tokenizer.encode(text).ids
    found = score(encoder, text, masking="token")
    assert len(found.tokens) == len(ids) - 2 == 160
    for place in (0, 5, 31, 80, 128, 129, 130, 159):
        begin = min(max(0, place - 31), 160 - 62)
        row = [ids[0], *ids[1 + begin : 1 + begin + 62], ids[-1]]
        row[1 + place - begin] = encoder.tokenizer.mask_id
        assert found.tokens[place].score == pytest.approx(log_probability(encoder, row, 1 + place - begin, ids[1 + place]), abs=1e-4)


def test_a_word_longer_than_the_model_is_scored(encoder):
    assert len(score(encoder, "x" * 200).tokens) == 201


@given(st.text(max_size=30))
def test_tokens_are_slices_of_the_text_in_order(encoder, text):
    (found,) = score_each(Encoder(encoder.config, encoder.tokenizer, Fixed(np.zeros(500))), [text])
    if isinstance(found, Score):
        assert all(token.text == text[token.start : token.end] for token in found.tokens)
        assert [token.start for token in found.tokens] == sorted(token.start for token in found.tokens)
        assert found.score == pytest.approx(-len(found.tokens) * math.log(500))


def test_a_score_depends_on_its_own_text_alone(encoder):
    for text, found in zip(TEXTS, score(encoder, TEXTS), strict=True):
        assert found.score == pytest.approx(score(encoder, text).score, abs=1e-4)
    assert [found.score for found in score(encoder, iter(TEXTS), stream=True)] == [found.score for found in score(encoder, iter(TEXTS))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty; wanted at least one word"),
        (" \n\u3000", "the text is empty"),
        ("the <mask>", "the text has a <mask>, which stands for any word; fill it, then score the text"),
        ("a " * 9000, "the text has 9,000 tokens, and at most 8,192 are scored; split it"),
        ("a" * 100_001, "the text has 100,001 characters, and at most 100,000 are taken"),
        ("\ud83d", r"character 0 of the text is U\+D83D"),
        (7, "wanted a text"),
    ],
)
def test_what_cannot_be_scored_says_why(encoder, text, message):
    with pytest.raises(BadInput, match=message):
        score(encoder, text)


def test_a_masking_there_is_not_is_told(encoder):
    with pytest.raises(BadInput, match="masking 'l2r' is not known; wanted one of word-l2r, token"):
        score(encoder, "x", masking="l2r")


def test_a_token_without_probability_is_a_broken_model(encoder):
    model = Encoder(encoder.config, encoder.tokenizer, Fixed(np.where(np.arange(500) == 9, 0.0, -np.inf)))
    with pytest.raises(BadCheckpoint, match="no probability at all"):
        score(model, "cat")
