"""`embed` as it is called: what it prints, what it writes, and what it says where that cannot be."""

import json
import sys

import numpy as np
import pytest
from calls import Terminal, error, shell, valid

import xlmr
from xlmr import writers
from xlmr.cli import embedding
from xlmr.heads import forms, pairing
from xlmr.languages import LANGUAGES
from xlmr.tasks import embeddings

TEXTS = ["the cat drinks", "кошка 水", ""]


@pytest.fixture
def embed(run, tiny):
    return lambda *arguments, **options: run("embed", "--model", tiny, "--threads", 1, *arguments, **options)


def test_json_is_what_the_model_answers_and_as_the_schema_says(embed, model):
    done = embed(*TEXTS, "--json")
    assert (done.code, done.err) == (0, "")
    assert all(valid("embed.json", line) for line in done.lines)
    assert [line["text"] for line in done.lines] == TEXTS
    np.testing.assert_allclose([line["vector"] for line in done.lines], model.embed(TEXTS), atol=1e-5)


@pytest.mark.parametrize("level", ["word", "token"])
def test_json_has_places_of_words_and_tokens(embed, model, level):
    done = embed(*TEXTS, "--json", "--level", level, "--dtype", "int8")
    assert all(valid("embed.json", line) for line in done.lines)
    for line, wanted in zip(done.lines, model.embed(TEXTS, level=level, dtype="int8"), strict=True):
        places = [(part["text"], part["start"], part["end"]) for part in line[f"{level}s"]]
        assert places == [(place.text, place.start, place.end) for place in wanted.places]
        assert all(part["text"] == line["text"][part["start"] : part["end"]] for part in line[f"{level}s"])
        np.testing.assert_allclose([part["scale"] for part in line[f"{level}s"]], wanted.vectors["scale"], rtol=1e-4)


def test_schemas_refuse_other_shapes():
    good = {"text": "a", "vector": [0.5]}
    part = {"text": "a", "start": 0, "end": 1, "vector": [1]}
    assert valid("embed.json", good)
    assert valid("embed.json", {"text": "a", "words": [part]})
    assert valid("embed.json", error(1, "why"))
    for wrong in (
        {},
        {"text": "a", "vector": []},
        good | {"words": []},
        {"text": "a", "words": [part | {"end": -1}]},
        good | error(1, "why"),
    ):
        assert not valid("embed.json", wrong)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--layer", 0, "--layer", -1], {"layers": (0, -1)}),
        (["--layer", 1, "--layer", 2, "--layer-mean"], {"layers": (1, 2), "layer_mean": True}),
        (["--pooling", "cls"], {"pooling": "cls"}),
        (["--size", 7, "--unit"], {"size": 7, "unit": True}),
        (["--dtype", "binary"], {"dtype": "binary"}),
    ],
)
def test_an_option_is_that_of_python(embed, model, arguments, options):
    done = embed(*TEXTS, "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    np.testing.assert_allclose([line["vector"] for line in done.lines], model.embed(TEXTS, **options), atol=1e-5)


def test_languages_are_those_of_the_model(run, speaking, tmp_path):
    texts = ["Der Tisch ist groß.", "12 %"]
    wanted = xlmr.load(speaking, threads=1).embed(texts, language=True, top=2)

    def embed(*arguments):
        return run("embed", "--model", speaking, "--threads", 1, *texts, "--language", *arguments)

    done = embed("--json", "--top", 2)
    assert (done.code, done.err) == (0, "")
    for line, vector, languages in zip(done.lines, wanted.vectors, wanted.languages, strict=True):
        assert valid("embed.json", line)
        np.testing.assert_allclose(line["vector"], vector, atol=1e-5)
        assert [(of["code"], of["script"]) for of in line["languages"]] == [(of.code, of.script) for of in languages]
    assert not valid("embed.json", done.lines[0] | {"languages": []})
    first, second = wanted.languages[0]
    assert [row.split()[-1] for row in embed("--top", 2).out.splitlines()[2:4]] == [LANGUAGES[of.code].name for of in (first, second)]
    assert embed("--output", tmp_path / "a.jsonl", "--top", 2).code == 0
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == done.out
    assert "holds vectors and nothing else" in embed("--output", tmp_path / "a.npy").err
    assert "level is 'word'" in embed("--level", "word").err
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_people_see_the_first_numbers_and_the_length(embed, model):
    done = embed("the cat")
    vector = model.embed("the cat")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"the cat\n  32 numbers of length {np.linalg.norm(vector):6.3f}: {vector[0]:6.3f} ")
    assert embed("the cat", "--level", "word").out.splitlines()[2].endswith("…  cat")
    assert "  32 numbers of length  1.000: " in embed("the cat", "--unit").out
    assert "  32 numbers of length " in embed("the cat", "--dtype", "int8").out
    assert "  32 bits: " in embed("the cat", "--dtype", "binary").out


def test_a_file_holds_what_is_printed(embed, tmp_path):
    (tmp_path / "in.txt").write_bytes("\n".join(TEXTS).encode() + b"\n\xff\n" + b"x" * 1_000_000 + b"\n")
    printed = embed("--input", tmp_path / "in.txt", "--json")
    assert [line for line in printed.lines if "error" in line] == [
        error(4, "not UTF-8 (byte 1 is 0xff)", "BadLine"),
        error(5, "the text has 1,000,000 characters, and at most 100,000 are taken; split it"),
    ]  # fmt: skip
    done = embed("--input", tmp_path / "in.txt", "--output", tmp_path / "out.jsonl")
    assert (done.code, done.out) == (1, f"{tmp_path / 'out.jsonl'}\n")
    assert done.err == "xlmr: 2 of the lines could not be answered; each has its error in its place\n"
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == printed.out


def test_an_array_has_a_row_for_each_line(embed, model, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS[:2]) + "\n", encoding="utf-8")
    done = embed("--input", tmp_path / "in.txt", "--output", tmp_path / "out.npy", "--dtype", "float16")
    assert (done.code, done.out, done.err) == (0, f"{tmp_path / 'out.npy'}\n", "")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model.embed(TEXTS[:2]), atol=0.01)


def test_a_table_has_a_row_for_each_line(embed, model, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert embed(*TEXTS, "--output", tmp_path / "out.parquet", "--level", "word").code == 0
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    for row, text, wanted in zip(found, TEXTS, model.embed(TEXTS, level="word"), strict=True):
        assert row["text"] == text
        assert [word["text"] for word in row["words"]] == [place.text for place in wanted.places]
        np.testing.assert_allclose([word["vector"] for word in row["words"]], wanted.vectors.tolist(), atol=1e-5)


def test_a_table_is_read_as_it_was_written(embed, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in.txt").write_bytes(b"the cat\n\xff\n\xd0\xba\xd0\xbe\xd1\x82\n")
    embed("--input", tmp_path / "in.txt", "--output", tmp_path / "one.parquet")
    done = embed("--input", tmp_path / "one.parquet", "--output", tmp_path / "two.parquet")
    assert (done.code, done.err) == (1, "xlmr: 1 of the lines could not be answered; each has its error in its place\n")
    one, two = (parquet.read_table(tmp_path / name).to_pylist() for name in ("one.parquet", "two.parquet"))
    assert [row | {"error": None} for row in one] == [row | {"error": None} for row in two]
    assert two[1]["error"] == {"kind": "BadLine", "message": "'text' is null, wanted a text"}


def test_several_processes_write_what_one_writes(tiny, tmp_path):
    (tmp_path / "in.txt").write_text("the cat\nкошка\n" * 20, encoding="utf-8")
    command = f"xlmr embed --model $MODEL --threads 1 --input {tmp_path}/in.txt --dtype int8 --output {tmp_path}"
    assert shell(tiny, f"{command}/one.npy").code == shell(tiny, f"{command}/two.npy --workers 2").code == 0
    one, two = (np.load(tmp_path / name) for name in ("one.npy", "two.npy"))
    assert one.shape == (40,)
    np.testing.assert_allclose(one["vector"], two["vector"], atol=1)


def test_the_first_failure_ends_an_array_and_names_its_line(embed, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"the cat\n\xff\n")
    done = embed("--input", tmp_path / "in.txt", "--output", tmp_path / "out.npy")
    assert (done.code, done.out) == (1, "")
    assert done.err == "xlmr: line 2: not UTF-8 (byte 1 is 0xff). A .npy file has no place for that, .jsonl and .parquet have\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_no_texts_give_an_array_without_rows(embed, tmp_path):
    assert embed("--output", tmp_path / "out.npy", "--level", "text", "--size", 5).code == 0
    assert np.load(tmp_path / "out.npy").shape == (0, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "a.bin"], "--output is 'a.bin'; wanted a name that ends in one of .npy, .parquet, .jsonl."),
        (["--top", "2"], "--top says how many languages, and --language was not given."),
        (["--output", "a.npy", "--json"], "--json prints, and --output writes to a file"),
        (["--level", "sentence"], "'sentence' is not one of 'text', 'word', 'token'"),
        (["--size", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_use_says_what_and_exits_with_2(embed, arguments, message):
    done = embed("the cat", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", 9], "xlmr: layer 9 was asked for; wanted 0 (the embeddings) to 2"),
        (["--size", 33], "xlmr: size is 33, wanted a whole number from 1 to 32"),
        (["--level", "token", "--output", "a.npy"], "xlmr: a .npy file holds one vector for each text, and level is 'token'"),
        (["--output", "none/a.npy"], "xlmr: none/a.npy: its folder is not there; make it first"),
    ],
)
def test_what_fails_says_why_in_one_line_and_exits_with_1(embed, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = embed("the cat", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_a_terminal_though_nothing_is_printed(embed, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    embed(*TEXTS, "--output", tmp_path / "out.jsonl")
    assert terminal.getvalue().split("\r")[-1].startswith("3 texts, ")
    assert len([json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]) == 3


def test_the_choices_are_those_there_are():
    assert embedding.LEVELS == embeddings.LEVELS
    assert embedding.DTYPES == forms.DTYPES
    assert {pooling for of in embeddings.POOLINGS.values() for pooling in of} == {*embedding.POOLINGS}
    assert embeddings.POOLINGS["text"] == embedding.TEXT_POOLINGS
    assert tuple(writers.FORMATS) == embedding.FORMATS


# -- align --


def test_pairs_are_printed_and_are_json_as_the_schema_says(run, tiny, model):
    wanted = model.align("the cat 水", "кошка 水", layer=1)
    done = run("align", "--model", tiny, "--layer", 1, "--json", "the cat 水", "кошка 水")
    assert (done.code, done.err) == (0, "")
    (found,) = done.lines
    assert valid("align.json", found)
    assert found["words"] == [["the", "cat", "水"], ["кошка", "水"]]
    assert [pair[:2] for pair in found["pairs"]] == [[pair.source, pair.target] for pair in wanted.pairs]
    np.testing.assert_allclose([pair[2] for pair in found["pairs"]], [pair.score for pair in wanted.pairs], atol=1e-5)
    people = run("align", "--model", tiny, "--layer", 1, "the cat 水", "кошка 水").out
    assert people.splitlines()[-1] == f"  {wanted.pairs[-1].score:6.3f}  水 – 水"


def test_an_alignment_of_another_shape_is_refused():
    good = {"pairs": [[0, 1, 0.5]], "words": [["a"], ["b", "c"]]}
    assert valid("align.json", good)
    for wrong in ({}, good | {"pairs": [[0, 1]]}, good | {"pairs": [[0, 1, "x"]]}, good | {"words": [["a"]]}, good | {"words": [[""], []]}):
        assert not valid("align.json", wrong)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a"], 2, "Missing argument 'TEXT'"),
        (["a", "b", "--method", "argmax"], 2, "'argmax' is not one of 'mutual', 'itermax'"),
        (["a", "b", "--layer", 7], 1, "xlmr: layer 7 was asked for; wanted 0 (the embeddings) to 2"),
    ],
)
def test_what_cannot_be_aligned_says_why(run, tiny, arguments, code, message):
    done = run("align", "--model", tiny, *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_the_methods_are_those_there_are():
    assert tuple(pairing.METHODS) == embedding.METHODS
