from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuners import CLASSIFIER, TOPICS

import xlmr
from xlmr.errors import BadInput
from xlmr.evaluation import mistakes, reports, scoring
from xlmr.evaluation.examination import Evaluation
from xlmr.evaluation.mistakes import Confusion
from xlmr.examples import Asked, Classified, Tagged
from xlmr.heads.classes import MULTI

KNOWN = ("news", "sport", "travel")


def labelled(pairs, confidence=None) -> Evaluation:
    examples = [Classified("en", f"text {i}", None, (wanted,), f"a.tsv: line {i + 2}") for i, (wanted, _) in enumerate(pairs)]
    found = [label for _, label in pairs]
    report = reports.report(scoring.labels(examples, found, KNOWN), rounds=0)
    return Evaluation(report, examples, [(label,) for label in found], np.ones(len(pairs)) if confidence is None else np.array(confidence))


def test_confusions_are_counted_and_shared_by_what_was_wanted():
    pairs = [("news", "sport")] * 3 + [("news", "news")] + [("travel", "news")] * 2 + [("sport", "news")] * 2
    assert mistakes.confusions(labelled(pairs)) == [
        Confusion("news", "sport", 3, 0.75), Confusion("sport", "news", 2, 1.0), Confusion("travel", "news", 2, 1.0),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(KNOWN), st.sampled_from(KNOWN)), min_size=1))
def test_confusions_and_the_worst_are_exactly_what_is_wrong(pairs):
    of = labelled(pairs)
    wrong = sum(a != b for a, b in pairs)
    assert sum(confusion.count for confusion in mistakes.confusions(of)) == wrong
    assert len(mistakes.worst(of, len(pairs))) == wrong


def test_words_are_confused_one_by_one():
    examples = [Tagged("en", ("a", "b", "c"), ("DET", "NOUN", "VERB"), "a.conll: line 1")]
    found = [("DET", "VERB", "NOUN")]
    report = reports.report(scoring.tags(examples, found, ("DET", "NOUN", "VERB")), rounds=0)
    of = Evaluation(report, examples, found, np.array([0.5]))
    assert [(c.wanted, c.found, c.count) for c in mistakes.confusions(of)] == [("NOUN", "VERB", 1), ("VERB", "NOUN", 1)]
    (worst,) = mistakes.worst(of, 5)
    assert (worst.text, worst.wanted, worst.found, worst.score) == ("a b c", ("DET", "NOUN", "VERB"), found[0], pytest.approx(1 / 3))


def test_of_equally_bad_answers_the_surest_comes_first_and_no_right_one_does():
    of = labelled([("news", "sport"), ("news", "news"), ("sport", "travel"), ("travel", "news")], [0.4, 0.99, 0.9, 0.6])
    assert [mistake.where for mistake in mistakes.worst(of, 2)] == ["a.tsv: line 4", "a.tsv: line 5"]
    assert [mistake.confidence for mistake in mistakes.worst(of, 9)] == [0.9, 0.6, 0.4]


def test_a_mistake_shows_the_pair_or_the_context_and_all_right_answers():
    asked = [Asked("de", "1", "Wo?", "In Rom, der Stadt.", (("Rom", 3), ("In Rom", 0)), "a.jsonl: line 1")]
    report = reports.report(scoring.replies(asked, [None]), rounds=0)
    (worst,) = mistakes.worst(Evaluation(report, asked, [()], np.array([0.8])), 1)
    assert (worst.text, worst.wanted, worst.found) == ("Wo?\tIn Rom, der Stadt.", ("Rom", "In Rom"), ())
    pair = [Classified("de", "Es regnet.", "Es ist nass.", ("news",), "a.tsv: line 2")]
    report = reports.report(scoring.labels(pair, ["sport"], KNOWN), rounds=0)
    assert mistakes.worst(Evaluation(report, pair, [("sport",)], np.ones(1)), 1)[0].text == "Es regnet.\tEs ist nass."


def test_several_labels_at_once_are_not_confused(tuned):
    mistakes.check("classify", xlmr.load(tuned(CLASSIFIER, TOPICS), threads=1))
    with pytest.raises(BadInput, match="is for multi label classification; confusions want one label for each text"):
        mistakes.check("classify", xlmr.load(tuned(CLASSIFIER, TOPICS, problem=MULTI), threads=1))
