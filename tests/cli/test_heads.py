"""`classify`, `tag` and `answer`, as they are called."""

import json
from math import inf
from pathlib import Path

import pytest
from calls import Terminal, error, valid
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

import xlmr
from xlmr.tasks import extractors

TEXTS = ["the cat drinks water.", "Das Haus ist groß", ""]
PLACES = {"question": "where is the cat?", "context": "the cat sleeps in the house, the dog in the city."}


@pytest.fixture
def classifier(tuned) -> Path:
    return tuned(CLASSIFIER, TOPICS)


@pytest.fixture
def tagger(tuned) -> Path:
    return tuned(TAGGER, NAMES)


@pytest.fixture
def reader(tuned) -> Path:
    return tuned(EXTRACTOR, attachments={"answering": extractors.pack(inf, 3)})


def test_labels_are_those_of_the_model_and_as_the_schema_says(run, classifier):
    done = run("classify", "--model", classifier, "--json", *TEXTS)
    assert (done.code, done.err) == (0, "")
    assert all(valid("classify.json", line) for line in done.lines)
    found = xlmr.load(classifier).classify(TEXTS)
    assert [[of["label"] for of in line["labels"]] for line in done.lines] == [[of.label for of in labels] for labels in found]
    assert [line["text"] for line in done.lines] == TEXTS
    (line,) = run("classify", "--model", classifier, "--json", "--top", 1, TEXTS[0]).lines
    assert line["labels"] == done.lines[0]["labels"][:1] or line["labels"][0]["label"] == done.lines[0]["labels"][0]["label"]


def test_pairs_come_from_the_option_or_from_a_file(run, classifier, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("text_pair\ttext\nle chat\tthe cat\nle chat\n", encoding="utf-8")
    done = run("classify", "--model", classifier, "--json", "--input", path)
    assert done.code == 1
    assert [line.get("text_pair") for line in done.lines] == ["le chat", None]
    assert all(valid("classify.json", line) for line in done.lines)
    assert done.lines[1] == error(3, "the row has 1 columns, and 'text' is column 2", "BadLine")
    (given,) = run("classify", "--model", classifier, "--json", "--pair", "le chat", "the cat").lines
    assert given["labels"] == done.lines[0]["labels"]
    assert given["text"] == "the cat"
    assert "the cat\nle chat\n  0." in run("classify", "--model", classifier, "--input", path).out


def test_two_processes_answer_pairs_as_one_does(run, classifier, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"text": text, "text_pair": "le chat"}) + "\n" for text in TEXTS), encoding="utf-8")
    one, two = (run("classify", "--model", classifier, "--json", "--top", 1, "--input", path, "--workers", n).lines for n in (1, 2))
    assert [(of["text"], of["labels"][0]["label"]) for of in one] == [(of["text"], of["labels"][0]["label"]) for of in two]
    assert len(one) == 3


def test_people_see_the_numbers_of_a_regression(run, tuned):
    folder = tuned(CLASSIFIER, TOPICS, problem="regression")
    found = xlmr.load(folder).classify(TEXTS[0])
    head, *rows = run("classify", "--model", folder, TEXTS[0]).out.splitlines()
    assert head == TEXTS[0]
    assert [row.split() for row in rows[:3]] == [[f"{of.score:.3f}", of.label] for of in found]


def test_tags_are_those_of_the_model_and_as_the_schema_says(run, tagger):
    text = "the cat drinks water in the house."
    done = run("tag", "--model", tagger, "--json", text, "")
    found = xlmr.load(tagger).tag(text)
    assert all(valid("tag.json", line) for line in done.lines)
    assert done.lines[0]["words"] == [word.text for word in found.words]
    assert done.lines[0]["tags"] == list(found.tags)
    assert [(of["label"], of["text"], of["start"], of["end"]) for of in done.lines[0]["entities"]] == [
        (of.label, of.text, of.start, of.end) for of in found.entities
    ]
    assert done.lines[1] == {"text": "", "words": [], "tags": [], "entities": []}
    assert found.entities
    head, *rows = run("tag", "--model", tagger, text).out.splitlines()
    assert head == text
    assert [row.split()[-2:] for row in rows if row] == [[of.label, of.text.split()[-1]] for of in found.entities]


def test_people_see_each_word_where_tags_mark_no_entities(run, tuned):
    folder = tuned(TAGGER, TOPICS)
    found = xlmr.load(folder).tag("the cat drinks")
    rows = run("tag", "--model", folder, "the cat drinks").out.splitlines()[1:-1]
    assert [row.split()[-2:] for row in rows] == [[tag, word.text] for tag, word in zip(found.tags, found.words, strict=True)]


def test_answers_are_those_of_the_model_and_as_the_schema_says(run, reader):
    arguments = ["--question", PLACES["question"], "--context", PLACES["context"]]
    (line,) = run("answer", "--model", reader, "--json", *arguments).lines
    best = xlmr.load(reader).answer(**PLACES)
    assert valid("answer.json", line)
    assert line == {"answer": best.answer, "start": best.start, "end": best.end, "score": pytest.approx(best.score)}
    (several,) = run("answer", "--model", reader, "--json", "--top", 3, *arguments).lines
    assert valid("answer.json", several)
    assert [of["answer"] for of in several["answers"]] == [of.answer for of in xlmr.load(reader).answer(**PLACES, top=3)]
    assert several["answers"][0] == line
    (none,) = run("answer", "--model", reader, "--json", "--threshold", "-inf", *arguments).lines
    assert valid("answer.json", none)
    assert (none["answer"], none["start"], none["end"]) == (None, None, None)
    head, row, _ = run("answer", "--model", reader, *arguments).out.splitlines()
    assert head == PLACES["question"]
    assert row.endswith(f" {best.answer}")
    assert run("answer", "--model", reader, "--threshold=-inf", *arguments).out.splitlines()[1].endswith(" no answer")


def test_questions_come_from_a_file_or_through_a_pipe(run, reader, tmp_path):
    path = tmp_path / "asked.jsonl"
    lines = [json.dumps(PLACES), "", "no JSON", json.dumps({"question": "where?"}), json.dumps({**PLACES, "id": 3})]
    path.write_text("\n".join(lines), encoding="utf-8")
    for done in (
        run("answer", "--model", reader, "--json", "--input", path),
        run("answer", "--model", reader, "--json", stdin=path.read_bytes()),
        run("answer", "--model", reader, "--json", "--input", "-", stdin=path.read_bytes()),
    ):
        assert done.code == 1
        assert all(valid("answer.json", line) for line in done.lines)
        first, broken, short, last = done.lines
        assert first == last
        assert broken["line"] == 3
        assert short == error(4, "not a JSON object with a string as 'context'", "BadLine")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--question", "where?"], "A question needs both --question and --context."),
        (["--context", "here"], "A question needs both --question and --context."),
        (["--question", "where?", "--input", "a.jsonl"], "A question was given both as --question, --context and with --input."),
        (["--input", "a.txt"], "wanted a table, .jsonl, .ndjson, .csv, .tsv, .parquet, with 'question' and 'context'"),
        (["--question", "a", "--context", "b", "--threshold", "nan"], "threshold is nan, wanted a number"),
    ],
)
def test_wrong_questions_are_told(run, reader, arguments, complaint):
    done = run("answer", "--model", reader, *arguments)
    assert done.code in (1, 2)
    assert complaint in done.err


def test_nothing_is_asked_on_a_terminal(run, reader):
    done = run("answer", "--model", reader, stdin=Terminal())
    assert done.code == 2
    assert "No question. Give it as --question and --context, with --input FILE, or through a pipe." in done.err


@pytest.mark.parametrize(("command", "arguments"), [("classify", ["a"]), ("tag", ["a"]), ("answer", ["--question", "a", "--context", "b"])])
def test_the_small_model_has_no_head_and_the_error_says_what_makes_one(run, command, arguments):
    done = run(command, *arguments)
    assert (done.code, done.out) == (1, "")
    assert "the small model inside has none" in done.err
    assert f"xlmr finetune {command} --train FILE --dev FILE --output DIR" in done.err


@pytest.mark.parametrize("command", ["classify", "tag", "answer"])
def test_help_has_examples(run, command):
    done = run(command, "--help")
    assert done.code == 0
    assert f"xlmr {command} --model my-" in done.out
