"""`language`, `evaluate language` and `fit languages`, as they are called."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Done, error, valid

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.tasks.identification import identify_each

TEXTS = ["Der Schlüssel liegt auf dem Tisch.", "Где стоит стакан?", "12 %"]
SENTENCES = Path(__file__).parent.parent / "sentences.tsv"


@pytest.fixture
def ask(run, speaking) -> Callable[..., Done]:
    return lambda *arguments, **options: run("language", "--model", speaking, "--threads", 1, *arguments, **options)


def test_json_is_what_the_model_answers_and_as_the_schema_says(ask, speaking):
    done = ask("--json", "--top", 2, *TEXTS)
    found = identify_each(xlmr.load(speaking, threads=1), TEXTS, top=2)
    assert (done.code, done.err) == (0, "")
    assert [(line["text"], line["known"], [of["code"] for of in line["languages"]]) for line in done.lines] == [
        (text, of.known, [language.code for language in of.languages]) for text, of in zip(TEXTS, found, strict=True)
    ]
    assert all(valid("language.json", line) and "spans" not in line for line in done.lines)
    assert done.lines[2]["languages"] == [{"code": "und", "script": "Zyyy", "confidence": 1.0}]


def test_spans_are_in_the_json_and_shown_to_people(ask):
    text = "Der Tisch, стакан!"
    (line,) = ask("--json", "--spans", text).lines
    assert valid("language.json", line)
    assert [text[of["start"] : of["end"]] for of in line["spans"]] == ["Der Tisch", "стакан"]
    assert "  Der Tisch\n" in ask("--spans", text).out


def test_people_see_code_script_and_name(ask):
    first, second, *_ = ask("--among", "Finnish,el", "--top", 1, "Juna lähtee.").out.splitlines()
    assert first == "Juna lähtee."
    assert second.split()[-3:] == ["fi", "Latn", "Finnish"]


def test_a_wrong_line_has_its_error_in_its_place(ask, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"The key.\n\xff\n" + b"a" * 1_000_000 + b"\n\n\xf0\x9f\x8e\x89\n")
    done = ask("--json", "--input", path)
    assert done.code == 1
    assert all(valid("language.json", line) for line in done.lines)
    assert done.lines[1] == error(2, "not UTF-8 (byte 1 is 0xff)", "BadLine")
    assert done.lines[2] == error(3, "the text has 1,000,000 characters, and at most 100,000 are taken; split it")
    assert [line["languages"][0]["code"] for line in done.lines[3:]] == ["und", "und"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--among", "xx", "a"], "xlmr: language 'xx' is not known"),
        (["--among", "sw", "a"], "xlmr: among: the classifier does not know sw"),
        (["--among", "", "a"], "xlmr: among is [], wanted some languages"),
    ],
)
def test_wrong_languages_are_told(ask, arguments, complaint):
    done = ask(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(complaint)


def test_a_model_without_a_classifier_says_how_to_make_one(run, tiny):
    done = run("language", "--model", tiny, "a")
    assert done.code == 1
    assert "xlmr fit languages" in done.err


def test_evaluation_scores_each_language(run, speaking, tmp_path):
    done = run("evaluate", "language", "--model", speaking, "--threads", 1, SENTENCES, "--languages", "de,ru", "--json")
    (line,) = done.lines
    assert valid("evaluate.json", line)
    assert not valid("evaluate.json", {**line, "mean": 2})
    assert [*line["languages"]] == ["de", "ru"]
    assert line["mean"] == pytest.approx(sum(line["languages"].values()) / 2)
    (tmp_path / "a.txt").write_text("Der Schlüssel liegt auf dem Tisch.\n", encoding="utf-8")
    plain = run("evaluate", "language", "--model", speaking, "--threads", 1, f"deu={tmp_path / 'a.txt'}")
    assert [row.split()[0] for row in plain.out.splitlines()] == ["language", "de", "mean"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("lang\ttext\nde\tHaus\nxx\tHaus\n", "a.tsv: line 3: language 'xx' is not known"),
        ("lang\ttext\nde\n", "a.tsv: line 2: the row has 1 columns, and 'text' is column 2"),
        ("language\ttext\nde\tHaus\n", "its columns are ['language', 'text']; wanted one called 'lang'"),
        ("lang\ttext\n", "the data have no texts"),
    ],
)
def test_wrong_data_are_told_with_their_line(run, speaking, tmp_path, content, complaint):
    path = tmp_path / "a.tsv"
    path.write_text(content, encoding="utf-8")
    done = run("evaluate", "language", "--model", speaking, path)
    assert done.code == 1
    assert complaint in done.err


def test_data_without_languages_are_no_data(run, speaking, tmp_path):
    path = tmp_path / "a.txt"
    path.touch()
    assert "with 'lang' and 'text'" in run("evaluate", "language", "--model", speaking, path).err


def test_a_classifier_is_fitted_and_the_model_stays_as_it_is(run, tiny, tmp_path):
    folder = tmp_path / "fitted"
    arguments = ["--data", SENTENCES, "--layer", 1, "--texts", 12, "--threads", 1]
    done = run("fit", "languages", "--model", tiny, "--output", folder, *arguments)
    assert (done.code, done.out.splitlines()[0]) == (0, str(folder / "languages.safetensors"))
    assert attachments.fingerprint(checkpoint.open(folder)) == attachments.fingerprint(checkpoint.open(tiny))
    before = (folder / "languages.safetensors").read_bytes()
    again = run("fit", "languages", "--model", folder, "--output", folder, *arguments)
    assert again.code == 0
    assert (folder / "languages.safetensors").read_bytes() == before
    assert json.loads(run("language", "--model", folder, "--json", "Ο σκύλος").out)["languages"][0]["script"] == "Grek"


def test_a_fit_does_not_write_over_another_model(run, tiny, make_checkpoint, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(make_checkpoint(seed=3), other)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    for folder, complaint in ((other, "holds another model"), (tmp_path / "full", "is not empty"), (Path(sys.executable), "is a file")):
        done = run("fit", "languages", "--model", tiny, "--data", SENTENCES, "--output", folder)
        assert done.code == 1
        assert complaint in done.err
    assert not (other / "languages.safetensors").exists()
