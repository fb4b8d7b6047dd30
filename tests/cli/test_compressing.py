"""`xlmr compress`: what it prints, and what is there when it goes wrong: nothing new, and all that was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from calls import valid
from tuners import CLASSIFIER, TOPICS

LARGEST = 40_000
"""Bytes of a file that the disk still takes, less than the weights have."""
FULL = f"""
import resource, signal, sys
from xlmr.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST}, {LARGEST}))
main(sys.argv[1:])
"""
SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
from xlmr.compression import comparison
from xlmr.__main__ import main
comparison.compare = lambda *given, **more: (print("comparing", flush=True), time.sleep(60))
main()
"""


def compress(run, model: Path, output: Path, *options: object):
    return run("compress", "quantize", "--mode", "fp16", "--model", model, "--output", output, "--sentences", 1, *options)


def code(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_it_prints_before_and_after(run, tiny: Path, tmp_path: Path) -> None:
    done = compress(run, tiny, tmp_path / "out")
    assert done.code == 0
    assert "quantize: mode fp16" in done.out
    assert "weights on disk" in done.out
    assert "the likeliest filling is the same at" in done.out
    assert done.err.startswith("writing weights in float16\nmeasuring memory\n")


def test_json_is_as_its_schema_says(run, tiny: Path, tmp_path: Path) -> None:
    done = compress(run, tiny, tmp_path / "out", "--json")
    (found,) = done.lines
    assert valid("compress.json", found)
    assert found["files"].keys() == {path.name for path in (tmp_path / "out").iterdir()}
    comparison = found["comparison"]
    assert comparison["weights"]["before"] == (tiny / "model.safetensors").stat().st_size
    assert comparison["weights"]["after"] == (tmp_path / "out" / "model.safetensors").stat().st_size
    assert comparison["texts"] == 48
    assert not valid("compress.json", {**found, "method": "squeeze"})
    for name, wrong in (("agreement", 2), ("weights", {"before": 1}), ("measure", "luck"), ("fillings", {"places": 3}), ("vectors", 1)):
        assert not valid("compress.json", found | {"comparison": comparison | {name: wrong}}), name


def test_below_the_agreement_that_is_wanted_nothing_is_left(run, tiny: Path, tmp_path: Path, monkeypatch) -> None:
    from xlmr.compression import comparison

    monkeypatch.setattr(comparison.Comparison, "agreement", property(lambda self: 0.97))
    done = compress(run, tiny, tmp_path / "out", "--min-agreement", 0.98)
    assert done.code == 1
    assert "likeliest fillings: 0.9700 agree with those of the model it was made of, wanted 0.98 at least. Nothing was saved" in done.err
    assert not [*tmp_path.iterdir()]
    assert compress(run, tiny, tmp_path / "out", "--min-agreement", 0.97).code == 0


def test_texts_of_ones_own_are_compared_on(run, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("lang\ttext\nfr\tle chat boit\nfr\tle chien dort\nde\tdie Katze trinkt\n", encoding="utf-8")
    (tmp_path / "el.txt").write_text("η γάτα και το σπίτι\n", encoding="utf-8")
    given = ("--probe", tmp_path / "texts.tsv", "--probe", f"el={tmp_path / 'el.txt'}")
    (found,) = compress(run, tiny, tmp_path / "out", *given, "--json").lines
    assert found["comparison"]["languages"] == ["fr", "de", "el"]
    assert found["comparison"]["texts"] == 3  # of each language one
    assert {*found["comparison"]["fillings"]["top1"]["languages"]} == {"fr", "de", "el"}


def test_a_fine_tuned_model_is_scored_before_and_after(run, tuned, tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("lang\ttext\tlabel\nen\tthe cat\tcats\nde\tder Hund\tdogs\n", encoding="utf-8")
    model, given = tuned(CLASSIFIER, TOPICS), ("--dev", tmp_path / "dev.tsv")
    (found,) = compress(run, model, tmp_path / "out", *given, "--json").lines
    assert valid("compress.json", found)
    assert found["comparison"]["measure"] == "labels of texts"
    assert found["comparison"]["scores"]["before"]["languages"].keys() == {"en", "de"}
    done = compress(run, model, tmp_path / "out", *given, "--force")
    assert "accuracy, German" in done.out
    assert "labels of texts: the same are 100.0%" in done.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--probe", "missing.txt"), "missing.txt"),
        (("--probe", "xx={tmp}/empty.txt"), "'xx' is not known"),
        (("--probe", "de={tmp}/empty.txt"), "there are no texts to compare the models on"),
        (("--probe", "de={tmp}/broken.txt"), "line 1: not UTF-8"),
        (("--dev", "de={tmp}/empty.txt"), "labelled data were given (--dev), and the model has no head for a task"),
    ],
)
def test_data_that_cannot_be_read_are_told_before_anything_is_done(run, tiny: Path, tmp_path: Path, given, said: str) -> None:
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "broken.txt").write_bytes(b"\xff\xfe\xff\n")
    done = compress(run, tiny, tmp_path / "out", *(part.format(tmp=tmp_path) for part in given))
    assert done.code == 1
    assert said in done.err
    assert "writing" not in done.err
    assert not (tmp_path / "out").exists()


def test_a_mode_that_is_not_known_is_named(run) -> None:
    done = run("compress", "quantize", "--mode", "int7", "--output", "x")
    assert done.code == 2
    assert "'int7' is not" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="by a limit of Linux")
def test_a_full_disk_leaves_nothing_new(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compression.json").write_text("old", encoding="utf-8")
    done = code(FULL, "compress", "quantize", "--mode", "fp16", "--model", tiny, "--output", tmp_path / "out", "--force")
    assert done.returncode == 1
    assert "nothing was saved" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "compression.json").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_ended_leaves_nothing_new(sent: signal.Signals, code: int, tiny: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        SLOW,
        "compress",
        "quantize",
        "--mode",
        "fp16",
        "--model",
        str(tiny),
        "--output",
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as process:
        assert process.stdout
        assert process.stdout.readline() == "comparing\n"
        assert len([*tmp_path.iterdir()]) == 1
        time.sleep(0.1)
        process.send_signal(sent)
        assert process.wait(30) == code
    assert not [*tmp_path.iterdir()]


def test_every_step_is_kept(run, tiny: Path, tmp_path: Path) -> None:
    compress(run, tiny, tmp_path / "once")
    steps = json.loads((tmp_path / "once" / "compression.json").read_text(encoding="utf-8"))["steps"]
    assert [(step["method"], step["options"]["mode"], step["source"]) for step in steps] == [("quantize", "fp16", str(tiny))]
    done = compress(run, tmp_path / "once", tmp_path / "twice")
    assert done.code == 1
    assert "was made by quantize with mode fp16 already" in done.err


def test_a_pruned_model_says_what_was_kept(run, tiny: Path, tmp_path: Path) -> None:
    asked = ("compress", "prune", "--model", tiny, "--sentences", 1, "--json", "--output", tmp_path / "out")
    done = run(*asked, "--heads", 3, "--inner", 48)
    (found,) = done.lines
    assert valid("compress.json", found)
    assert found["method"] == "prune"
    assert [len(heads) for heads in found["facts"]["heads"]] == [3, 3]
    assert any("transformers does not know that key, and refuses it" in note for note in found["notes"])
    (info,) = run("info", "--json", "--model", tmp_path / "out").lines
    assert (info["heads"], info["head_width"], info["inner"]) == (3, 8, 48)
    assert "with 3 heads of 8 and 48 inner units" in run("info", "--model", tmp_path / "out").out


def test_pruning_nothing_is_wrong_use(run, tiny: Path, tmp_path: Path) -> None:
    idle = run("compress", "prune", "--model", tiny, "--inner", 32, "--resume", "--output", tmp_path / "out")
    assert idle.code == 2
    assert "--state and --resume are of --recover STEPS, which was not asked for" in idle.err
    done = run("compress", "prune", "--model", tiny, "--output", tmp_path / "out")
    assert done.code != 0
    assert "nothing is to be pruned" in done.err
    assert not (tmp_path / "out").exists()
