import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.errors import BadInput, BadLine
from xlmr.examples import Classified, read_classified

ROWS = [
    ("de", "Der Zug hat Verspätung.", "Verkehr"),
    ("fr", "Le marché ouvre à huit heures.", "Handel"),
    ("sw", "Mvua itanyesha kesho.", "Wetter"),
]
COLUMNS = ("lang", "text", "label")


def as_table(rows: list[tuple[str, ...]], between: str = "\t") -> str:
    return "".join(between.join(row) + "\n" for row in rows)


def as_objects(rows: list[tuple[str, ...]]) -> str:
    head, *rest = rows
    return "".join(json.dumps(dict(zip(head, row, strict=True))) + "\n" for row in rest)


FORMS = {"a.tsv": as_table, "a.tsv.xz": as_table, "a.csv.gz": lambda rows: as_table(rows, ","), "a.jsonl": as_objects}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("label", ["label", "category"])
def test_every_form_gives_the_same_examples(write, name, label):
    path = write(name, FORMS[name]([("lang", "text", label), *ROWS]))
    first = 1 if "jsonl" in name else 2
    wanted = [Classified(*row[:2], None, row[2:], f"{path}: line {first + i}") for i, row in enumerate(ROWS)]
    assert list(read_classified(str(path))) == wanted


def test_parquet_gives_them_too(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["kitab", "su"], "label": [1, 0], "lang": ["tr", "az"]}), path)
    assert [(of.language, of.text, of.labels) for of in read_classified(str(path))] == [("tr", "kitab", ("1",)), ("az", "su", ("0",))]


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)).filter(lambda row: all(part.strip() for part in row)), min_size=1))
def test_what_was_written_is_read(tmp_path_factory, rows):
    rows = [tuple(part.encode(errors="replace").decode() for part in row) for row in rows]
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    out = io.StringIO()
    csv.writer(out).writerows([("text", "label"), *rows])
    path.write_bytes(out.getvalue().encode())
    assert [(of.language, of.text, of.labels) for of in read_classified(str(path))] == [("und", a, (b.strip(),)) for a, b in rows]


def test_a_pair_is_read_where_there_is_one(write):
    path = write("a.jsonl", [{"text": "Es regnet.", "text_pair": "Es ist nass.", "label": 1}, {"text": "Es schneit.", "label": 0}])
    assert [(of.pair, of.labels) for of in read_classified(str(path))] == [("Es ist nass.", ("1",)), (None, ("0",))]
    path = write("a.tsv", "text\ttext_pair\tlabel\nIl pleut.\tC'est mouillé.\toui\n")
    assert [of.pair for of in read_classified(f"fr={path}")] == ["C'est mouillé."]


def test_several_labels_are_a_list_or_stand_between_bars(write):
    wanted = [("sport", "money"), (), ("money",)]
    texts = ["the club was sold", "it rained", "prices rose"]
    objects = write("a.jsonl", [{"text": text, "labels": labels} for text, labels in zip(texts, wanted, strict=True)])
    table = write("a.tsv", "text\tlabels\nthe club was sold\tsport|money\nit rained\t\nprices rose\tmoney\n")
    for path in (objects, table):
        assert [of.labels for of in read_classified(str(path), multi=True)] == wanted
    one = write("one.tsv", "text\tlabel\nit rained\tweather\n")
    assert [of.labels for of in read_classified(str(one), multi=True)] == [("weather",)]


def test_numbers_are_kept_as_they_are_written(write):
    path = write("a.jsonl", [{"text": "gut", "label": 4.5}, {"text": "schlecht", "label": -1}])
    assert [of.labels for of in read_classified(str(path))] == [("4.5",), ("-1",)]


def test_rows_are_read_as_they_are_asked_for(write):
    found = read_classified(str(write("a.tsv", "text\tlabel\nein Satz\tx\n\ty\n")))
    assert next(found).text == "ein Satz"
    with pytest.raises(BadLine, match=r"a\.tsv: line 3: 'text' is empty"):
        next(found)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.tsv", "text\tlabel\n", "a.tsv: holds no examples; wanted rows with 'text' and 'label' or 'category'"),
        ("a.jsonl", "", "a.jsonl: holds no examples"),
        ("a.tsv", "text\ttopic\nx\ty\n", "a.tsv: its columns are ['text', 'topic']; wanted one called 'label'"),
        ("a.tsv", "sentence\tlabel\nx\ty\n", "wanted one called 'text'"),
        ("a.tsv", "text\tlabel\nx\n", "a.tsv: line 2: the row has 1 columns, and 'label' is column 2"),
        ("a.tsv", "text\tlabel\nx\t \n", "a.tsv: line 2: 'label' is empty"),
        ("a.tsv", "text\tlabels\nx\ty\n", "has 'labels', several labels for a text, and no 'label'; read it as multi-label data"),
        ("a.jsonl", '{"text": "x", "labels": ["y"]}\n', "a.jsonl: line 1: has 'labels', several labels for a text"),
        ("a.jsonl", '\n{"text": "x"}\n', "a.jsonl: line 2: found nothing as 'label', wanted a text"),
        ("a.jsonl", '{"text": "x", "label": ["y"]}\n', "a.jsonl: line 1: found ['y'] as 'label', wanted a text"),
        ("a.jsonl", "[1]\n", "a.jsonl: line 1: found [1], wanted a JSON object"),
        ("a.jsonl", "{\n", "a.jsonl: line 1: not JSON"),
        ("a.tsv", "lang\ttext\tlabel\nElvish\tx\ty\n", "a.tsv: line 2: language 'Elvish' is not known"),
        ("a.txt", "x y\n", "a.txt: wanted a table, .jsonl"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(write, name, content, complaint):
    with pytest.raises(BadInput) as told:
        list(read_classified(str(write(name, content))))
    assert complaint in str(told.value)


def test_a_label_that_is_named_twice_is_told(write):
    path = write("a.tsv", "text\tlabels\nder Satz\ta|b|a\n")
    with pytest.raises(BadLine, match=r"a\.tsv: line 2: 'labels' names 'a' twice"):
        list(read_classified(str(path), multi=True))
