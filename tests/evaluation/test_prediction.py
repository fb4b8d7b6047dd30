from dataclasses import replace

import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.evaluation import guesser, prediction, questions
from xlmr.evaluation.benchmarks import Line
from xlmr.evaluation.prediction import Guesses
from xlmr.evaluation.questions import Question
from xlmr.training.corpus import Corpus


@pytest.fixture(scope="module")
def marks(encoder):
    return questions.look_at(encoder.tokenizer)


@pytest.fixture(scope="module")
def asked(encoder, lines, marks):
    return questions.draw(lines, encoder.tokenizer, lambda ids: questions.whole_words(ids, marks), count=4)


def corpus_of(encoder, texts):
    """A corpus of (language, text)."""
    pieces = [questions.pieces(encoder.tokenizer, text) for _, text in texts]
    codes = sorted({language for language, _ in texts})
    return Corpus(
        tokens=np.concatenate(pieces).astype(np.uint16), starts=np.cumsum([0, *map(len, pieces)]),
        language=np.array([codes.index(language) for language, _ in texts], np.uint8),
        group=np.full(len(texts), -1), phrase=np.zeros(len(texts), bool), languages=tuple(codes),
    )  # fmt: skip


def test_only_candidates_count():
    scores = np.log(np.array([[0.5, 0.3, 0.1, 0.1]]))
    every, some = (prediction.judge(scores, np.array([2]), np.array(mask, bool)) for mask in ([1, 1, 1, 1], [0, 1, 1, 0]))
    assert (every.ranks.tolist(), some.ranks.tolist()) == ([2], [1])
    assert (every.bits[0], some.bits[0]) == (pytest.approx(-np.log2(0.1)), pytest.approx(2))


def test_an_answer_that_is_no_candidate_is_wrong():
    found = prediction.judge(np.zeros((1, 3)), np.array([0]), np.array([False, True, True]))
    assert found.ranks[0] == 2
    assert np.isposinf(found.bits[0])


def test_logits_may_be_shifted():
    scores = np.random.default_rng(0).standard_normal((6, 9))
    answers, mask = np.arange(6), np.ones(9, bool)
    one, other = prediction.judge(scores, answers, mask), prediction.judge(scores + 1e4, answers, mask)
    np.testing.assert_array_equal(one.ranks, other.ranks)
    np.testing.assert_allclose(one.bits, other.bits, rtol=1e-6)


def test_the_model_is_asked_at_the_mask(encoder, asked, marks):
    """By brute force: each question alone, all of its logits softmaxed."""
    (guesses,) = prediction.model(encoder, (prediction.alone(encoder, question) for question in asked), [marks.text])
    for question, rank, bits in zip(asked, guesses.ranks, guesses.bits, strict=True):
        ids = [0, *question.ids.tolist(), 2]
        assert ids[question.place + 1] == question.answer
        ids[question.place + 1] = encoder.tokenizer.mask_id
        (logits,) = encoders.mlm_logits(encoder, [ids], [(0, question.place + 1)])
        chances = {piece: np.exp(float(logit)) for piece, logit in enumerate(logits) if 4 <= piece < encoder.tokenizer.mask_id}
        assert rank == sum(chance > chances[question.answer] for chance in chances.values())
        assert bits == pytest.approx(-np.log2(chances[question.answer] / sum(chances.values())), abs=1e-3)


def test_words_are_counted_as_words_alone(encoder, marks):
    """`▁cat` inside `catting` is no word, so the word `cat` was never seen."""
    corpus = corpus_of(encoder, [("en", "the catting the catting the dog")])
    ids = questions.pieces(encoder.tokenizer, "the cat")
    question = Question(Line("en", "prose", "", "the cat"), ids, 1)
    (words,), (pieces,) = (prediction.counts(corpus, [question], marks, words=only, contexts=[guesser.UNIGRAMS]) for only in (True, False))
    assert pieces.ranks[0] == 1  # after "the" alone
    assert words.ranks[0] >= 2
    assert pieces.bits[0] < words.bits[0]


def test_counts_equal_the_guesser_asked_one_by_one(encoder, asked, marks, monkeypatch):
    monkeypatch.setattr(prediction, "BLOCK", 3)
    texts = [
        ("de", "die Katze schläft"),
        ("en", "the cat sleeps in the city"),
        ("de", "das Kind trinkt Wasser"),
        ("en", "the dog drinks water"),
    ]
    corpus = corpus_of(encoder, texts)
    mixed = [asked[i] for i in np.random.default_rng(0).permutation(len(asked))]
    unigrams, guesses = prediction.counts(corpus, mixed, marks, words=True, contexts=[guesser.UNIGRAMS, guesser.CONTEXTS])
    for i, question in enumerate(mixed):
        known = guesser.of_language(corpus, question.line.language, encoder.tokenizer.size)
        known = replace(known, places=questions.whole_words(known.pieces, marks.with_edge()))
        line = guesser.of_lines(question.ids, np.array([0]), np.array([len(question.ids)]), encoder.tokenizer.size)
        place = replace(line, places=line.places[[question.place]])
        wanted = prediction.judge(np.log(guesser.chances(known, place, encoder.tokenizer.size)), np.array([question.answer]), marks.word)
        assert (guesses.ranks[i], guesses.bits[i]) == (wanted.ranks[0], pytest.approx(wanted.bits[0]))
    assert guesses.bits.sum() != unigrams.bits.sum()


def test_the_mean_is_over_languages_with_enough_questions(encoder):
    ids = questions.pieces(encoder.tokenizer, "cat")
    many = [
        Question(Line(language, "prose", "", "cat"), ids, 0)
        for language, count in (("de", 20), ("en", 60), ("sw", 19))
        for _ in range(count)
    ]
    ranks = np.array([0] * 20 + [4] * 60 + [9] * 19)
    found = prediction.words(many, Guesses(ranks, np.ones(99)))
    assert found["mean"] == {"top1": 0.5, "top5": 1.0, "bits": 1.0, "languages": 2}
    assert sorted(found["languages"]) == ["de", "en"]
    assert found["all"]["top5"] == pytest.approx(80 / 99)
    assert found["sources"]["prose"]["questions"] == 99


def test_characters_are_those_of_the_hidden_pieces(encoder, marks):
    ids = questions.pieces(encoder.tokenizer, "cat water")
    both = [Question(Line("en", "prose", "", "cat water"), ids, place) for place in (0, 1) for _ in range(10)]
    found = prediction.characters(both, Guesses(np.zeros(20, int), np.full(20, 5.0)), marks)
    assert found["all"]["bits"] == pytest.approx(20 * 5 / (10 * len("▁cat") + 10 * len("▁water")))
    assert found["mean"]["bits"] == found["languages"]["en"]["bits"] == found["all"]["bits"]
