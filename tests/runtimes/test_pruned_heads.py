"""Heads whose numbers together are not the width: the model is that in which the heads that are gone say nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, runtimes
from xlmr.config import Config

FULL = Config(vocabulary=500, width=48, layers=3, heads=6, inner=96, positions=66)
KEPT = {3: ([0, 3, 4], [1, 2, 5], [0, 1, 2]), 5: ([0, 1, 3, 4, 5], [1, 2, 3, 4, 5], [0, 1, 2, 3, 4])}
"""Of each layer: so many that transformers finds the width divisible by them, and so many that it does not."""
IDS = np.array([[0, 5, 77, 310, 8, 2], [0, 9, 499, 2, 1, 1], [0, 2, 1, 1, 1, 1]])
PICKS = np.array([[0, 2], [1, 2], [2, 0]])
FRAMEWORK = {"onnx": "onnxruntime", "torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}


def cut(weights: dict[str, np.ndarray], kept: tuple[list[int], ...]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights of some heads alone, and all weights with zeros where what the others read goes out."""
    alone, silent = dict(weights), dict(weights)
    for i, heads in enumerate(kept):
        places = (np.array(heads)[:, None] * FULL.head_width + np.arange(FULL.head_width)).ravel()
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                alone[f"layers.{i}.{part}.{kind}"] = weights[f"layers.{i}.{part}.{kind}"][places]
        out = f"layers.{i}.attention_out.weight"
        alone[out] = weights[out][:, places]
        silent[out] = np.zeros_like(weights[out])
        silent[out][:, places] = alone[out]
    return alone, silent


@pytest.fixture(scope="module", params=KEPT)
def both(request: pytest.FixtureRequest, make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of a model of some heads, and of the whole one in which the others are silent."""
    whole, count = make_checkpoint(FULL, 3), request.param
    folders = [tmp_path_factory.mktemp("pruned") / name for name in ("alone", "silent")]
    alone, silent = cut(checkpoint.weights(checkpoint.open(whole)), KEPT[count])
    smaller = replace(FULL, heads=count, head_dim=FULL.head_width)
    for folder, config, weights in zip(folders, (smaller, FULL), (alone, silent), strict=True):
        checkpoint.save(folder, config, weights, tokenizer=whole / "tokenizer.json")
    return folders


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_every_runtime_answers_as_if_the_other_heads_were_silent(name: str, both: list[Path]) -> None:
    if find_spec(FRAMEWORK[name]) is None:
        pytest.skip(f"needs {name}")
    ours, wanted = (runtimes.start(checkpoint.open(folder), of) for folder, of in zip(both, (name, "onnx"), strict=True))
    every = range(FULL.layers + 1)
    for mine, other in zip(ours.hidden_states(IDS, every), wanted.hidden_states(IDS, every), strict=True):
        np.testing.assert_allclose(mine[IDS != 1], other[IDS != 1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.mlm_logits(IDS, PICKS), wanted.mlm_logits(IDS, PICKS), rtol=0, atol=1e-5)


def test_no_tokens_give_every_weight_a_gradient(both: list[Path]) -> None:
    """As processes that learn together need it."""
    pytest.importorskip("torch")
    from xlmr.runtimes import torch as runtime

    encoder = runtime.load(checkpoint.open(both[0]))
    packed, _ = runtime.pack([], encoder.config)
    encoder(packed)[0].sum().backward()
    assert all(parameter.grad is not None for layer in encoder.layers for parameter in layer.parameters())


def test_transformers_refuses_the_model(both: list[Path]) -> None:
    """Its config has no place for a head's width; what it must not do is answer, wrongly."""
    transformers = pytest.importorskip("transformers")
    for kind in (transformers.AutoModel, transformers.AutoModelForMaskedLM):
        with pytest.raises((RuntimeError, ValueError), match=r"ignore_mismatched_sizes|not a multiple"):
            kind.from_pretrained(both[0])


def test_the_config_says_how_wide_a_head_is_where_it_must(both: list[Path]) -> None:
    alone, silent = (json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in both)
    assert alone["head_dim"] == FULL.head_width
    assert "head_dim" not in silent
