"""`xlmr compress distil`: a student, its comparison with the teacher, and a run that goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import valid
from lectures import sources

from xlmr import checkpoint

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("spoken")
    return [part for source in sources(folder) for part in ("--data", source)]


def distil(run, model: Path, output: Path, *options: object):
    quick = ("--layers", 1, "--steps", 4, "--batch", 128, "--longest", 32, "--sentences", 1)
    return run("compress", "distil", "--model", model, "--output", output, *quick, *options)


def test_a_student_is_made_and_compared(run, tiny: Path, spoken: list[str], tmp_path: Path) -> None:
    done = distil(run, tiny, tmp_path / "out", *spoken, "--json")
    assert done.code == 0
    (found,) = done.lines
    assert valid("compress.json", found)
    assert found["method"] == "distil"
    assert found["facts"]["layers"] == [0]
    assert found["facts"]["after"]["loss"] < found["facts"]["before"]["loss"]
    assert found["facts"]["settings"]["steps"] == 4
    assert "state" not in found["options"]
    assert checkpoint.open(tmp_path / "out").config.layers == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # the run's state is gone


def test_a_student_that_is_not_good_enough_leaves_its_run(run, tiny: Path, spoken: list[str], tmp_path: Path) -> None:
    done = distil(run, tiny, tmp_path / "out", *spoken, "--min-agreement", 1)
    assert done.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.run"]
    assert "holds an earlier run" in distil(run, tiny, tmp_path / "out", *spoken).err
    again = distil(run, tiny, tmp_path / "out", *spoken, "--resume", "--json")
    assert again.code == 0
    kept = json.loads((tmp_path / "out" / "compression.json").read_text(encoding="utf-8"))["steps"][-1]
    assert kept["facts"]["after"] == again.lines[0]["facts"]["after"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_that_is_stopped_says_how_to_go_on(
    run, tiny: Path, spoken: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xlmr.compression import comparison

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "compare", stopped)
    done = distil(run, tiny, tmp_path / "out", *spoken)
    assert done.code != 0
    assert f"the same command with --resume goes on from {tmp_path / 'out.run'}" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.run"]


def test_a_folder_of_ones_own_loses_nothing_else(run, tiny: Path, spoken: list[str], tmp_path: Path) -> None:
    state = tmp_path / "mine"
    state.mkdir()
    (state / "diary.txt").write_text("dear diary", encoding="utf-8")
    assert distil(run, tiny, tmp_path / "out", *spoken, "--state", state).code == 0
    assert [path.name for path in state.iterdir()] == ["diary.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--data"),
        (("--data", "nowhere.txt"), "cannot be read"),
        (("--data", "xx yy=nowhere.txt"), "not known"),
    ],
)
def test_without_texts_that_can_be_read_nothing_is_made(run, tiny: Path, options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = distil(run, tiny, tmp_path / "out", *options)
    assert done.code in (1, 2)
    assert said in done.err
    assert not [*tmp_path.iterdir()]


def test_as_many_layers_are_no_fewer(run, tiny: Path, spoken: list[str], tmp_path: Path) -> None:
    done = distil(run, tiny, tmp_path / "out", *spoken, "--layers", 2)
    assert done.code == 1
    assert "has 2 layers" in done.err
    assert not [*tmp_path.iterdir()]
