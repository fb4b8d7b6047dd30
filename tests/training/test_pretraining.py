"""The whole way on the made-up corpus: made, killed, resumed, shared between processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from calibrated import calibrate
from safetensors import safe_open
from tales import write

from xlmr import checkpoint
from xlmr.errors import BadRecipe
from xlmr.training import corpus, loop, pretraining, recipes
from xlmr.training.pretraining import pretrain

Recipe = Callable[..., Path]
FREE = ("seconds",)


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in FREE} for line in lines]


def losses(folder: Path) -> list[dict[str, Any]]:
    return [line for line in log(folder) if "masked" in line]


def interrupted(monkeypatch: pytest.MonkeyPatch, recipe: Path, name: str, calls: int) -> None:
    """Run until a function of the loop is called for the n-th time."""
    whole, seen = getattr(loop, name), []

    def counted(*args: Any) -> Any:
        seen.append(1)
        if len(seen) == calls:
            raise KeyboardInterrupt
        return whole(*args)

    with monkeypatch.context() as patched:
        patched.setattr(loop, name, counted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(recipe)


def test_a_run_makes_a_checkpoint_that_loads(straight: Path) -> None:
    made = checkpoint.open(straight / "model")
    assert made.has_mlm_head
    assert made.config.vocabulary == 300
    assert all(np.isfinite(of).all() for of in checkpoint.weights(made).values())
    assert (straight / "start" / "model.safetensors").exists()


def test_a_run_learns(straight: Path) -> None:
    heldout = [line["heldout"]["loss"] for line in log(straight) if "heldout" in line]
    assert len(heldout) == 2
    assert heldout[-1] < heldout[0]
    assert set(next(line for line in log(straight) if "heldout" in line)["heldout"]["languages"]) == {"en", "de", "el", "zh"}


@pytest.mark.parametrize("sections", [{}, {"sizes": "dropout = 0.1", "optimiser": "muon = 1e-3"}], ids=["plain", "dropout and muon"])
def test_a_killed_run_resumes_exactly(
    sections: dict[str, str], write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(write_recipe(tmp_path / "whole", **sections))
    recipe = write_recipe(tmp_path / "killed", **sections)
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))  # a state after each step
    interrupted(monkeypatch, recipe, "_log", 6)
    pretrain(recipe, resume=True)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
    a, b = (checkpoint.weights(checkpoint.open(tmp_path / name / "model")) for name in ("killed", "whole"))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_finished_run_can_be_made_longer(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    pretrain(write_recipe(short, optimiser="decay = 0.5\nfull_softmax = 0.0"))
    longer = write_recipe(short, optimiser="decay = 0.5\nfull_softmax = 0.0")
    longer.write_text(longer.read_text().replace("tokens = 12288", "tokens = 16384"))
    pretrain(longer, resume=True)
    at_once = write_recipe(long, optimiser="decay = 0.5\nfull_softmax = 0.0")
    at_once.write_text(at_once.read_text().replace("tokens = 12288", "tokens = 16384"))
    pretrain(at_once)
    assert losses(short) == losses(long)


def test_what_is_measured_is_kept_on_request_and_that_changes_nothing(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "kept")
    recipe.write_text("keep = true\n" + recipe.read_text())
    pretrain(recipe)
    assert log(tmp_path / "kept") == log(straight)
    steps = [line["step"] for line in log(straight) if "heldout" in line]
    kept = sorted((tmp_path / "kept" / "kept").iterdir())
    assert [int(path.name) for path in kept] == steps
    last, made = (checkpoint.weights(checkpoint.open(path)) for path in (kept[-1], straight / "model"))
    for name, weight in made.items():
        np.testing.assert_allclose(last[name], weight, rtol=1e-3, atol=1e-6)


def test_accumulation_changes_no_masked_loss(write_recipe: Recipe, tmp_path: Path, straight: Path) -> None:
    pretrain(write_recipe(tmp_path / "parts", objective="contrast = 0.0", optimiser="accumulate = 2"))
    pretrain(write_recipe(tmp_path / "whole", objective="contrast = 0.0"))
    for a, b in zip(losses(tmp_path / "parts"), losses(tmp_path / "whole"), strict=True):
        assert a["masked"] == pytest.approx(b["masked"], abs=1e-4)


@pytest.fixture
def another_precision() -> Iterator[None]:
    """accelerate keeps one precision for a whole process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("another_precision")
def test_bf16_learns_what_fp32_does_and_keeps_weights_in_fp32(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    made = pretrain(write_recipe(tmp_path / "half", top='precision = "bf16"'))
    found, wanted = losses(tmp_path / "half"), losses(straight)
    assert [line["masked"] for line in found] == pytest.approx([line["masked"] for line in wanted], abs=0.05)
    assert [line["contrast"] for line in found] == pytest.approx([line["contrast"] for line in wanted], abs=0.05)
    assert found != wanted
    with safe_open(made / "model.safetensors", "np") as stored:
        assert {stored.get_slice(name).get_dtype() for name in stored.keys()} == {"F32"}  # noqa: SIM118


def test_accumulation_is_the_recipes_alone(straight: Path, write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")  # as a user's settings for `accelerate launch` may say
    pretrain(write_recipe(tmp_path / "run"))
    assert losses(tmp_path / "run") == losses(straight)


def test_two_processes_give_the_losses_of_one(write_recipe: Recipe, tmp_path: Path) -> None:
    """From an empty folder: vocabulary and static start too are made once, while the other process waits."""
    (tmp_path / "run.py").write_text(TWO.format(recipe=str(write_recipe(tmp_path / "two"))))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(tmp_path / "run.py")]
    source = str(Path(checkpoint.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": source, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run(launch, check=True, timeout=300, env=environment)
    for name in ("data", "static", "start"):  # what rounding decides in them is the same then
        shutil.copytree(tmp_path / "two" / name, tmp_path / "one" / name)
    pretrain(write_recipe(tmp_path / "one"))
    assert len(losses(tmp_path / "two")) == len(losses(tmp_path / "one")) == 12
    for a, b in zip(losses(tmp_path / "two"), losses(tmp_path / "one"), strict=True):
        assert a["masked"] == pytest.approx(b["masked"], abs=1e-5)
        assert a["contrast"] == pytest.approx(b["contrast"], abs=1e-5)


TWO = """
from pathlib import Path
from accelerate import PartialState
from xlmr.training.pretraining import pretrain

pretrain(Path({recipe!r}))
assert PartialState().num_processes == 2
"""


def test_training_goes_on_from_a_checkpoint(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    made = pretrain(write_recipe(tmp_path / "more"), start=str(straight / "model"))
    before = next(line for line in log(tmp_path / "more") if "masked" in line)["masked"]
    assert before < losses(straight)[0]["masked"]
    assert (made / "tokenizer.json").read_bytes() == (straight / "data" / "tokenizer.json").read_bytes()


def test_a_run_goes_on_from_a_model_and_is_taught_by_its_calibration(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    start = calibrate(Path(shutil.copytree(straight / "model", tmp_path / "start")))
    lines = f'model = "{start.as_posix()}"\ncolumns = 4'
    recipe = write_recipe(tmp_path / "run", top=f"[teacher]\n{lines}\n", objective="contrast = 0.0")
    pretrain(recipe, start=str(start))
    told = [line["told"] for line in losses(tmp_path / "run")]
    assert told[-1] < told[0]
    assert [line["contrast"] for line in losses(tmp_path / "run")] == [0.0] * len(told)
    calibrate(start, seed=6)
    with pytest.raises(BadRecipe, match="is another teacher than the run has had"):
        pretrain(recipe, start=str(start), resume=True)


def test_a_run_goes_on_from_a_model_made_larger(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    start = str(straight / "model")
    made = pretrain(write_recipe(tmp_path / "run", top="[growth]\nlayers = 1\ninner = 32"), start=start)
    assert (checkpoint.open(made).config.layers, checkpoint.open(made).config.inner) == (3, 96)
    with pytest.raises(BadRecipe, match="start was made by another recipe: growth changed"):
        pretrain(write_recipe(tmp_path / "run", top="[growth]\nlayers = 2\ninner = 32"), start=start)
    with pytest.raises(BadRecipe, match=r"\[growth\] is for a run that goes on from a model: name one \(--from\)"):
        pretrain(write_recipe(tmp_path / "alone", top="[growth]\nlayers = 1"))


def test_a_recipe_that_grows_nothing_is_the_one_it_was_before_there_was_growth() -> None:
    """The number is of a version without `[growth]`: a run that began then goes on."""
    assert (
        pretraining.plan(recipes.Recipe(output="anywhere")).identity == "e362ce2e5859b4fabfd4ccc2c21673f4e20097def99235362c15ee07fa3b54ed"
    )


def test_a_second_run_does_not_overwrite_the_first(straight: Path, write_recipe: Recipe) -> None:
    with pytest.raises(BadRecipe, match="holds an earlier run: resume it"):
        pretrain(write_recipe(straight))


def test_a_resumed_run_needs_its_own_recipe(straight: Path, write_recipe: Recipe) -> None:
    with pytest.raises(BadRecipe, match="of another recipe"):
        pretrain(write_recipe(straight, optimiser="rate = 0.5"), resume=True)


def test_data_of_another_recipe_is_not_used(straight: Path, write_recipe: Recipe) -> None:
    with pytest.raises(BadRecipe, match="made by another recipe: data changed"):
        pretrain(write_recipe(straight, data="cap = 17"))


def test_nothing_to_resume_is_said(write_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="no run to resume"):
        pretrain(write_recipe(tmp_path / "fresh"), resume=True)


def test_text_without_translations_starts_at_random_and_learns(write_recipe: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "alone", data='languages = ["de"]')
    recipe.write_text(recipe.read_text().replace("size = 300", "size = 40"))
    made = pretrain(recipe)
    assert checkpoint.open(made).has_mlm_head
    assert all(line["contrast"] == 0 for line in losses(tmp_path / "alone"))


def test_a_run_of_another_text_is_not_resumed(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))
    interrupted(monkeypatch, recipe, "_log", 3)
    text = corpus.load(tmp_path / "run" / "data" / "corpus.safetensors")
    corpus.save(replace(text, tokens=text.tokens[::-1].copy()), tmp_path / "run" / "data" / "corpus.safetensors")
    with pytest.raises(BadRecipe, match="not the text that the run has read"):
        pretrain(recipe, resume=True)


def test_resuming_makes_nothing_anew(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))
    interrupted(monkeypatch, recipe, "_log", 3)
    shutil.rmtree(tmp_path / "run" / "data")
    with pytest.raises(BadRecipe, match="data: not there, so there is no run to resume"):
        pretrain(recipe, resume=True)
    assert not (tmp_path / "run" / "data").exists()


def test_a_vocabulary_that_cannot_be_is_told(write_recipe: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("size = 300", "size = 200000"))
    with pytest.raises(BadRecipe, match=r"\[vocabulary\] size is 200000: .*[Vv]ocabulary"):
        pretrain(recipe)
    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "layer = 3"}, r"\[objective\] layer is 3, wanted -3 to 2"),
        ({"neighbours": "positions = 1"}, r"\[neighbours\] positions is 1 and a head 16 wide"),
    ],
)
def test_what_cannot_be_learnt_is_told(write_recipe: Recipe, tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        pretrain(write_recipe(tmp_path / "run", **changes))
    assert not (tmp_path / "run" / "start").exists()


def test_a_lexicon_alone_is_no_text(write_recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "text" / "parallel" / "lexicon"
    write(folder / "en.tsv.xz", ["1\tcat", "2\tdog"])
    recipe = write_recipe(tmp_path / "run")
    body = re.sub(r"folder = .*", f'folder = "{(tmp_path / "text").as_posix()}"', recipe.read_text())
    recipe.write_text(body)
    with pytest.raises(BadRecipe, match="found words and phrases alone"):
        pretrain(recipe)


def test_what_was_made_of_other_vectors_is_not_used(straight: Path, write_recipe: Recipe, tmp_path: Path) -> None:
    shutil.copytree(straight / "data", tmp_path / "data")
    shutil.copytree(straight / "static", tmp_path / "static")
    with pytest.raises(BadRecipe, match="static was made by another recipe: static changed"):
        pretrain(write_recipe(tmp_path, static="power = 0.7"))


def test_what_a_run_begins_with_is_kept(straight: Path) -> None:
    static, start = (checkpoint.weights(checkpoint.open(straight / name)) for name in ("static", "start"))
    assert not np.array_equal(static["embeddings.words.weight"], start["embeddings.words.weight"])
    assert not start["embeddings.words.weight"][:, -8:].any()  # the positions' columns


def test_a_run_is_not_made_shorter_than_it_has_become(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("minutes = 60", "minutes = 0"))
    interrupted(monkeypatch, recipe, "_log", 8)
    recipe.write_text(recipe.read_text().replace("tokens = 12288", "tokens = 8192"))
    with pytest.raises(BadRecipe, match=r"is at step \d+, and the shorter run's rate would fall from step 6 on; wanted more tokens"):
        pretrain(recipe, resume=True)


def test_a_trunk_that_was_not_written_is_written_on_resuming(write_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(tmp_path / "run", optimiser="decay = 0.5")
    interrupted(monkeypatch, recipe, "_keep_trunk", 1)
    assert not (tmp_path / "run" / "trunk").exists()
    pretrain(recipe, resume=True)
    assert json.loads((tmp_path / "run" / "trunk" / "state.json").read_text())["step"] == 6


def test_a_run_made_longer_keeps_its_trunk(write_recipe: Recipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "run", optimiser="decay = 0.5\nfull_softmax = 0.0")
    text = recipe.read_text()
    for steps in (13, 14):  # the rate of both falls from step 7 on
        recipe.write_text(text.replace("tokens = 12288", f"tokens = {1024 * steps}"))
        pretrain(recipe, resume=steps == 14)
        assert json.loads((tmp_path / "run" / "trunk" / "state.json").read_text())["step"] == 7
