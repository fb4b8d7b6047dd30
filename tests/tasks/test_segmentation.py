import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.tasks.segmentation import joined, words

TEXTS = {
    "en": ("The cat can't reach 3.14 e-mails, can she?", "The cat can't reach 3.14 e - mails , can she ?"),
    "fr": ("L’eau est «froide».", "L’eau est « froide » ."),
    "de": ("Fußgängerübergang (groß)", "Fußgängerübergang ( groß )"),
    "ar": ("القطة تشرب الماء.", "القطة تشرب الماء ."),
    "hi": ("बिल्ली पानी पीती है।", "बिल्ली पानी पीती है ।"),
    "ko": ("고양이가 물을 마신다.", "고양이가 물을 마신다 ."),
    "vi": ("Con mèo uống nước", "Con mèo uống nước"),
    "am": ("ድመቷ ውሃ ትጠጣለች።", "ድመቷ ውሃ ትጠጣለች ።"),
    "th": ("แมวดื่มน้ำทุกวัน", "แมว ดื่ม น้ำ ทุก วัน"),
    "lo": ("ແມວກິນນ້ຳ", "ແມວ ກິນ ນ້ຳ"),
    "km": ("ខ្ញុំចូលចិត្តឆ្មា", "ខ្ញុំ ចូលចិត្ត ឆ្មា"),
    "my": ("ကြောင်ကိုချစ်တယ်", "ကြောင် ကို ချစ် တယ်"),
    "zh": ("我每天早上喝咖啡。", "我 每天 早上 喝 咖啡 。"),
    "ja": ("私は毎朝コーヒーを飲む。", "私 は 毎朝 コーヒー を 飲む 。"),
    "emoji": ("👩‍👩‍👧 ok 👍🏽", "👩‍👩‍👧 ok 👍🏽"),
    "mask": ("a<mask>b", "a <mask> b"),
}


@pytest.mark.parametrize("language", TEXTS)
def test_words_are_those_that_a_reader_sees(language):
    text, wanted = TEXTS[language]
    assert [text[start:end] for start, end in words(text)] == wanted.split()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_are_in_order_and_only_space_lies_between_them(text):
    found = words(text)
    between = [0, *(place for word in found for place in word), len(text)]
    assert between == sorted(between)
    assert all(start < end for start, end in found)
    assert all(not text[end:start].strip() for end, start in zip(between[::2], between[1::2], strict=True))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["\n", "\u2028", "\x85"]))
def test_a_new_line_ends_a_word(text, end):
    assert words(text + end + "a")[:-1] == words(text)


def test_a_mark_stays_with_its_letter():
    text = unicodedata.normalize("NFD", "Việt Nam é")
    assert [text[start:end] for start, end in words(text)] == text.split(" ")


@pytest.mark.parametrize("text", ["", " \n\u3000"])
def test_a_blank_text_has_no_words(text):
    assert words(text) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("The cat , she said , ( was ) here : it 's 10 % !", "The cat, she said, (was) here: it's 10%!"),
        ('He said " come in " and left .', 'He said "come in" and left.'),
        ("Sie sagte „ komm “ und ging .", "Sie sagte „komm“ und ging."),
        ("She said “ come ” and left .", "She said “come” and left."),
        ("L’ eau est « froide » .", "L’eau est «froide»."),
        ("¿ Dónde está el gato ?", "¿Dónde está el gato?"),
        ("我 每天 早上 喝 咖啡 。", "我每天早上喝咖啡。"),
        ("私 は 「 猫 」 が 好き 。", "私は「猫」が好き。"),
        ("แมว ดื่ม น้ำ", "แมวดื่มน้ำ"),
        ("고양이가 물을 마신다 .", "고양이가 물을 마신다."),
        ("बिल्ली पानी पीती है ।", "बिल्ली पानी पीती है।"),
        ("القطة تشرب الماء ؟", "القطة تشرب الماء؟"),
    ],
)
def test_words_make_the_text_that_a_writer_would_write(given, wanted):
    assert joined(given.split())[0] == wanted


def test_a_word_may_hold_spaces():
    assert joined(["Việt Nam", "có", "10 000", "."]) == ("Việt Nam có 10 000.", [(0, 8), (9, 11), (12, 18), (18, 19)])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5) | st.sampled_from('"“”„«»()., 水a')))
def test_joined_words_are_in_order_each_whole_and_at_most_a_space_apart(given_words):
    text, places = joined(given_words)
    assert [text[start:end] for start, end in places] == given_words
    ends = [0, *(end for _, end in places)]
    assert all(text[end:start] in ("", " ") for end, (start, _) in zip(ends, places, strict=False))
    assert ends[-1] == len(text)
    assert not places or places[0][0] == 0
