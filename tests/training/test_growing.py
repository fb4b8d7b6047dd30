import numpy as np
import torch

from xlmr.config import Config
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


def test_no_growth_is_the_same_model() -> None:
    before = small()
    assert grow(before, Growth(), seed=1) is before
