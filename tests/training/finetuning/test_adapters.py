import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("peft")

from xlmr import checkpoint
from xlmr.errors import MissingExtra
from xlmr.runtimes.torch import Encoder, load, pack
from xlmr.tensors import encoder as table
from xlmr.training.finetuning import adapters


@pytest.fixture
def encoder(tiny: Path) -> Encoder:
    found = load(checkpoint.open(tiny)).eval()
    found.head = None
    return found


def states(encoder: Encoder) -> np.ndarray:
    packed, _ = pack([np.array([0, 9, 12, 40, 2]), np.array([0, 7, 2])], encoder.config)
    with torch.no_grad():
        (found,) = encoder(packed)
    return found.numpy()


def learnt(encoder: Encoder) -> None:
    """As if the adapters had learnt something."""
    torch.manual_seed(1)
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)


def test_adapters_alone_learn_and_begin_as_the_model_is(encoder: Encoder) -> None:
    before = states(encoder)
    adapters.attach(encoder, 4)
    learning = {name for name, of in encoder.named_parameters() if of.requires_grad}
    assert learning == {name for name, _ in encoder.named_parameters() if "lora_" in name}
    assert len(learning) == 2 * 2 * len(adapters.BESIDE)  # two matrices beside each of two layers'
    np.testing.assert_allclose(states(encoder), before, atol=1e-6)


def test_merged_it_is_an_encoder_that_says_what_the_adapters_said(encoder: Encoder, tiny: Path) -> None:
    before = states(encoder)
    attached = adapters.attach(encoder, 4)
    learnt(encoder)
    unmerged = states(encoder)
    assert np.abs(unmerged - before).max() > 0.1
    merged = adapters.merge(attached)
    assert merged is encoder
    np.testing.assert_allclose(states(encoder), unmerged, atol=1e-5)
    assert {*encoder.state_dict()} == {tensor.name for tensor in table(encoder.config)}


def test_its_rank_is_the_one_asked_for(encoder: Encoder) -> None:
    adapters.attach(encoder, 3)
    assert {min(of.shape) for name, of in encoder.named_parameters() if "lora_" in name} == {3}


def test_without_peft_it_is_said_how_to_get_it(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"LoRA needs packages that are not installed\. Run: pip install 'xlmr\[lora\]'"):
        adapters.attach(encoder, 4)
