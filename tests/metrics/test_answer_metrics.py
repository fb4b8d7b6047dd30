import re
import string
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.metrics import answers

# What SQuAD 1.1 and MLQA say of an answer, written a second time: a regular expression for each step, as a person would read them.
ARTICLES = {
    "en": "a an the",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
    "de": "ein eine einen einem eines einer der die das den dem des",
}


def normalized(text, language):
    text = text.lower()
    marks = string.punctuation if language is None else punctuation_in(text)
    for mark in marks:
        text = text.replace(mark, "")
    if language == "ar":
        text = " ".join(text.split("ال"))
    for article in ARTICLES.get(language or "en", "").split():
        text = re.sub(rf"(?<!\w){article}(?!\w)", " ", text)
    if language == "zh":
        text = "".join(f" {c} " if 0x4E00 <= ord(c) <= 0x9FA5 else c for c in text)
    return " ".join(text.split())


def punctuation_in(text):
    return [c for c in text if unicodedata.category(c)[0] == "P" or (c.isascii() and unicodedata.category(c)[0] == "S")]


def overlap(found, wanted, language):
    ours, theirs = normalized(found, language).split(), normalized(wanted, language).split()
    pool, shared = Counter(theirs), 0
    for word in ours:
        if pool[word]:
            pool[word] -= 1
            shared += 1
    if not shared:
        return 0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


WORDS = """the a An cat THE, la las ein Der des của những cái البيت ال بيت 北京 在 大学。 नगर में
«casa» “x” $5 5% U.S. naïve – theory das-ist ¿una?""".split()
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=12)


@given(TEXTS, TEXTS, st.sampled_from([None, "en", "es", "hi", "vi", "de", "ar", "zh"]))
def test_exact_match_and_f1_are_those_of_the_scripts_of_squad_and_mlqa(found, wanted, language):
    assert answers.words(found, language) == normalized(found, language).split()
    assert answers.exact(found, wanted, language) == (normalized(found, language) == normalized(wanted, language))
    assert answers.f1(found, wanted, language) == pytest.approx(overlap(found, wanted, language))


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        (None, "The U.S.A., an example", "usa example"),
        (None, "«die Katze»", "«die katze»"),
        ("de", "«die Katze» einer Frau", "katze frau"),
        ("es", "¿La casa?", "casa"),
        ("en", "The theory – a “proof”", "theory proof"),
        ("ar", "البيت الكبير", "بيت كبير"),
        ("hi", "दिल्ली, भारत।", "दिल्ली भारत"),
        ("vi", "những cái bàn", "bàn"),
        ("zh", "北京大学, 1998年", "北 京 大 学 1998 年"),
        ("zh-Hant", "臺北101大樓", "臺 北 101 大 樓"),
        ("ja", "東京タワーの333メートル。", "東 京 タ ワ ー の 333 メ ー ト ル"),
        ("th", "พ.ศ. 2550", "พ ศ 2550"),
        ("ko", "서울 특별시", "서울 특별시"),
        ("ru", "в Москве.", "в москве"),
        ("und", "The House", "the house"),
    ],
)
def test_each_language_has_its_rules(language, text, words):
    assert answers.words(text, language) == words.split()


def test_the_nearest_of_the_right_answers_counts():
    wanted = ["in the spring of 1912", "1912"]
    assert answers.against(answers.exact, "1912", wanted) == 1
    assert answers.against(answers.f1, "spring 1912", wanted) == pytest.approx(2 * 2 / (2 + 4))
    assert answers.against(answers.f1, "winter", wanted) == 0


@pytest.mark.parametrize("measure", [answers.exact, answers.f1])
def test_no_answer_is_right_where_none_is_wanted_and_nowhere_else(measure):
    assert answers.against(measure, None, []) == 1
    assert answers.against(measure, "1912", []) == 0
    assert answers.against(measure, None, ["1912"]) == 0


@given(TEXTS, TEXTS, st.sampled_from([None, "de", "zh", "th"]))
def test_f1_is_the_same_the_other_way_round_and_never_below_exact_match(one, other, language):
    assert answers.f1(one, other, language) == answers.f1(other, one, language)
    if answers.words(one, language):
        assert answers.f1(one, other, language) >= answers.exact(one, other, language)
