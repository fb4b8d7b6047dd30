"""`xlmr export`: what it prints, and what is there when it goes wrong: nothing new, and all that was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from calls import SCHEMAS, valid

from xlmr.export import answers

TARGETS = ("onnx", "pytorch", "tensorflow", "jax", "safetensors")
NEEDS = {"pytorch": ("torch", "train"), "tensorflow": ("tensorflow", "tensorflow"), "jax": ("jax", "jax")}
LARGEST = 40_000
"""Bytes of a file that the disk still takes, less than the weights have."""
FULL = f"""
import resource, signal, sys
from xlmr.cli import main
for name in sys.argv[1].split(","):
    if name: __import__(name)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST}, {LARGEST}))
main(sys.argv[2:])
"""
WITHOUT = "import sys\nsys.modules[sys.argv[1]] = None\nfrom xlmr.cli import main\nmain(sys.argv[2:])"
SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
from xlmr.export import parity
from xlmr.__main__ import main
parity.prove = lambda *given: (print("asked", flush=True), time.sleep(60))
main()
"""


def there(target: str) -> pytest.MarkDecorator:
    name = NEEDS.get(target, ("onnx", ""))[0]
    return pytest.mark.skipif(find_spec(name) is None, reason=f"needs {name}")


EVERY = [pytest.param(target, marks=there(target)) for target in TARGETS]


def code(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, check=False)


def test_it_prints_files_and_how_far_answers_are(run, tiny: Path, tmp_path: Path) -> None:
    done = run("export", "onnx", "--model", tiny, "--output", tmp_path / "out")
    assert done.code == 0
    assert "model.onnx, fill-mask: logits at most" in done.out
    assert "writing\nasking what was written\n" in done.err


def test_json_holds_all_of_it(run, tiny: Path, tmp_path: Path) -> None:
    done = run("export", "safetensors", "--model", tiny, "--output", tmp_path / "out", "--json")
    found = json.loads(done.out)
    assert found["folder"] == str(tmp_path / "out")
    assert found["files"].keys() == {path.name for path in (tmp_path / "out").iterdir()}
    assert found["parity"]["differences"][0]["largest"] <= 1e-4
    assert found["seconds"].keys() == {"write", "prove"}
    assert found["notes"] == []
    assert valid("export.json", found)


def test_its_schema_refuses_other_shapes() -> None:
    apart = {"artefact": "model.onnx", "task": "fill-mask", "output": "logits", "allowed": 1e-4, "allowed_mean": 1e-4, "largest": 1e-6,
             "mean": 1e-7, "numbers": 9}  # fmt: skip
    good = {"folder": "a", "files": {"model.onnx": 1, "parity.json": 2}, "seconds": {"write": 0.1, "prove": 1}, "notes": [],
            "parity": {"lengths": [[1], [3, 2]], "differences": [apart]}}  # fmt: skip
    assert valid("export.json", good)
    for wrong in (
        {"notes": [""]},
        {"files": {}},
        {"seconds": {"write": 1}},
        {"parity": {"lengths": [[1]], "differences": []}},
        {"line": 1},
    ):
        assert not valid("export.json", good | wrong)
    for off in ({"task": "translation"}, {"largest": -1}, {"numbers": 0}, {"output": "scores"}, {"more": 1}):
        assert not valid("export.json", good | {"parity": good["parity"] | {"differences": [apart | off]}})


def test_its_schema_knows_every_task_and_output() -> None:
    known = SCHEMAS["export.json"]["$defs"]["difference"]["properties"]
    assert known["task"]["enum"] == [*answers.TASKS]
    assert {*known["output"]["enum"]} == {output for task in answers.TASKS.values() for output in task.outputs}


def test_a_target_that_is_not_known_is_named(run) -> None:
    done = run("export", "coreml", "--output", "x")
    assert done.code == 2
    assert "No such command 'coreml'" in done.err


def test_layouts_exclude_each_other(run, tiny: Path, tmp_path: Path) -> None:
    done = run("export", "onnx", "--model", tiny, "--single-file", "--external-data", "--output", tmp_path / "out")
    assert done.code == 2
    assert "--single-file and --external-data exclude each other" in done.err


@pytest.mark.parametrize("target", [pytest.param(target, marks=there(target)) for target in NEEDS])
def test_a_missing_extra_is_named(target: str, tiny: Path, tmp_path: Path) -> None:
    package, extra = NEEDS[target]
    done = code(WITHOUT, package, "export", target, "--model", tiny, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert f"Run: pip install 'xlmr[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("target", NEEDS)
def test_an_extra_that_is_there_and_broken_says_why(target: str, tiny: Path, tmp_path: Path) -> None:
    """As a library of another version does, and jax, which says so by a RuntimeError."""
    package, extra = NEEDS[target]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{package}.py").write_text("raise RuntimeError('libhidden is of version 3')", encoding="utf-8")
    command = ("export", target, "--model", tiny, "--output", tmp_path / "out")
    done = code("import sys\nsys.path.insert(0, sys.argv[1])\nfrom xlmr.cli import main\nmain(sys.argv[2:])", tmp_path / "broken", *command)
    assert done.returncode == 1
    assert "there but cannot be imported (RuntimeError: libhidden is of version 3)" in done.stderr
    assert f"pip install 'xlmr[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="by a limit of Linux")
@pytest.mark.parametrize("target", EVERY)
def test_a_full_disk_leaves_nothing_new(target: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "parity.json").write_text("old", encoding="utf-8")
    command = ("export", target, "--model", tiny, "--output", tmp_path / "out", "--force")
    done = code(FULL, NEEDS.get(target, ("",))[0], *command)
    assert done.returncode == 1
    assert "nothing was saved" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["parity.json"]
    assert (tmp_path / "out" / "parity.json").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_export_that_is_ended_leaves_nothing_new(sent: signal.Signals, code: int, tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, "export", "onnx", "--model", str(tiny), "--output", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as process:
        assert process.stdout
        assert process.stdout.readline() == "asked\n"
        assert not (tmp_path / "out").exists()
        time.sleep(0.1)
        process.send_signal(sent)
        assert process.wait(30) == code
    assert not [*tmp_path.iterdir()]
