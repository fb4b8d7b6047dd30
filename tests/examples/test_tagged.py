import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.errors import BadInput, BadLine
from xlmr.examples import Tagged, read_tagged
from xlmr.limits import CHARACTERS, WORDS

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
SENTENCES = [(("Ana", "vive", "en", "Lima", "."), ("B-PER", "O", "O", "B-LOC", "O")), (("Sí", "."), ("O", "O"))]


def conll(sentences, between: str = "\t", middle: str = "") -> str:
    rows = ("".join(f"{word}{middle}{between}{tag}\n" for word, tag in zip(*sentence, strict=True)) for sentence in sentences)
    return "\n".join(rows)


def pairs(found) -> list:
    return [(of.words, of.tags) for of in found]


@pytest.mark.parametrize("name", ["a.conll", "a.txt.gz", "a.tsv", "a.conll.xz", "a"])
def test_a_word_a_tab_and_its_tag(write, name):
    path = write(name, conll(SENTENCES))
    wanted = [Tagged("es", *SENTENCES[0], f"{path}: line 1"), Tagged("es", *SENTENCES[1], f"{path}: line 7")]
    assert list(read_tagged(f"es={path}")) == wanted


@given(st.lists(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_was_written_is_read(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("rows") / "a.conll"
    of = [tuple(zip(*sentence, strict=True)) for sentence in sentences]
    if not any(sentence[0][0].startswith("-DOCSTART-") for sentence in sentences):
        path.write_bytes(conll(of).encode())
        assert pairs(read_tagged(str(path))) == of


def test_the_last_column_is_the_tag(write):
    assert pairs(read_tagged(str(write("a.conll", conll(SENTENCES, middle="\tX\tY"))))) == SENTENCES


def test_columns_may_stand_between_spaces(write):
    content = "-DOCSTART- -X- O O\n\n" + conll(SENTENCES, " ", " NN I-NP")
    assert pairs(read_tagged(str(write("a.txt", content)))) == SENTENCES


def test_words_between_tabs_may_hold_spaces(write):
    path = write("a.conll", "ủy ban\tNOUN\nhọp\tVERB\n")
    assert pairs(read_tagged(str(path))) == [(("ủy ban", "họp"), ("NOUN", "VERB"))]


def test_blank_lines_windows_ends_and_a_missing_last_end_change_nothing(write):
    content = "\n\n" + conll(SENTENCES).replace("\n\n", "\n \n\t\n\n").replace("\n", "\r\n").rstrip()
    assert pairs(read_tagged(str(write("a.conll", content)))) == SENTENCES


def test_a_comment_is_left_out_and_a_word_that_begins_like_one_is_not(write):
    tabs = write("a.conll", "# text = # 1\n#\tSYM\n1\tNUM\n\n# id = 2\n#newpar\nda\tADV\n#\tSYM\n")
    assert pairs(read_tagged(str(tabs))) == [(("#", "1"), ("SYM", "NUM")), (("da", "#"), ("ADV", "SYM"))]
    spaces = write("b.conll", "# id = 1\n#eins O\n# O\n")
    assert pairs(read_tagged(str(spaces))) == [(("#eins", "#"), ("O", "O"))]


def test_conllu_gives_forms_and_parts_of_speech(write):
    rows = [("1-2", "im", "_"), ("1", "in", "ADP"), ("2", "dem", "DET"), ("2.1", "leer", "VERB"), ("3", "Haus", "NOUN")]
    content = "# text = im Haus\n" + "".join("\t".join([number, form, "_", tag, *"______"]) + "\n" for number, form, tag in rows)
    assert pairs(read_tagged(str(write("a.conllu", content)))) == [(("in", "dem", "Haus"), ("ADP", "DET", "NOUN"))]


def test_json_lines_have_words_or_tokens(write):
    rows = [{"words": ["ja", "!"], "tags": ["INTJ", "PUNCT"]}, {"tokens": ["nein"], "tags": ["INTJ"], "lang": "German"}]
    path = write("a.jsonl", rows)
    wanted = [Tagged("und", ("ja", "!"), ("INTJ", "PUNCT"), f"{path}: line 1"), Tagged("de", ("nein",), ("INTJ",), f"{path}: line 2")]
    assert list(read_tagged(str(path))) == wanted


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.conll", "\n# only a comment\n", "a.conll: holds no examples; wanted a word, a tab and its tag on each line"),
        ("a.conll", "ein\tDET\nHaus\n", "a.conll: line 2: found 1 column between tabs, wanted 2"),
        ("a.conll", "ein\tDET\nein Haus\n", "a.conll: line 2: found 1 column between tabs, wanted 2"),
        ("a.conll", "ein\tx\tDET\n\nHaus\tNOUN\n", "a.conll: line 3: found 2 columns between tabs, wanted 3"),
        ("a.conll", "Haus\n", "a.conll: line 1: found 1 column between spaces, wanted 2"),
        ("a.conll", "ein\tDET\nHaus\t \n", "a.conll: line 2: the tag is empty"),
        ("a.conll", "ein\tDET\n\tNOUN\n", "a.conll: line 2: the word is empty"),
        ("a.conllu", "1\tHaus\tHaus\tNOUN\n", "a.conllu: line 1: found 4 columns between tabs, wanted 10: those of CoNLL-U"),
        ("a.conll", "x\tO\n" * (WORDS + 1), "a.conll: line 1: the sentence that begins here has more than 10,000 words"),
        ("a.conll", f"{'x' * CHARACTERS}\tO\n", "a.conll: line 1: the sentence that begins here has more than"),
        ("a.jsonl", '{"words": ["a", "b"], "tags": ["O"]}\n', "a.jsonl: line 1: found 2 words and 1 tags"),
        ("a.jsonl", '{"words": [], "tags": []}\n', "a.jsonl: line 1: found 0 words and 0 tags"),
        ("a.jsonl", '{"words": "a b", "tags": ["O"]}\n', "a.jsonl: line 1: found 'a b' as 'words', wanted a list"),
        ("a.jsonl", '{"tokens": ["a"]}\n', "a.jsonl: line 1: found nothing as 'tags', wanted a list"),
        ("a.jsonl", '{"words": ["a"], "tags": [""]}\n', "a.jsonl: line 1: 'tags' is empty"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(write, name, content, complaint):
    with pytest.raises(BadInput) as told:
        list(read_tagged(str(write(name, content))))
    assert complaint in str(told.value)


def test_sentences_are_read_as_they_are_asked_for(write):
    found = read_tagged(str(write("a.conll", "a\tO\n\nb\tO\n\nc\n")))
    assert [next(found).words, next(found).words] == [("a",), ("b",)]
    with pytest.raises(BadLine, match="line 5"):
        next(found)


@pytest.mark.parametrize("header", ["text\tlabel", "lang\ttext\tcategory", "text\tlabels"])
def test_a_table_of_labelled_texts_is_told_from_words_and_tags(write, header):
    cells = "\t".join("x" for _ in header.split("\t"))
    with pytest.raises(BadLine, match=r"line 1: found the columns .*, which are those of labelled texts; wanted a word, a tab"):
        list(read_tagged(str(write("a.tsv", f"{header}\n{cells}\n"))))
