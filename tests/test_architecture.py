"""The shape of the tree. Floors, docstrings and the light core are held by `make check`; here is what it cannot see."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = [path for room in ("src", "tests", "docs", "recipes", "benchmarks") for path in (ROOT / room).rglob("*.py")]
DRAWERS = {"utils", "util", "helpers", "common", "base", "misc", "manager"}


def test_no_file_outgrows_its_room():
    assert {path.name: lines for path in CODE if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400} == {}


def test_no_name_is_a_drawer():
    assert [path for path in CODE if path.stem in DRAWERS or path.parent.name in DRAWERS] == []


def test_tests_mirror_the_tree():
    """A test file in a folder is about the module of that name; those at the top may be about anything, `fuzz` is about all parsers."""
    mirrored = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*/test_*.py")]
    rooms = {path.relative_to(ROOT / "src" / "xlmr").parent for path in CODE if path.is_relative_to(ROOT / "src" / "xlmr")}
    assert [path for path in mirrored if path.parent not in rooms | {Path("fuzz")}] == []


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("errors.py", "import xlmr.cli", "xlmr.errors is not allowed to import xlmr.cli"),
        ("tasks/masks.py", "import torch", "xlmr.tasks.masks -> torch"),
        ("cellar.py", "", "cellar"),
    ],
    ids=["upwards", "heavy", "unplaced"],
)
def test_the_floors_hold(tmp_path, module, line, complaint):
    """The contracts in pyproject.toml can fail: a room that imports upwards, a heavy import in the core, a room nobody placed."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("small", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / "xlmr" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    env = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run([lint, "--no-cache"], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert complaint in " ".join(done.stdout.split())
