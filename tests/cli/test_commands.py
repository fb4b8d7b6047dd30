"""The commands as they are called: what they print, where, and their exit status."""

import gzip
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import click
import jsonschema
import pytest
from calls import SCHEMAS, Done, Terminal, error, shell, started, valid

import xlmr
from xlmr import runtimes
from xlmr.cli import commands, options, printing
from xlmr.errors import NotAvailable
from xlmr.tasks import scoring

TEXT = "the cat <mask> water"
NO_MASK = "the text has no <mask>; put it where a word is missing, as in 'Paris est la <mask> de la France.'"


def bar(score: float) -> str:
    return click.unstyle(printing.bar(score))


def test_fill_mask_prints_for_people(fill, model):
    done = fill(TEXT, "水 <mask>", "--top", 2)
    first, second = ([[f"{filling.score:.3f}", *bar(filling.score).split(), *filling.words] for filling in model.fill_mask(text, top=2)]
                     for text in (TEXT, "水 <mask>"))  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines()] == [
        TEXT.split(),
        *first,
        [],
        "水 <mask>".split(),
        *second,
        [],
    ]


def test_json_is_what_the_model_answers_and_as_the_schema_says(fill, model):
    done = fill(TEXT, "水 <mask>", "--json")
    wanted = [{"text": text, "fillings": [asdict(filling) for filling in model.fill_mask(text)]} for text in (TEXT, "水 <mask>")]
    assert [line["text"] for line in done.lines] == [TEXT, "水 <mask>"]
    assert [[filling["ids"] for filling in line["fillings"]] for line in done.lines] == [
        [[list(filling["ids"][0])] for filling in line["fillings"]] for line in wanted
    ]
    assert all(valid("fill-mask.json", line) for line in done.lines)
    assert "水" in done.out


def test_schemas_are_schemas_and_refuse_other_shapes():
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    good = {"text": "a", "fillings": [{"score": 0.5, "words": ["b"], "ids": [[7]], "text": "c"}]}
    assert valid("fill-mask.json", good)
    assert valid("fill-mask.json", error(1, "why"))
    for wrong in ({}, good | {"line": 1}, good | error(1, "why"), {"text": "a", "fillings": [{"score": 2}]}, error(0, "why"), error(1, "")):
        assert not valid("fill-mask.json", wrong)


@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz", "objects.jsonl", "table.csv", None])
def test_texts_come_from_files_and_standard_input(fill, tmp_path, name):
    texts = [TEXT, "le chien <mask>", "кошка <mask>, собака"]
    lines = "".join(f"{text}\n" for text in texts)
    content = {
        "lines.txt": lines.encode(),
        "lines.txt.gz": gzip.compress(lines.encode()),
        "objects.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts).encode(),
        "table.csv": "".join(f'"{text}"\n' for text in ["text", *texts]).encode(),
        None: lines.encode(),
    }[name]
    if name is None:
        done = fill("--json", stdin=content)
    else:
        (tmp_path / name).write_bytes(content)
        done = fill("--json", "--input", tmp_path / name)
    assert done.code == 0
    assert [line["text"] for line in done.lines] == texts


def test_a_wrong_line_has_its_error_in_its_place_and_the_others_are_answered(fill, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(
        b'{"text": "the <mask>"}\n{"text": 7}\nno JSON\n{"text": "a"}\n{"text": ""}\n{"text": "\\ud83d <mask>"}\n'
        b'{"text": "<mask> \xff"}\n{"text": "<mask> \\u0000"}\n{"text": "'
        + b"a" * 1_000_000
        + b'"}\n{"text": "'
        + b"<mask> " * 17
        + b'"}\n'
    )
    done = fill("--json", "--input", path)
    assert done.code == 1
    assert [line.get("text") for line in done.lines] == ["the <mask>", *[None] * 6, "<mask> \x00", None, None]
    assert [line for line in done.lines if "error" in line] == [
        error(2, "not a JSON object with a string as 'text'", "BadLine"),
        error(3, "not JSON (Expecting value: line 1 column 1 (char 0))", "BadLine"),
        error(4, NO_MASK),
        error(5, "the text is empty; wanted one with <mask>, such as 'Paris est la <mask> de la France.'"),
        error(6, "character 0 of the text is U+D83D, a half of a surrogate pair without the other"),
        error(7, "not UTF-8 (byte 18 is 0xff)", "BadLine"),
        error(9, "the text has 1,000,000 characters, and at most 100,000 are taken; split it"),
        error(10, "the text has 17 masks, and at most 16 are filled together; split it"),
    ]
    assert all(valid("fill-mask.json", line) for line in done.lines)


def test_people_read_errors_on_standard_error(fill):
    done = fill("the", TEXT)
    assert done.code == 1
    assert done.err == f"xlmr: text 1: {NO_MASK}\n"
    assert done.out.startswith(TEXT)
    assert fill(stdin=b"the cat\n").err == f"xlmr: line 1: {NO_MASK}\n"


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1, "█" * 12), (0.5, "█" * 6), (1 / 96, "▏"), (13 / 96, "█▋"), (95.4 / 96, "█" * 11 + "▉")]
)
def test_a_bar_is_as_long_as_the_share(share, drawn):
    assert bar(share) == drawn.ljust(12)


def test_control_characters_cannot_move_the_cursor(fill):
    assert fill("\x1b[2J <mask>\r\x07\x9b").out.startswith("\\x1b[2J <mask>\\x0d\\x07\\x9b\n")


def test_a_line_of_json_is_one_line_to_every_reader(fill):
    done = fill("--json", "--top", 1, "a\u2028b\x85c\nd <mask>")
    assert len(done.out.splitlines()) == 1
    assert done.lines[0]["text"] == "a\u2028b\x85c\nd <mask>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fill-mask", "--model", "nowhere", "<mask>"], "xlmr: 'nowhere' not found; wanted a folder, a hub id"),
        (["fill-mask", "--input", "none.txt"], "xlmr: none.txt: cannot be read (No such file or directory)"),
        (["fill-mask", "--input", "table.parquet"], "xlmr: table.parquet: cannot be read (No such file or directory)"),
        (["fill-mask", "--input", "."], "xlmr: .: cannot be read (Is a directory)"),
        (["info", "--model", "nowhere"], "xlmr: 'nowhere' not found"),
        (["info", "--model", "."], "xlmr: config.json: not found; a checkpoint is a folder with"),
        (["info", "--model", "\x1b[2J\x9b"], "xlmr: '\\x1b[2J\\x9b' not found"),
        (["fill-mask", "--input", "\x1b[2J.txt"], "xlmr: \\x1b[2J.txt: cannot be read"),
        (["pretrain", "none.toml"], "xlmr: none.toml: not found"),
        (["fill-mask", "--candidates-from", "none.txt", TEXT], "xlmr: none.txt: cannot be read (No such file or directory)"),
        (["fill-mask", "--longest-word", "2", TEXT], "xlmr: longest_word is 2, but whole words are not asked for"),
        (["fill-mask", "--candidates", "a,,b", TEXT], "xlmr: candidate 2 is empty; wanted a word or a phrase"),
        (["fill-mask", "--language", "Klingon", TEXT], "xlmr: language 'Klingon' is not known"),
        (["fill-mask", "--script", "Klin", TEXT], "xlmr: script 'Klin' is not known"),
        (["score", "--model", "nowhere", "x"], "xlmr: 'nowhere' not found; wanted a folder, a hub id"),
        (["import", "none.bin", "--output", "new"], "xlmr: none.bin: not found; wanted a file of weights, or the folder of one"),
    ],
)
def test_what_fails_says_why_in_one_line_and_exits_with_1(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1


def test_a_model_that_cannot_be_fetched_is_told_in_one_line(run, monkeypatch):
    def fetch(source: str, revision: str | None) -> Path:
        raise NotAvailable(f"{source} is not here")

    monkeypatch.setattr("xlmr.checkpoint.hub.fetch", fetch)
    assert run("fill-mask", "--model", "some/model", TEXT) == Done(1, "", "xlmr: some/model is not here\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fill-mask", TEXT, "--input", "a.txt"], "Texts were given both as arguments and with --input."),
        (["fill-mask", TEXT, "--top", "0"], "0 is not in the range 1<=x<=1000"),
        (["fill-mask", TEXT, "--runtime", "abacus"], "'abacus' is not one of 'onnx', 'torch'"),
        (["fill-mask", TEXT, "--threads", "0"], "0 is not in the range 1<=x<=1024"),
        (["fill-mask", TEXT, "--threads", "99999999999"], "99999999999 is not in the range 1<=x<=1024"),
        (["fill-mask", TEXT, "--colour"], "No such option"),
        (["fill-mask", TEXT, "--candidates", "a,b", "--candidates-from", "a.txt"], "Candidates were given both as --candidates and"),
        (["fill-mask", TEXT, "--workers", "65"], "65 is not in the range 1<=x<=64"),
        (["fill-mask", TEXT, "--beam", "1001"], "1001 is not in the range 1<=x<=1000"),
        (["score", TEXT, "--masking", "none"], "'none' is not one of 'word-l2r', 'token'"),
        (["fly"], "No such command 'fly'"),
        (["pretrain"], "Missing argument 'RECIPE'"),
        (["import", "a.bin"], "Missing option '--output'"),
        (["import", "a.bin", "--output", "b", "--memory", "0"], "0.0 is not in the range x>0"),
    ],
)
def test_wrong_use_says_what_and_exits_with_2(run, arguments, message):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Usage: xlmr" in done.err


@pytest.mark.parametrize("stdin", [Terminal(), None], ids=["terminal", "closed"])
def test_without_text_a_terminal_is_not_waited_for(run, stdin):
    done = run("fill-mask", stdin=stdin)
    assert done.code == 2
    assert "No text. Give it as an argument, with --input FILE, or through a pipe." in done.err


def test_no_text_at_all_is_no_failure(fill, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert fill("--input", tmp_path / "empty.txt") == fill(stdin=b"") == Done(0, "", "")


def test_info_tells_what_a_model_is(run, tiny):
    done = run("info", "--model", tiny, "--json")
    assert done.code == 0
    (facts,) = done.lines
    assert valid("info.json", facts)
    assert facts | {"parameters": 0, "bytes": 0} == {
        "model": str(tiny), "folder": str(tiny), "parameters": 0, "bytes": 0, "types": ["float32"], "vocabulary": 500,
        "width": 32, "layers": 2, "heads": 4, "head_width": 8, "inner": 64,
        "longest": 64, "fills_masks": True, "head": None, "attachments": [],
        "vectors": {"size": 32, "steps": ["mean"], "prompts": [], "longest": None, "unknown": None},
    }  # fmt: skip
    assert facts["bytes"] == 4 * facts["parameters"]
    people = run("info", "--model", tiny)
    assert people.code == 0
    assert f"{facts['parameters']:,} (float32" in people.out


def test_parameters_are_those_transformers_counts(run, tiny):
    transformers = pytest.importorskip("transformers")
    model = transformers.XLMRobertaForMaskedLM.from_pretrained(tiny)
    assert run("info", "--model", tiny, "--json").lines[0]["parameters"] == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("command", sorted(commands.commands))
def test_every_command_has_help_with_examples(run, command):
    done = run(command, "--help")
    assert done.code == 0
    assert "Examples:\n    xlmr " in done.out


def test_help_and_version(run):
    assert run("--version").out == f"xlmr {xlmr.__version__}\n"
    assert "fill-mask" in run("-h").out


def test_the_choices_are_those_there_are():
    assert options.RUNTIMES == runtimes.NAMES
    assert options.MASKINGS == scoring.MASKINGS


def test_the_recipe_and_its_options_reach_pretraining(run, monkeypatch):
    pretraining = pytest.importorskip("xlmr.training.pretraining", exc_type=ImportError, reason="the extra `train` is not installed")
    called = []
    monkeypatch.setattr(pretraining, "pretrain", lambda *arguments, **options: called.append((arguments, options)) or Path("runs/model"))
    assert run("pretrain", "a.toml", "--from", "b", "--resume").out == "runs/model\n"
    assert run("pretrain", "a.toml").code == 0
    assert called == [((Path("a.toml"),), {"start": "b", "resume": True}), ((Path("a.toml"),), {"start": None, "resume": False})]


def test_pretraining_without_its_extra_says_what_to_install(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("xlmr.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    done = run("pretrain", "a.toml")
    assert done.code == 1
    assert "pip install 'xlmr[train]'" in done.err


def test_progress_goes_to_a_terminal_only(fill, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert len(fill("--json", stdin=f"{TEXT}\n".encode() * 3).lines) == 3
    assert terminal.getvalue().split("\r")[-1].startswith("3 texts, ")


def test_results_are_utf_8_whatever_the_system_has(tiny):
    done = shell(tiny, "xlmr fill-mask --model $MODEL --json 'кошка <mask>'", PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert "кошка" in done.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", ["info --model $MODEL", "fill-mask --model $MODEL --json '<mask>' '<mask>'"])
def test_an_output_that_is_full_is_told_in_one_line(tiny, command):
    assert shell(tiny, f"xlmr {command} > /dev/full") == Done(1, "", "xlmr: standard output: No space left on device\n")
    assert shell(tiny, "xlmr --version > /dev/full") == Done(1, "", "xlmr: No space left on device\n")


def test_streams_may_be_closed(tiny, tmp_path):
    assert shell(tiny, "xlmr info --model $MODEL 2>&-").code == 0
    assert shell(tiny, "xlmr info --model nowhere 2>&-") == Done(1, "", "")
    assert shell(tiny, "xlmr fill-mask --model $MODEL 'no mask' '<mask>' 2>&-").code == 1
    assert shell(tiny, "xlmr info --model $MODEL >&-") == Done(1, "", "xlmr: standard output: closed, and results go there\n")
    unreadable = shell(tiny, f"xlmr fill-mask --model $MODEL 0>{tmp_path}/file")
    assert unreadable == Done(1, "", "xlmr: standard input: cannot be read (Bad file descriptor)\n")


def test_a_folder_may_have_a_name_that_is_no_text(run, tiny, tmp_path):
    folder = tmp_path / "bad\udcff"
    folder.symlink_to(tiny)
    assert run("info", "--model", folder, "--json").lines[0]["model"] == str(folder)
    assert "bad\\udcff" in run("info", "--model", folder).out


def test_a_dash_is_standard_input(fill):
    done = fill("--json", "--input", "-", stdin=f"{TEXT}\n".encode())
    assert [line["text"] for line in done.lines] == [TEXT]
    with pytest.raises(AttributeError):  # a terminal has no bytes here, so this tells that it was read
        fill("--input", "-", stdin=Terminal())


def test_what_was_read_of_a_file_that_breaks_off_is_answered(fill, tmp_path):
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(gzip.compress(f"{TEXT}\n".encode() * 9)[:-4])
    done = fill("--json", "--top", 1, "--input", path)
    assert [line["text"] for line in done.lines] == [TEXT] * 9
    assert (done.code, done.err) == (
        1,
        f"xlmr: {path}: cannot be read (Compressed file ended before the end-of-stream marker was reached)\n",
    )


def test_answers_come_before_the_input_ends_and_ctrl_c_is_quiet(tiny):
    with started(tiny) as process:
        process.stdin.write(f"{TEXT}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == TEXT
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read().strip() == b""
    assert process.returncode == 130


def test_ctrl_c_is_quiet_while_the_command_line_is_still_imported(tmp_path):
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-m", "xlmr", "info"], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_closed_pipe_ends_quietly(tiny, tmp_path):
    (tmp_path / "many.txt").write_text(f"{TEXT}\n" * 3000)
    with started(tiny, "--input", str(tmp_path / "many.txt")) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode != 0
