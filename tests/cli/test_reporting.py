"""`evaluate classify`, `tag` and `answer`, as they are called."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from calls import Terminal, valid
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

import xlmr
from xlmr.cli import reporting
from xlmr.evaluation import examination
from xlmr.evaluation.reports import report
from xlmr.evaluation.scoring import labels, numbers
from xlmr.examples import Classified
from xlmr.heads.classes import MULTI

ROWS = [
    ("en", "the cat drinks water", "cats"),
    ("en", "the dog sleeps in the house", "dogs"),
    ("en", "a small house", "houses"),
    ("de", "das Haus ist groß", "houses"),
    ("de", "der Hund schläft", "dogs"),
    ("wo", "xaj bi mungi nelaw", "dogs"),
]
TAGGED = [("en", "Anna drinks water", "B-PER O O"), ("de", "Anna trinkt Wasser in Ulm", "B-PER O O O B-LOC")]
ASKED = {"question": "was trinkt die Katze", "context": "die Katze trinkt Wasser", "answers": [{"text": "Wasser", "answer_start": 17}]}


@pytest.fixture
def evaluate(run, tuned) -> Callable:
    """`evaluate(task, *arguments)` with a random model."""
    models = {"classify": (CLASSIFIER, TOPICS), "tag": (TAGGER, NAMES), "answer": (EXTRACTOR,)}
    return lambda task, *arguments: run("evaluate", task, "--model", tuned(*models[task]), "--threads", 1, *arguments)


@pytest.fixture
def data(tmp_path) -> dict[str, list[str]]:
    """DATA of each task."""
    topics = tmp_path / "topics.tsv"
    topics.write_text("".join("\t".join(row) + "\n" for row in [("lang", "text", "label"), *ROWS]), encoding="utf-8")
    files = []
    for code, words, tags in TAGGED:
        path = tmp_path / f"{code}.conll"
        path.write_text("".join(f"{a}\t{b}\n" for a, b in zip(words.split(), tags.split(), strict=True)), encoding="utf-8")
        files.append(f"{code}={path}")
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps(ASKED | {"lang": code}) + "\n" for code in ("en", "de")), encoding="utf-8")
    return {"classify": [str(topics)], "tag": files, "answer": [str(asked)]}


METRICS = {
    "classify": ["accuracy", "macro_f1"],
    "tag": ["f1", "precision", "recall", "accuracy"],
    "answer": ["f1", "exact_match", "squad_f1", "squad_exact_match"],
}


@pytest.mark.parametrize("task", METRICS)
def test_json_is_what_was_measured_and_as_the_schema_says(evaluate, data, tuned, task):
    done = evaluate(task, *data[task], "--json", "--worst", 9, *(["--confusions"] if task != "answer" else []))
    assert (done.code, done.err) == (0, "")
    (line,) = done.lines
    assert valid("evaluate.json", line)
    model = xlmr.load(tuned(*{"classify": (CLASSIFIER, TOPICS), "tag": (TAGGER, NAMES), "answer": (EXTRACTOR,)}[task]), threads=1)
    wanted = examination.EVALUATIONS[task](model, examination.read(task, model, data[task])).report
    assert [line["task"], line["metric"], *line["scores"]] == [task, *METRICS[task]]
    assert (line["languages"], line["mean"], line["counts"]) == (wanted.languages, wanted.mean, wanted.counts)
    assert line["intervals"] == {code: list(of) for code, of in wanted.metrics[wanted.metric].intervals.items()}
    assert (line["source"], line["gap"]) == ("en", pytest.approx(line["others"] - line["languages"]["en"]))
    assert len(line["worst"]) == sum(wanted.each < 1)
    assert not valid("evaluate.json", line | {"scores": {"accuracy": 0.5}})


def test_confusions_and_worst_come_only_where_they_are_asked_for(evaluate, data):
    (line,) = evaluate("classify", *data["classify"], "--json").lines
    assert not {"confusions", "worst"} & {*line}
    (line,) = evaluate("classify", *data["classify"], "--json", "--rounds", 0, "--languages", "de,wo").lines
    assert (line["interval"], line["intervals"], [*line["languages"]]) == (None, {}, ["de", "wo"])
    assert "gap" not in line
    assert valid("evaluate.json", line)


def test_the_source_may_be_another_language(evaluate, data):
    (line,) = evaluate("classify", *data["classify"], "--json", "--source", "German").lines
    assert (line["source"], [*line["gaps"]]) == ("de", ["en", "wo"])


def test_people_see_each_language_the_mean_and_what_was_asked_for(evaluate, data):
    done = evaluate("classify", *data["classify"], "--confusions", "--worst", 1)
    head, *rows = done.out.splitlines()
    assert head == "classify  accuracy, macro F1; intervals hold 95 %"
    assert [row.split()[0] for row in rows[:5]] == ["de", "en", "wo", "mean", "others"]
    assert rows[0].endswith("2  German")
    assert rows[2].endswith(" 1")
    assert "from en: the mean of the other 2" in rows[4]
    assert rows[5].startswith("confusions")
    assert "→" in rows[6]
    assert rows[-3].split(":")[0].endswith("topics.tsv")
    assert rows[-1].split()[0] == "wanted"


def test_a_table_is_markdown_with_as_many_cells_in_each_row(evaluate, data):
    head, line, *rows = evaluate("tag", *data["tag"], "--table").out.splitlines()
    assert head == "| language | examples | F1 | 95 % | precision | recall | accuracy | gap |"
    assert line.count("|") == head.count("|")
    assert {row.count(" | ") for row in rows} == {7}
    assert [row.split(" | ")[0] for row in rows] == ["| German (de)", "| English (en)", "| **mean**", "| mean without en"]
    head, _, *rows = evaluate("tag", data["tag"][1], "--table").out.splitlines()
    assert (head.count("|"), len(rows)) == (8, 2)


def test_a_picture_has_a_bar_for_each_language(evaluate, data, tmp_path):
    path = tmp_path / "bars.svg"
    assert evaluate("classify", *data["classify"], "--plot", path, "--by", "script").code == 0
    drawn = ElementTree.parse(path)
    assert {of.get("data-language") for of in drawn.iter() if of.get("data-language")} == {"de", "en", "wo"}
    path.unlink()
    assert evaluate("classify", "nothing.tsv", "--plot", path).code == 1
    assert [*tmp_path.glob("*.svg*"), *tmp_path.glob(".*")] == []


def test_progress_goes_to_a_terminal(evaluate, data, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    evaluate("classify", *data["classify"])
    assert terminal.getvalue().split("\r")[-1].startswith("6 texts, ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "--table"], "--json and --table both say how the scores look"),
        (["--plot", "bars.png"], "--plot is 'bars.png'; wanted a name that ends in .svg"),
        (["--by", "size"], "'size' is not one of 'family', 'script'"),
        (["--worst", 0], "0 is not in the range"),
    ],
)
def test_options_that_cannot_be_are_wrong_use(evaluate, data, arguments, complaint):
    done = evaluate("classify", *data["classify"], *arguments)
    assert (done.code, done.out) == (2, "")
    assert complaint in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            "text\tlabel\nthe cat\tbirds\n",
            "a.tsv: line 2: has the label 'birds', which the model does not know; it knows cats, dogs, houses",
        ),
        ("text\tlabel\n", "a.tsv: holds no examples"),
        ("text\tlabel\nthe cat\n", "a.tsv: line 2: the row has 1 columns, and 'label' is column 2"),
        ("text\tname\nthe cat\tcats\n", "its columns are ['text', 'name']; wanted one called 'label'"),
    ],
)
def test_what_cannot_be_measured_is_told(evaluate, tmp_path, content, complaint):
    (tmp_path / "a.tsv").write_text(content, encoding="utf-8")
    done = evaluate("classify", tmp_path / "a.tsv")
    assert (done.code, done.out) == (1, "")
    assert complaint in done.err


def test_a_head_that_does_not_fit_is_told(evaluate, data, run, tiny, tuned):
    for model in (tiny, tuned(TAGGER, NAMES)):
        done = run("evaluate", "classify", "--model", model, *data["classify"])
        assert (done.code, "xlmr finetune classify" in done.err) == (1, True)
    several = run("evaluate", "classify", "--model", tuned(CLASSIFIER, TOPICS, problem=MULTI), *data["classify"], "--confusions")
    assert (several.code, "confusions want one label for each text" in several.err) == (1, True)
    assert evaluate("answer", *data["answer"], "--confusions").code == 2


def test_what_is_no_number_is_null_and_a_dash():
    examples = [Classified("en", "a text", None, (label,), "a.tsv: line 2") for label in ("1", "2")]
    found = report(numbers(examples, [1.5, 1.5]), rounds=10)
    assert np.isnan(found.mean)
    shape = json.loads(json.dumps(reporting.as_json(found), allow_nan=False))
    assert valid("evaluate.json", shape)
    assert (shape["mean"], shape["interval"], shape["scores"]["squared_error"]["mean"]) == (None, None, 0.25)
    assert "–" in [*reporting.for_people(found)][1]
    both = report(numbers([*examples, *(replace(of, language="de") for of in examples)], [1.5] * 4), source="en", rounds=10)
    assert both.transfer is not None
    assert "nan" not in "".join((*reporting.for_people(both), *reporting.table(both)))
    assert "| – |" in [*reporting.table(found)][2]


def test_a_name_with_a_bar_does_not_break_the_table():
    examples = [Classified("a|b", "a text", None, ("x",), "a.tsv: line 2")]
    rows = [*reporting.table(report(labels(examples, ["x"], ("x",)), rounds=0))]
    assert rows[2].startswith("| a\\|b | 1 | 1.000 |")


def test_wrong_words_are_shown_with_both_tags(evaluate, data):
    (line,) = evaluate("tag", data["tag"][1], "--json", "--worst", 1).lines
    (worst,) = line["worst"]
    assert worst["words"] == TAGGED[1][1].split()
    sides = zip(worst["words"], worst["wanted"], worst["found"], strict=True)
    wrong = [f"{word} {wanted} → {found}" for word, wanted, found in sides if wanted != found]
    assert evaluate("tag", data["tag"][1], "--worst", 1).out.splitlines()[-1].strip() == "; ".join(wrong)


def test_a_question_stands_beside_its_context(evaluate, data):
    out = evaluate("answer", *data["answer"], "--worst", 1, "--threshold", -1e6).out
    assert "wanted Wasser; found nothing" in out
    assert "    was trinkt die Katze  ‖  die Katze trinkt Wasser\n" in out


def test_a_long_text_is_cut_and_what_moves_the_cursor_is_written_out(evaluate, tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"text": "the cat \x1b[31m" + "reads " * 200, "label": label} for label in TOPICS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = evaluate("classify", path, "--worst", 3).out
    assert "\\x1b[31m" in out
    assert max(map(len, out.splitlines())) < 200


def test_each_row_of_a_file_is_a_place(evaluate, data):
    (line,) = evaluate("classify", *data["classify"], "--json", "--worst", 9).lines
    places = {of["where"]: of for of in line["worst"]}
    for where, of in places.items():
        number = int(where.rpartition(" ")[2])
        assert (of["language"], of["text"], of["wanted"]) == (ROWS[number - 2][0], ROWS[number - 2][1], [ROWS[number - 2][2]])
    assert Path(next(iter(places)).rpartition(": line")[0]) == Path(data["classify"][0])
