"""Scores of examples against scikit-learn's, seqeval's and what one works out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from xlmr.errors import BadLine
from xlmr.evaluation import reports, scoring
from xlmr.examples import Asked, Classified, Tagged

seqeval = pytest.importorskip("seqeval.metrics")

KNOWN = ("news", "sport", "travel")
POS = ("NOUN", "VERB", "DET")
IOB = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
LANGUAGES = ("en", "de")

WANTED_AND_FOUND = st.tuples(st.sampled_from(LANGUAGES), st.sampled_from(KNOWN), st.sampled_from(KNOWN))
SETS = st.sets(st.sampled_from(KNOWN)).map(sorted)


def classified(labels, language="en") -> Classified:
    return Classified(language, "a text", None, (labels,) if isinstance(labels, str) else tuple(labels), "a.tsv: line 2")


def tagged(tags, language="en") -> Tagged:
    return Tagged(language, tuple(f"w{i}" for i in range(len(tags))), tuple(tags), "a.conll: line 1")


def asked(language: str, *answers: str) -> Asked:
    return Asked(language, "1", "?", " ".join(answers), tuple((text, 0) for text in answers), "a.jsonl: line 1")


def report(scored):
    return reports.report(scored, rounds=0)


@given(st.lists(WANTED_AND_FOUND, min_size=1, max_size=20))
def test_labels_are_scored_as_scikit_learn_does_by_language(rows):
    found = report(scoring.labels([classified(wanted, code) for code, wanted, _ in rows], [label for _, _, label in rows], KNOWN))
    for code in {code for code, _, _ in rows}:
        wanted, ours = zip(*[(a, b) for language, a, b in rows if language == code], strict=True)
        assert found.metrics["accuracy"].languages[code] == pytest.approx(sklearn.accuracy_score(wanted, ours))
        assert found.metrics["macro_f1"].languages[code] == pytest.approx(sklearn.f1_score(wanted, ours, average="macro"))
    assert found.each.tolist() == [float(a == b) for _, a, b in rows]
    assert found.metric == "accuracy"


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=15))
def test_choices_are_scored_as_scikit_learn_does(rows):
    found = report(scoring.choices([classified(wanted) for wanted, _ in rows], [ours for _, ours in rows], KNOWN))
    wanted, ours = (np.array([[label in of[side] for label in KNOWN] for of in rows]) for side in (0, 1))
    for average in ("micro", "macro"):
        right = sklearn.f1_score(wanted, ours, average=average, zero_division=0)
        assert found.metrics[f"{average}_f1"].languages["en"] == pytest.approx(right)
    assert found.metrics["accuracy"].languages["en"] == pytest.approx(sklearn.accuracy_score(wanted, ours))
    assert found.metric == "micro_f1"


def test_a_text_without_labels_of_which_none_is_found_is_right():
    found = scoring.choices([classified([]), classified(["news"]), classified([])], [[], [], ["sport"]], KNOWN)
    assert found.each.tolist() == [1.0, 0.0, 0.0]


def test_numbers_are_scored_by_their_correlation():
    examples = [classified(label) for label in ("1", "2.5", "4", "3")]
    found = report(scoring.numbers(examples, [1.0, 2.5, 4.0, 3.0]))
    assert [found.metrics[name].mean for name in ("pearson", "spearman", "squared_error")] == pytest.approx([1, 1, 0])
    found = report(scoring.numbers(examples, [4.0, 3.0, 1.0, 2.0]))
    assert (found.metrics["spearman"].mean, found.metrics["squared_error"].mean) == pytest.approx((-1, (9 + 0.25 + 9 + 1) / 4))
    assert found.each.argmax() == 1
    with pytest.raises(BadLine, match=r"a\.tsv: line 2: found 'much' as the label, wanted a number"):
        scoring.numbers([classified("much")], [1.0])


@given(st.lists(st.lists(st.tuples(st.sampled_from(IOB), st.sampled_from(IOB)), min_size=1, max_size=8), min_size=1, max_size=8))
def test_spans_are_scored_as_seqeval_does(rows):
    wanted, ours = ([[pair[side] for pair in sentence] for sentence in rows] for side in (0, 1))
    wanted = [mended(tags) for tags in wanted]
    found = report(scoring.tags([tagged(tags) for tags in wanted], ours, IOB))
    for name in ("f1", "precision", "recall"):
        right = getattr(seqeval, f"{name}_score")(wanted, ours, zero_division=0)
        assert found.metrics[name].languages["en"] == pytest.approx(float(right))
    assert found.metrics["accuracy"].languages["en"] == pytest.approx(seqeval.accuracy_score(wanted, ours))
    assert found.metric == "f1"


def mended(tags: list[str]) -> list[str]:
    """The tags with B- where an I- goes on with nothing."""
    done: list[str] = []
    for tag in tags:
        begins = tag.startswith("I-") and (not done or done[-1][2:] != tag[2:])
        done.append(f"B-{tag[2:]}" if begins else tag)
    return done


@given(
    st.lists(
        st.tuples(st.sampled_from(LANGUAGES), st.lists(st.tuples(st.sampled_from(POS), st.sampled_from(POS)), min_size=1, max_size=6)),
        min_size=1,
        max_size=8,
    )
)
def test_tags_of_words_are_scored_as_scikit_learn_does(rows):
    examples = [tagged([a for a, _ in pairs], code) for code, pairs in rows]
    found = report(scoring.tags(examples, [[b for _, b in pairs] for _, pairs in rows], POS))
    for code in {code for code, _ in rows}:
        wanted, ours = zip(*[pair for language, pairs in rows if language == code for pair in pairs], strict=True)
        assert found.metrics["accuracy"].languages[code] == pytest.approx(sklearn.accuracy_score(wanted, ours))
        assert found.metrics["macro_f1"].languages[code] == pytest.approx(sklearn.f1_score(wanted, ours, average="macro"))
    assert found.each == pytest.approx([sum(a == b for a, b in pairs) / len(pairs) for _, pairs in rows])


def test_a_sentence_drawn_twice_counts_twice_in_every_statistic():
    examples = [tagged(["NOUN", "VERB"]), tagged(["DET"]), tagged(["DET", "NOUN", "VERB"])]
    found = [["NOUN", "NOUN"], ["DET"], ["NOUN", "NOUN", "VERB"]]
    once, rows = scoring.tags(examples, found, POS), [2, 0, 2]
    again = scoring.tags([examples[i] for i in rows], [found[i] for i in rows], POS)
    for name, statistic in once.statistics.items():
        assert statistic(np.array(rows)) == pytest.approx(again.statistics[name](np.arange(3)))


def test_answers_go_by_the_rules_of_their_language_and_by_squads():
    examples = [asked("de", "die Elbe"), asked("en", "the river"), asked("und", "the river"), asked("fr")]
    found = report(scoring.replies(examples, ["Elbe", "A river!", "River", None]))
    assert found.metrics["exact_match"].languages == {"de": 1.0, "en": 1.0, "fr": 1.0, "und": 1.0}
    assert found.metrics["squad_exact_match"].languages == {"de": 0.0, "en": 1.0, "fr": 1.0, "und": 1.0}
    assert found.metrics["squad_f1"].languages["de"] == pytest.approx(2 / 3)
    assert (found.task, found.metric) == ("answer", "f1")


def test_each_character_of_chinese_is_a_word():
    found = report(scoring.replies([asked("zh", "北京市")], ["北京"]))
    assert found.metrics["f1"].languages["zh"] == pytest.approx(0.8)
    assert found.metrics["squad_f1"].languages["zh"] == 0.0


def test_no_answer_is_right_where_none_is_wanted_and_nowhere_else():
    found = scoring.replies([asked("en"), asked("en"), asked("en", "Rome", "in Rome")], [None, "Rome", None])
    assert found.each.tolist() == [1.0, 0.0, 0.0]
    assert scoring.replies([asked("en", "Rome", "in old Rome")], ["in old Rome"]).each.tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: scoring.labels([classified("sports")], ["sport"], KNOWN),
         "a.tsv: line 2: has the label 'sports', which the model does not know; it knows news, sport, travel; is it 'sport'?"),
        (lambda: scoring.choices([classified(["news", "war"])], [[]], KNOWN), "a.tsv: line 2: has the label 'war'"),
        (lambda: scoring.tags([tagged(["NOUN", "ADJ"])], [["NOUN", "NOUN"]], POS),
         "a.conll: line 1: word 2 of the sentence, 'w1', has the tag 'ADJ', which the model does not know"),
        (lambda: scoring.tags([tagged(["O", "I-PER"])], [["O", "O"]], IOB),
         "a.conll: line 1: word 2 of the sentence, 'w1', has the tag 'I-PER' after O, which breaks IOB2; wanted B-PER or O there"),
    ],
)  # fmt: skip
def test_a_label_that_is_not_known_is_told_with_its_place(call, complaint):
    with pytest.raises(BadLine) as told:
        call()
    assert complaint in str(told.value)
