import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xlmr.config import Config
from xlmr.errors import BadRecipe
from xlmr.runtimes.torch import Encoder, build, pack
from xlmr.training.growing import grow
from xlmr.training.recipes import Growth

CONFIG = Config(vocabulary=50, width=16, layers=2, heads=2, inner=32, positions=40)
TEXT = pack([np.array([0, 7, 9, 11, 2]), np.array([0, 5, 2])], CONFIG)[0]


def small() -> Encoder:
    torch.manual_seed(0)
    return build(CONFIG).eval()


def test_more_units_change_no_answer_and_learn() -> None:
    before = small()
    after = grow(before, Growth(inner=16), seed=1).eval()
    assert after.config.inner == 48
    torch.testing.assert_close(after(TEXT)[0], before(TEXT)[0])
    after(TEXT)[0][:, 0].sum().backward()
    assert after.layers[0].shrink.weight.grad[:, 32:].abs().sum() > 0


def test_layers_on_top_are_copies_of_the_last() -> None:
    before = small()
    after = grow(before, Growth(layers=2), seed=1).eval()
    states, (third, last) = before(TEXT)[0], after(TEXT, (3, 4))
    torch.testing.assert_close(after(TEXT, (2,))[0], states)
    torch.testing.assert_close(third, before.layers[1](states, TEXT.buckets))
    torch.testing.assert_close(last, before.layers[1](third, TEXT.buckets))
    torch.testing.assert_close(after.logits(states), before.logits(states))


@given(st.sampled_from([8, 16, 24]), st.integers(0, 2))
def test_a_wider_model_keeps_its_weights_and_learns_with_all_of_them(width: int, layers: int) -> None:
    before = small()
    after = grow(before, Growth(width=width, layers=layers), seed=1).eval()
    assert (after.config.width, after.config.head_width, after.config.heads) == (16 + width, 8, 2 + width // 8)
    old, new = before.state_dict(), after.state_dict()
    for name, of in old.items():
        kept = new[name][tuple(slice(size) for size in of.shape)]
        torch.testing.assert_close(kept, of * (16 / (16 + width)) ** 0.5 if name.endswith("norm.weight") else of)
    after.logits(after(TEXT)[0]).square().mean().backward()
    assert all(of.grad[..., 16:].abs().sum() > 0 for of in (after.embeddings.words.weight, after.layers[0].grow.weight))


def test_new_columns_hardly_change_what_is_predicted() -> None:
    """With norms whose means are 0, as those of trained models nearly are, only the table's new columns are heard."""
    before = small()
    after = grow(before, Growth(width=16), seed=1).eval()
    a, b = (of.logits(of(TEXT)[0]).softmax(-1) for of in (before, after))
    fresh = build(after.config).eval()
    assert (a - b).abs().sum() < 0.5 * (a - fresh.logits(fresh(TEXT)[0]).softmax(-1)).abs().sum()


def test_columns_are_whole_heads() -> None:
    with pytest.raises(BadRecipe, match=r"\[growth\] width is 5, wanted a multiple of 8"):
        grow(small(), Growth(width=5), seed=1)


def test_no_growth_is_the_same_model() -> None:
    before = small()
    assert grow(before, Growth(), seed=1) is before
