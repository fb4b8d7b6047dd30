from pathlib import Path

import pytest
import torch
from torch import nn

from xlmr.errors import BadRecipe
from xlmr.training.finetuning.keeping import Keeper


def learner(value: float) -> nn.Module:
    made = nn.Linear(2, 1)
    nn.init.constant_(made.weight, value)
    nn.init.constant_(made.bias, 7.0)
    made.bias.requires_grad_(False)
    return made


def measured(keeper: Keeper, scores: list[float]) -> nn.Module:
    """Weights of 1, 2, 3 … with these scores; gives one with other weights, into which was put what is kept."""
    for step, score in enumerate(scores, start=1):
        keeper.measure(learner(step), score, 10 * step)
    found = learner(-1)
    keeper.restore(found)
    return found


@pytest.mark.parametrize(
    ("keep", "wanted", "step"), [("best", 2.0, 20), ("mean", 2.5, 40), ("last", -1.0, 40)], ids=["best", "mean", "last"]
)
def test_kept_are_the_best_the_mean_or_whatever_is_there(tmp_path: Path, keep: str, wanted: float, step: int) -> None:
    keeper = Keeper(tmp_path, keep)
    found = measured(keeper, [0.1, 0.5, 0.5, 0.2])
    torch.testing.assert_close(found.weight.detach(), torch.full((1, 2), wanted))
    assert (keeper.kept.step, keeper.kept.best, keeper.kept.since) == (step, 0.5, 2)  # of equals the first


def test_what_does_not_learn_is_neither_kept_nor_changed(tmp_path: Path) -> None:
    found = measured(Keeper(tmp_path, "best"), [0.1])
    assert found.bias.item() == 7.0
    found = learner(0)
    found.bias.data.fill_(3.0)
    keeper = Keeper(tmp_path / "other", "mean")
    keeper.measure(found, 0.0, 1)
    keeper.restore(found)
    assert found.bias.item() == 3.0


@pytest.mark.parametrize("keep", ["best", "mean"])
def test_a_keeper_that_goes_on_from_before_a_measurement_keeps_the_same(tmp_path: Path, keep: str) -> None:
    scores = [0.1, 0.2, 0.15, 0.4]
    wanted = measured(Keeper(tmp_path / "whole", keep), scores)
    for lost in range(1, len(scores)):
        killed = Keeper(tmp_path / f"killed{lost}", keep)
        for step, score in enumerate(scores[:lost], start=1):
            killed.measure(learner(step), score, 10 * step)
            if step < lost:
                state = (killed.kept.measured, killed.kept.best, killed.kept.since, killed.kept.file, killed.kept.step)
        again = Keeper(tmp_path / f"killed{lost}", keep)
        if lost > 1:
            again.kept = type(again.kept)(*state)
        for step, score in [*enumerate(scores, start=1)][lost - 1 :]:
            again.measure(learner(step), score, 10 * step)
        found = learner(-1)
        again.restore(found)
        torch.testing.assert_close(found.weight, wanted.weight, rtol=0, atol=0)


def test_no_more_than_two_files_lie_there(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "mean")
    for step in range(1, 6):
        keeper.measure(learner(step), 0.0, step)
        assert len([*tmp_path.iterdir()]) <= 2


def test_a_score_that_is_no_number_is_worse_than_any_and_the_first_of_all_is_kept(tmp_path: Path) -> None:
    nan = float("nan")
    keeper = Keeper(tmp_path, "best")
    found = measured(keeper, [nan, nan, -0.5, nan])
    assert found.weight.tolist() == [[3.0, 3.0]]
    assert (keeper.kept.best, keeper.kept.since) == (-0.5, 1)
    assert measured(Keeper(tmp_path / "none", "best"), [nan, nan]).weight.tolist() == [[1.0, 1.0]]


def test_a_process_that_does_not_write_counts_alike_and_leaves_no_file(tmp_path: Path) -> None:
    first, second = Keeper(tmp_path / "first", "mean"), Keeper(tmp_path / "second", "mean", writes=False)
    for step, score in enumerate([0.3, 0.1, 0.4], start=1):
        first.measure(learner(step), score, step)
        second.measure(learner(step), score, step)
    assert first.kept == second.kept
    assert not (tmp_path / "second").exists()


def test_what_was_kept_and_is_gone_is_said(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "best")
    keeper.measure(learner(1), 0.1, 1)
    (tmp_path / "1.safetensors").unlink()
    with pytest.raises(BadRecipe, match=r"1\.safetensors is missing: the run cannot go on exactly"):
        keeper.restore(learner(0))
