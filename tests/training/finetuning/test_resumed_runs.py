"""Runs that were killed go on as if they had not been, wherever it happened; and what cannot go on is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import log

from xlmr import checkpoint
from xlmr.errors import BadInput, BadRecipe
from xlmr.training.finetuning import runs
from xlmr.training.finetuning.runs import Tuned

Made = Callable[..., Tuned]
Tune = Callable[..., Tuned]
Write = Callable[[str, str, int], str]
FIELD = {"chain": True, "words": "mean"}


def same(a: Path, b: Path) -> bool:
    """Whether two folders hold the same weights."""
    one, other = (checkpoint.weights(checkpoint.open(folder)) for folder in (a, b))
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("task", "chosen", "name", "calls"),
    [
        ("classify", {"keep": "best", "dropout": 0.1}, "_log", 4),
        ("tag", {"keep": "mean", **FIELD}, "_save", 4),
        ("answer", {"keep": "last"}, "_step", 4),
        ("tag", {"keep": "mean"}, "_log", 6),
        ("classify", {"keep": "best", "patience": 2, "epochs": 3, "measurements": 9, "rate": 1e-9}, "_step", 5),
        ("tag", {"lora": 4, "dropout": 0.1}, "_save", 4),
    ],
    ids=["best", "mean, between measurement and state", "last", "mean, at the end", "early end", "adapters"],
)
def test_a_killed_run_resumes_exactly(
    tune: Tune, tmp_path: Path, killed: Callable[..., None], task: str, chosen: dict[str, Any], name: str, calls: int
) -> None:
    whole = tune(tmp_path / "whole", task, **chosen)
    killed(lambda: tune(tmp_path / "killed", task, **chosen), name, calls)
    assert (tmp_path / "killed" / runs.RUN / "state").exists()
    again = tune(tmp_path / "killed", task, resume=True, **chosen)
    assert log(again.folder) == log(whole.folder)
    assert (again.scores, again.step, again.mean) == (whole.scores, whole.step, whole.mean)
    for path in whole.folder.glob("*.safetensors"):
        assert path.read_bytes() == (again.folder / path.name).read_bytes()


@pytest.mark.parametrize("at", ["_save", "_report"], ids=["before the model", "before the report"])
def test_a_run_that_was_killed_while_it_was_written_down_resumes(
    tune: Tune, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runs.FineTuning, at, die)
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "model", "tag")
    assert not (tmp_path / "model" / "config.json").exists()
    again = tune(tmp_path / "model", "tag", resume=True)
    assert log(again.folder) == log(made("tag").folder)
    assert same(again.folder, made("tag").folder)


def test_a_folder_that_was_left_between_two_files_resumes(tune: Tune, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = Path.replace, []

    def counted(path: Path, target: Path) -> Path:
        if path.parent.name == "model" and path.parent.parent.name == runs.RUN:
            seen.append(path.name)
            if len(seen) == 3:
                raise KeyboardInterrupt
        return whole(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", counted)
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "model", "tag")
    with pytest.raises(BadInput, match="a run lies there too: --resume it"):
        tune(tmp_path / "model", "tag")
    again = tune(tmp_path / "model", "tag", resume=True)
    assert {path.name for path in again.folder.iterdir()} == {path.name for path in made("tag").folder.iterdir()}
    assert again.scores == made("tag").scores


def test_a_run_ends_early_where_its_score_stays_and_has_kept_its_best(tune: Tune, tmp_path: Path) -> None:
    found = tune(tmp_path / "model", "classify", patience=2, epochs=10, measurements=10, rate=1e-9)
    measured = [line["step"] for line in log(found.folder) if "heldout" in line]
    assert measured == [6, 12, 18]
    assert (found.step, found.steps) == (6, 60)


def test_what_cannot_be_resumed_is_said(tune: Tune, write: Callable[..., str], tmp_path: Path, killed: Callable[..., None]) -> None:
    with pytest.raises(BadRecipe, match="no run to resume; begin one without --resume"):
        tune(tmp_path / "none", "classify", resume=True)
    killed(lambda: tune(tmp_path / "model", "classify"), "_log", 4)
    with pytest.raises(BadRecipe, match="holds an earlier run: resume it"):
        tune(tmp_path / "model", "classify")
    for changed in ({"seed": 2}, {"rate": 1e-3}, {"keep": "mean"}):
        with pytest.raises(BadRecipe, match="is of another recipe, or of other data"):
            tune(tmp_path / "model", "classify", resume=True, **changed)
    for name in ("train", "dev"):
        with pytest.raises(BadRecipe, match="is of another recipe, or of other data"):
            tune(tmp_path / "model", "classify", resume=True, **{name: [write("classify", "en", 48, 9)]})
    assert tune(tmp_path / "model", "classify", resume=True).steps == 6


def test_the_place_of_a_file_is_not_what_it_says(
    tune: Tune, write: Callable[..., str], tmp_path: Path, killed: Callable[..., None]
) -> None:
    killed(lambda: tune(tmp_path / "model", "classify"), "_log", 4)
    moved = tmp_path / "moved.tsv"
    moved.write_bytes(Path(write("classify", "en", 48).removeprefix("en=")).read_bytes())
    assert tune(tmp_path / "model", "classify", train=[f"en={moved}"], resume=True).steps == 6
