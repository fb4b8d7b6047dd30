import numpy as np
import pytest

from xlmr.evaluation import prediction, transfer
from xlmr.evaluation.benchmarks import Line
from xlmr.evaluation.questions import pieces


@pytest.fixture(scope="module")
def cases(encoder, lines):
    return transfer.cases(encoder, lines, count=100)


def test_the_translation_and_another_line_of_its_language_stand_beside(encoder, lines, cases):
    english = {line.id: pieces(encoder.tokenizer, line.text).tolist() for line in lines if line.language == "en"}
    assert {case.question.line.language for case in cases} == {"de"}  # English has no French beside it here
    for case in cases:
        translation, unrelated = (context.tolist() for context in case.contexts)
        assert translation == english[case.question.line.id] != unrelated
        assert unrelated in english.values()


def test_every_line_is_somebody_elses_context_once(cases, lines):
    unrelated = {case.question.line.id: tuple(case.contexts[1]) for case in cases}
    assert len(set(unrelated.values())) == len(unrelated) == 5


def test_english_has_french_beside_it(encoder, lines):
    french = [Line("fr", "ntrex128", str(i), text) for i, text in enumerate(("le chat boit", "le chien dort", "un livre"))]
    found = transfer.cases(encoder, [*lines, *french], count=100)
    beside = {case.question.line.language: tuple(case.contexts[0]) for case in found if case.question.line.id == "0"}
    assert beside["en"] == tuple(pieces(encoder.tokenizer, "le chat boit"))
    assert beside["fr"] == beside["de"] == tuple(pieces(encoder.tokenizer, "the cat drinks water"))


def test_a_source_of_one_line_has_no_unrelated_one(encoder):
    alone = [Line("en", "bible", "1", "the house is good"), Line("de", "bible", "1", "das Haus ist gut")]
    assert transfer.cases(encoder, alone, count=9) == []


def test_both_contexts_are_asked_the_same_words(encoder, lines, cases, monkeypatch):
    asked = []

    def model(encoder, prompts, candidates):
        asked.append(list(prompts))
        return [prediction.Guesses(np.zeros(len(asked[-1]), int), np.zeros(len(asked[-1])))]

    monkeypatch.setattr(prediction, "model", model)
    transfer.measure(encoder, lines, count=100)
    beside, apart = asked
    for case, one, other in zip(cases, beside, apart, strict=True):
        line = [0, *case.question.ids.tolist(), 2]
        line[case.question.place + 1] = encoder.tokenizer.mask_id
        assert one.ids == [*line, 2, *case.contexts[0].tolist(), 2]
        assert other.ids == [*line, 2, *case.contexts[1].tolist(), 2]
        assert (one.place, one.answer) == (other.place, other.answer) == (case.question.place + 1, case.question.answer)


def test_scores_are_told_apart(encoder, lines, cases, monkeypatch):
    """A model that finds a word in the translation's company, and nothing else, is seen to do so."""
    monkeypatch.setattr(transfer, "FEWEST", 1)
    ranks = iter([np.zeros(len(cases), int), np.full(len(cases), 3)])
    monkeypatch.setattr(prediction, "model", lambda *_: [prediction.Guesses(next(ranks), np.zeros(len(cases)))])
    found = transfer.measure(encoder, lines, count=100)
    wanted = {"translation": {"top1": 1.0, "top5": 1.0}, "unrelated": {"top1": 0.0, "top5": 1.0}}
    assert found["all"] == found["languages"]["de"] == {"questions": len(cases), **wanted}
    assert found["mean"] == wanted


def test_a_word_that_could_be_copied_is_not_new(encoder):
    both = [
        Line(language, "bible", id, text)
        for language, id, text in (("en", "1", "in Paris"), ("en", "2", "the book"), ("de", "1", "in Stadt"), ("de", "2", "das Buch"))
    ]
    found = {encoder.tokenizer.piece(case.question.answer): case.new for case in transfer.cases(encoder, both, count=9)}
    assert found["▁in"] is False
    assert found["▁Stadt"] is found["▁Buch"] is True
