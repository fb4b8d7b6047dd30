import pytest

from xlmr.errors import BadInput
from xlmr.examples import Asked, read_asked

CONTEXT = "Die Elbe fließt durch Dresden und Hamburg in die Nordsee."
ROW = {"id": "q1", "question": "Wohin fließt die Elbe?", "context": CONTEXT, "answers": [{"text": "in die Nordsee", "answer_start": 42}]}


def changed(**parts) -> dict:
    return ROW | parts


@pytest.mark.parametrize(
    "answers", [ROW["answers"], {"text": ["in die Nordsee"], "answer_start": [42]}], ids=["a list of objects", "an object of lists"]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz", "a.jsonl.xz"])
def test_both_forms_of_answers_are_read(write, name, answers):
    path = write(name, [changed(answers=answers)])
    wanted = Asked("de", "q1", ROW["question"], CONTEXT, (("in die Nordsee", 42),), f"{path}: line 1")
    assert list(read_asked(f"de={path}")) == [wanted]


def test_places_are_characters_whatever_the_script(write):
    context = "𝕏 是一个字母。北京是中国的首都。"
    start = context.index("北京")
    path = write("a.jsonl", [{"question": "中国的首都是哪里?", "context": context, "answers": [{"text": "北京", "answer_start": start}]}])
    (found,) = read_asked(f"zh={path}")
    assert [context[at : at + len(text)] for text, at in found.answers] == ["北京"]


def test_a_question_may_have_several_answers_or_none(write):
    several = [{"text": "Dresden", "answer_start": 22}, {"text": "Hamburg", "answer_start": 34}]
    none = {"text": [], "answer_start": []}
    path = write("a.jsonl", [changed(answers=several), changed(answers=[], is_impossible=True), changed(answers=none)])
    assert [of.answers for of in read_asked(str(path))] == [(("Dresden", 22), ("Hamburg", 34)), (), ()]


def test_the_number_of_its_line_is_the_id_of_a_question_without_one(write):
    path = write("a.jsonl", [{key: value for key, value in ROW.items() if key != "id"}, changed(id=7, lang="German")])
    assert [(of.language, of.id) for of in read_asked(str(path))] == [("und", "1"), ("de", "7")]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (changed(answers=[{"text": "Dresden", "answer_start": 21}]), "has ' Dresde' at 21, wanted the answer 'Dresden'; it stands at 22"),
        (changed(answers=[{"text": "Prag", "answer_start": 3}]), "wanted the answer 'Prag'; it stands nowhere in it"),
        (changed(answers=[{"text": "Nordsee.", "answer_start": -8}]), "the context has '' at -8, wanted the answer 'Nordsee.'"),
        (changed(answers=[{"text": "Dresden", "answer_start": 900}]), "the context has '' at 900"),
        (changed(answers=[{"text": "Dresden", "answer_start": "22"}]), "found '22' as 'answer_start' of 'Dresden', wanted a whole number"),
        (changed(answers=[{"text": "", "answer_start": 0}]), "'text' is empty"),
        (changed(answers={"text": ["Dresden"], "answer_start": []}), "wanted a list of objects, or an object of lists"),
        (changed(answers="Dresden"), "found 'Dresden' as 'answers'"),
        ({"question": "Wo?", "context": CONTEXT}, "found nothing as 'answers'"),
        (changed(question=""), "'question' is empty"),
        (changed(context=None), "found nothing as 'context', wanted a text"),
        (changed(is_impossible=True), "'is_impossible' is true, and there are answers"),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_its_place(write, row, complaint):
    path = write("a.jsonl", [ROW, row])
    with pytest.raises(BadInput) as told:
        list(read_asked(str(path)))
    assert str(told.value).startswith(f"{path}: line 2: ")
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", "\n", "a.jsonl: holds no examples"),
        ("a.tsv", "question\tcontext\n", "a.tsv: wanted .jsonl, a JSON object with 'question', 'context' and 'answers' on each line"),
    ],
)
def test_a_file_of_another_kind_is_told(write, name, content, complaint):
    with pytest.raises(BadInput) as told:
        list(read_asked(str(write(name, content))))
    assert complaint in str(told.value)
