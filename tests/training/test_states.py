from pathlib import Path

import pytest
import torch

from xlmr.errors import BadRecipe
from xlmr.training import states


def world() -> tuple[torch.nn.Module, list[torch.optim.Optimizer]]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 2))
    adam = torch.optim.AdamW([model[1].weight, model[1].bias], lr=0.01)
    muon = torch.optim.Muon([model[0].weight], lr=0.01)
    return model, [adam, muon]


def step(model: torch.nn.Module, optimisers: list[torch.optim.Optimizer], seed: int) -> None:
    torch.manual_seed(seed)
    model(torch.randn(3, 4)).square().sum().backward()
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()


def test_a_loaded_state_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers, {"step": 1})
    step(model, optimisers, 2)
    other, others = world()
    states.load(tmp_path / "state", other, others)
    step(other, others, 2)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert states.read_progress(tmp_path / "state") == {"step": 1}


@pytest.mark.parametrize("name", states.FILES)
def test_a_missing_part_is_an_error(tmp_path: Path, name: str) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers, {})
    (tmp_path / "state" / name).unlink()
    with pytest.raises(BadRecipe, match=f"{name} is missing"):
        states.read_progress(tmp_path / "state")


def test_a_kill_between_two_renames_leaves_a_state(tmp_path: Path) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers, {"step": 1})
    (tmp_path / "state").rename(tmp_path / "state.old")
    found = states.find(tmp_path / "state")
    assert found is not None
    assert states.read_progress(found)["step"] == 1


def test_a_kill_while_writing_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers, {"step": 1})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(states, "_flush", killed)
    with pytest.raises(KeyboardInterrupt):
        states.save(tmp_path / "state", model, optimisers, {"step": 2})
    assert states.read_progress(tmp_path / "state")["step"] == 1


def test_the_state_of_another_model_is_refused(tmp_path: Path) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers, {})
    wider = torch.nn.Sequential(torch.nn.Linear(4, 5, bias=False), torch.nn.Linear(5, 2))
    with pytest.raises(BadRecipe, match="does not fit"):
        states.load(tmp_path / "state", wider, [])


def test_an_optimiser_that_lost_numbers_is_refused(tmp_path: Path) -> None:
    model, optimisers = world()
    step(model, optimisers, 1)
    states.save(tmp_path / "state", model, optimisers[:1], {})
    other, others = world()
    with pytest.raises(BadRecipe, match="optimiser 1 has 1 parameters, the file 0"):
        states.load(tmp_path / "state", other, others)
