from pathlib import Path

import pytest
import torch

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadInput
from xlmr.runtimes.torch import load
from xlmr.training.finetuning import growth
from xlmr.training.finetuning.lessons import Learner, Lengths
from xlmr.training.finetuning.tags import Tagging


@pytest.fixture
def learner(tiny: Path) -> Learner:
    opened = checkpoint.open(tiny)
    lesson = Tagging(tokenizers.open(tiny), Lengths(64, 64), ["O", "B-X", "I-X"], chain=True)
    return Learner(load(opened), lesson.head(opened.config, 0.0), lesson)


def rates(learner: Learner, **chosen: float) -> dict[str, tuple[float, float]]:
    optimiser = growth.optimiser(learner, **({"rate": 1e-3, "decay": 0.1, "by_layer": 0.5, "head": 2e-3} | chosen))
    held = {id(of): (group["lr"], group["weight_decay"]) for group in optimiser.param_groups for of in group["params"]}
    return {name: held[id(of)] for name, of in growth.learning(learner)}


def test_each_layer_learns_slower_than_the_one_above_and_the_embeddings_slowest(learner: Learner) -> None:
    found = {name: rate for name, (rate, _) in rates(learner).items()}
    assert found["encoder.layers.1.query.weight"] == 1e-3
    assert found["encoder.layers.0.query.weight"] == found["encoder.layers.0.grow.bias"] == 5e-4
    assert found["encoder.embeddings.words.weight"] == found["encoder.embeddings.norm.bias"] == 2.5e-4
    assert found["head.out.weight"] == 2e-3
    assert found["head.chain.transitions"] == growth.LEAST["head.chain."]


def test_every_parameter_that_learns_is_in_one_group_and_biases_and_norms_do_not_decay(learner: Learner) -> None:
    found = rates(learner)
    assert {*found} == {name for name, _ in learner.named_parameters()}
    assert {name for name, (_, decay) in found.items() if not decay} == {name for name in found if "norm." in name or name.endswith("bias")}


@pytest.mark.parametrize(
    ("frozen", "layers", "embeddings"), [("0", 0, False), ("embeddings", 0, True), ("1", 1, True), ("2", 2, True), ("all", 2, True)]
)
def test_frozen_are_the_first_layers_and_what_is_below_them(learner: Learner, frozen: str, layers: int, embeddings: bool) -> None:
    growth.freeze(learner.encoder, frozen)
    learning = {name for name, _ in growth.learning(learner)}
    for i in range(len(learner.encoder.layers)):
        assert any(name.startswith(f"encoder.layers.{i}.") for name in learning) is (i >= layers)
    assert any("embeddings" in name for name in learning) is not embeddings
    assert any(name.startswith("head.") for name in learning)


@pytest.mark.parametrize("frozen", ["3", "-1", "some", "", "1.0", "²"])
def test_what_cannot_be_frozen_is_said_with_what_can(learner: Learner, frozen: str) -> None:
    with pytest.raises(BadInput, match=r"wanted 'all', 'embeddings', or how many of the 2 layers"):
        growth.freeze(learner.encoder, frozen)


def test_a_wider_model_learns_slower() -> None:
    assert [growth.rate(width) for width in (256, 768, 1024)] == pytest.approx([4e-4, 4.44e-5, 2.5e-5], rel=1e-2)


def test_the_optimiser_moves_only_what_learns(learner: Learner) -> None:
    growth.freeze(learner.encoder, "1")
    optimiser = growth.optimiser(learner, 1e-3, decay=0.1, by_layer=1.0, head=1e-3)
    before = {name: of.detach().clone() for name, of in learner.named_parameters()}
    for of in learner.parameters():
        of.grad = torch.ones_like(of) if of.requires_grad else None
    optimiser.step()
    learning = {name for name, _ in growth.learning(learner)}
    assert {name for name, of in learner.named_parameters() if not torch.equal(of, before[name])} == learning
