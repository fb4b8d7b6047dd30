import numpy as np
import pytest

from xlmr.evaluation.benchmarks import Line
from xlmr.evaluation.questions import draw, known, look_at, pieces, whole_words


@pytest.fixture(scope="module")
def tokenizer(encoder):
    return encoder.tokenizer


def hidden(tokenizer, text):
    ids = pieces(tokenizer, text)
    return [tokenizer.piece(ids[place]) for place in whole_words(ids, look_at(tokenizer))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat reads", ["▁the", "▁cat", "▁reads"]),
        ("the catting book", ["▁the", "▁book"]),  # ▁cat goes on
        ("cat. book", ["▁book"]),  # a full stop makes the first two pieces
        ("the - book", ["▁the", "▁book"]),  # punctuation is no word
        ("家 水 书", ["▁家", "▁水", "▁书"]),
        ("", []),
    ],
)
def test_a_word_is_asked_if_it_is_one_piece(tokenizer, text, words):
    assert hidden(tokenizer, text) == words


def test_unknown_pieces_are_not_asked(tokenizer):
    ids = pieces(tokenizer, "cat ☃ dog")
    assert tokenizer.unk_id in ids
    assert {tokenizer.piece(ids[place]) for place in known(ids, look_at(tokenizer))} <= {"▁cat", "▁", "▁dog"}


def test_an_edge_ends_a_word_and_is_none(tokenizer):
    marks = look_at(tokenizer).with_edge()
    cat, edge = pieces(tokenizer, "cat")[0], tokenizer.size
    assert whole_words(np.array([edge, cat, edge, cat, edge]), marks).tolist() == [1, 3]


def test_questions_are_drawn_alike_and_within_their_limits(tokenizer, lines):
    def ask(seed, **limits):
        return draw(lines, tokenizer, lambda ids: whole_words(ids, look_at(tokenizer)), seed=seed, **limits)

    def shown(questions):
        return [(question.line, question.place) for question in questions]

    assert shown(ask(1, count=3)) == shown(ask(1, count=3)) != shown(ask(2, count=3))
    assert [question.line.language for question in ask(1, count=3)] == ["de"] * 3 + ["en"] * 3
    singles = ask(1, count=100)
    assert len({question.line for question in singles}) == len(singles) == len(lines)
    assert max(np.unique([lines.index(question.line) for question in ask(1, count=100, each=2)], return_counts=True)[1]) == 2


def test_more_languages_change_no_question(tokenizer, lines):
    def ask(of):
        return [q for q in draw(of, tokenizer, lambda ids: whole_words(ids, look_at(tokenizer)), count=4) if q.line.language == "de"]

    more = ask([*lines, Line("sw", "prose", "", "nyumba na maji")])
    assert [(q.line, q.place) for q in more] == [(q.line, q.place) for q in ask(lines)]


def test_the_answer_is_what_stood_there(tokenizer):
    (question,) = draw([Line("en", "prose", "", "cat")], tokenizer, lambda ids: whole_words(ids, look_at(tokenizer)), count=1)
    assert tokenizer.piece(question.answer) == "▁cat"
