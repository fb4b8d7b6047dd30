"""`evaluate retrieve` as it is called."""

import json
import lzma
import sys

import pytest
from calls import Terminal, valid

from xlmr.evaluation import retrieval

ROWS = [
    ("deu", "der Hund schläft", "the dog sleeps"),
    ("fra", "le chat lit", "the cat reads"),
    ("de", "ein gut Buch", "a good book"),
    ("fr", "la ville", "the city"),
    ("fr", "un livre", "a book"),
]
TABLE = "".join("\t".join(row) + "\n" for row in [("lang", "source", "english"), *ROWS])
PAIRS = [(language[:2], source, english) for language, source, english in ROWS]


@pytest.fixture
def retrieve(run, tiny):
    return lambda *arguments: run("evaluate", "retrieve", "--model", tiny, "--threads", 1, *arguments)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_json_is_what_was_measured_and_as_the_schema_says(retrieve, model, table):
    done = retrieve(table, "--json")
    assert (done.code, done.err) == (0, "")
    (line,) = done.lines
    assert valid("evaluate.json", line)
    wanted = retrieval.evaluate(model, PAIRS)
    assert (line["task"], line["metric"], line["languages"], line["mean"]) == ("retrieve", "accuracy", wanted.languages, wanted.mean)
    assert line["pools"]["fr"] == {
        "pairs": 3, "to_english": wanted.pools["fr"].to_english, "from_english": wanted.pools["fr"].from_english,
    }  # fmt: skip
    assert not valid("evaluate.json", line | {"pools": {"fr": {"pairs": 3}}})


def test_a_form_of_the_data_changes_nothing(retrieve, table, tmp_path):
    wanted = retrieve(table, "--json").lines
    (tmp_path / "pairs.tsv.xz").write_bytes(lzma.compress(TABLE.encode()))
    objects = "".join(json.dumps({"lang": code, "source": source, "english": english}) + "\n" for code, source, english in ROWS)
    (tmp_path / "pairs.jsonl").write_text(objects, encoding="utf-8")
    assert retrieve(tmp_path / "pairs.tsv.xz", "--json").lines == retrieve(tmp_path / "pairs.jsonl", "--json").lines == wanted
    for code in ("de", "fr"):
        rows = [f"{english},{source}\n" for language, source, english in PAIRS if language == code]
        (tmp_path / f"{code}.csv").write_text("english,source\n" + "".join(rows), encoding="utf-8")
    files = [f"{name}={tmp_path / code}.csv" for name, code in (("German", "de"), ("fra", "fr"))]
    assert retrieve(*files, "--json").lines == wanted


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--layer", 0], {"layers": (0,)}),
        (["--layer", 1, "--layer", 2, "--layer-mean", "--pooling", "max"], {"layers": (1, 2), "layer_mean": True, "pooling": "max"}),
    ],
)
def test_an_option_is_that_of_embed(retrieve, model, table, arguments, options):
    (line,) = retrieve(table, "--json", "--languages", "French", *arguments).lines
    assert line["languages"] == retrieval.evaluate(model, PAIRS, ["fr"], **options).languages


def test_people_see_both_ways_and_among_how_many(retrieve, table):
    head, *rows, mean = retrieve(table).out.splitlines()
    assert head.startswith("retrieve  accuracy")
    assert [(row.split()[0], row.split()[-2:]) for row in rows] == [("de", ["2", "German"]), ("fr", ["3", "French"])]
    assert mean.split()[0] == "mean"


def test_progress_goes_to_a_terminal(retrieve, table, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    retrieve(table)
    assert terminal.getvalue().split("\r")[-1].startswith("10 texts, ")


@pytest.mark.parametrize(
    ("content", "arguments", "complaint"),
    [
        ("lang\tsource\tenglish\nde\tHaus\thouse\nxx\ta\tb\n", [], "a.tsv: line 3: language 'xx' is not known"),
        ("lang\tsource\tenglish\nde\tHaus\n", [], "a.tsv: line 2: the row has 2 columns, and 'english' is column 3"),
        ("lang\ttext\nde\tHaus\n", [], "a.tsv: its columns are ['lang', 'text']; wanted one called 'source'"),
        ("lang\tsource\tenglish\n", [], "the data have no pairs\n"),
        (TABLE, ["--languages", "sw"], "the data have no pairs in sw"),
    ],
)
def test_what_cannot_be_measured_is_told(retrieve, tmp_path, content, arguments, complaint):
    (tmp_path / "a.tsv").write_text(content, encoding="utf-8")
    done = retrieve(tmp_path / "a.tsv", *arguments)
    assert (done.code, done.out) == (1, "")
    assert complaint in done.err


def test_words_alone_are_pooled_by_their_first_piece(retrieve, table):
    done = retrieve(table, "--pooling", "first")
    assert (done.code, "'first' is not one of 'mean', 'cls', 'max'" in done.err) == (2, True)


def test_a_file_may_have_any_name(retrieve, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fr=1.tsv").write_text(TABLE, encoding="utf-8")
    assert retrieve("fr=1.tsv", "--json").lines == retrieve(table, "--json").lines
    assert "is not known" in retrieve("fr=1.tsv", "=b.tsv").err
    assert "b.tsv: cannot be read (File name too long)" in retrieve(f"fr={'b' * 300}b.tsv").err


def test_lines_of_text_are_no_pairs(retrieve, tmp_path):
    (tmp_path / "a.txt").write_text("ein Haus\n", encoding="utf-8")
    for data in (tmp_path / "a.txt", f"de={tmp_path / 'a.txt'}"):
        assert "a.txt: wanted a table, .jsonl, " in retrieve(data).err
