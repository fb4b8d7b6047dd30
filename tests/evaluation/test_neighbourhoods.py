import numpy as np
import pytest
from speakers import sentences

import xlmr
from xlmr.evaluation import neighbourhoods


def test_languages_that_lie_apart_are_pure_and_mixed_ones_are_not():
    dice = np.random.default_rng(0)
    kinds, texts = np.repeat(["a", "b"], 60), np.arange(120) // 3
    apart = dice.normal(size=(120, 8)) + np.where(kinds == "a", 20.0, 0.0)[:, None] * np.eye(8)[0] - np.eye(8)[1] * 20
    assert neighbourhoods._purity(apart, kinds, texts) == 1
    assert neighbourhoods._purity(dice.normal(size=(120, 8)), kinds, texts) == pytest.approx(0.5, abs=0.1)


def test_tokens_of_the_same_text_are_no_neighbours():
    states = np.repeat(np.eye(30), 3, axis=0) + 1e-3
    kinds, texts = np.repeat(np.arange(30).astype(str), 3), np.repeat(np.arange(30), 3)
    assert neighbourhoods._purity(states, kinds, texts) == 0


def test_every_layer_has_a_purity(tiny):
    found = neighbourhoods.purity(xlmr.load(tiny, threads=1), sentences(), range(3), most=300)
    assert [*found] == [0, 1, 2]
    assert all(0 < share < 1 for share in found.values())
    assert found == neighbourhoods.purity(xlmr.load(tiny, threads=1), sentences(), range(3), most=300)
