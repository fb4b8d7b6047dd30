from dataclasses import replace
from typing import Any

import pytest

from xlmr.errors import BadRecipe
from xlmr.training.finetuning.settings import CHOICES, RANGES, Settings, check

WHOLE = Settings(task="classify")


def test_what_is_not_chosen_can_be() -> None:
    for task in CHOICES["task"]:
        check(Settings(task=task))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("epochs", float("nan")), ("epochs", float("inf")), ("batch", 0), ("accumulate", -1), ("rate", 0.0), ("rate", -1.0),
        ("head_rate", 0.0), ("by_layer", 0.0), ("by_layer", 1.5), ("warmup", 1.01), ("decay", -0.1), ("clip", 0.0), ("dropout", 1.0),
        ("lora", -1), ("temperature", 0.0), ("patience", -1), ("measurements", 0), ("seed", -1), ("longest", 7), ("stride", -1),
        ("span", 0), ("task", "chat"), ("precision", "fp16"), ("keep", "worst"), ("words", "last"), ("problem", "single"),
        ("epochs", 1e7), ("seed", 2**63),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_said_with_what_can(name: str, value: Any) -> None:
    with pytest.raises(BadRecipe, match=rf"^{name} is .*wanted"):
        check(replace(WHOLE, **{name: value}))


def test_every_number_has_a_range() -> None:
    numbers = {name for name, of in Settings.__annotations__.items() if "int" in of or "float" in of}
    assert numbers == {*RANGES}


def test_contradictions_are_said() -> None:
    with pytest.raises(BadRecipe, match="beside lora"):
        check(replace(WHOLE, lora=4, freeze="all"))
    with pytest.raises(BadRecipe, match="means of adapters' factors"):
        check(replace(WHOLE, lora=4, keep="mean"))
    check(replace(WHOLE, lora=4))
    with pytest.raises(BadRecipe, match="balanced weights are for one label of several"):
        check(replace(WHOLE, balanced=True, problem="regression"))


def test_identity_tells_settings_and_data_apart() -> None:
    assert WHOLE.identity(["a"]) == replace(WHOLE).identity(["a"])
    assert len({WHOLE.identity(["a"]), WHOLE.identity(["b"]), replace(WHOLE, keep="mean").identity(["a"])}) == 3
