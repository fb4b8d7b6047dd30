"""What a run survives: numbers that are none, a full disk, a kill at any moment."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pretraining import interrupted, losses

from xlmr import checkpoint
from xlmr.errors import BadRecipe
from xlmr.training import loop, pretraining, states
from xlmr.training.pretraining import pretrain

Recipe = Callable[..., Path]


def test_a_gradient_that_is_never_finite_stops_the_run(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SKIPS", 3)
    real = pretraining.Pretraining.loss
    monkeypatch.setattr(pretraining.Pretraining, "loss", lambda self, part, processes: tuple_nan(real(self, part, processes)))
    with pytest.raises(BadRecipe, match="step 2: the gradient was not finite 3 times in a row"):
        pretrain(write_recipe(tmp_path / "nan"))


def test_a_gradient_that_is_not_finite_once_costs_its_step_alone(
    write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = pretraining.Pretraining.loss, []

    def once(self: Any, part: Any, processes: int) -> Any:
        asked.append(1)
        result = real(self, part, processes)
        return tuple_nan(result) if len(asked) == 3 else result

    monkeypatch.setattr(pretraining.Pretraining, "loss", once)
    made = pretrain(write_recipe(tmp_path / "nan"))
    assert [line.get("lost", 0) for line in losses(tmp_path / "nan")] == [0, 0, *[1] * 9]  # of step 3 no loss is told
    assert all(np.isfinite(of).all() for of in checkpoint.weights(checkpoint.open(made)).values())


def test_a_full_disk_stops_the_run_and_loses_no_state(
    straight: Path, write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))
    interrupted(monkeypatch, recipe, "_log", 5)
    with largest_file(20_000), pytest.raises(OSError, match="the last state is whole: make room, and go on with --resume") as raised:
        pretrain(recipe, resume=True)
    assert raised.value.filename == str(tmp_path / "run" / "state")
    assert not (tmp_path / "run" / "state.partial").exists()
    pretrain(recipe, resume=True)
    assert losses(tmp_path / "run") == losses(straight)


def test_a_disk_that_is_full_at_the_end_is_named_with_what_to_do(write_recipe: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "run")
    made = pretrain(recipe)
    before = (made / "model.safetensors").read_bytes()
    shutil.rmtree(made)
    with largest_file(20_000), pytest.raises(OSError, match="the last state is whole: make room, and go on with --resume") as raised:
        pretrain(recipe, resume=True)
    assert raised.value.filename == str(made)
    assert not made.exists()
    assert (pretrain(recipe, resume=True) / "model.safetensors").read_bytes() == before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond so many bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_text_of_a_run_that_is_cut_short_is_named(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))
    interrupted(monkeypatch, recipe, "_log", 3)
    text = tmp_path / "run" / "data" / "corpus.safetensors"
    text.write_bytes(text.read_bytes()[:-1_000])
    with pytest.raises(BadRecipe, match=r"corpus\.safetensors: not readable as the text of a run"):
        pretrain(recipe, resume=True)


@pytest.mark.slow
def test_a_process_killed_at_any_moment_resumes_exactly(write_recipe: Recipe, tmp_path: Path) -> None:
    whole, recipe = (write_recipe(tmp_path / name) for name in ("whole", "killed"))
    for path in (whole, recipe):
        path.write_text(path.read_text().replace("tokens = 12288", "tokens = 131072"))
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))  # it is as often writing as learning
    pretrain(whole)
    rng, lives = np.random.default_rng(0), 0
    while not (tmp_path / "killed" / "model").exists():
        lives += 1
        live_for_a_while(recipe, tmp_path / "killed", float(rng.random()) / 2)
    assert lives > 3
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def live_for_a_while(recipe: Path, folder: Path, seconds: float) -> None:
    """Run in a process of its own, which is killed so many seconds after its first step."""
    resume = ["--resume"] * (states.find(folder / "state") is not None)
    process = subprocess.Popen([sys.executable, "-m", "xlmr", "pretrain", str(recipe), *resume], stderr=subprocess.DEVNULL)
    path = folder / "log.jsonl"
    before = path.stat().st_mtime if path.exists() else 0.0
    while process.poll() is None and not (path.exists() and path.stat().st_mtime > before):
        time.sleep(0.01)
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tuple_nan(result: Any) -> Any:
    loss, addends = result
    return loss * float("nan"), addends


def test_a_kill_while_the_log_is_cut_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')

    def killed(self: Path, text: str, **_: str) -> None:
        self.open("w").close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            loop._cut_log(path, 1)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"st'
    loop._cut_log(path, 1)
    assert path.read_text() == '{"step": 1}\n'
