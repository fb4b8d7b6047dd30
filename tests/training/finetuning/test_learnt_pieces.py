"""Only the rows of the table learn whose pieces the examples have; nothing else is any different."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xlmr import checkpoint  # noqa: E402
from xlmr.runtimes.torch import Encoder, export, load, pack  # noqa: E402
from xlmr.training.finetuning import pieces  # noqa: E402
from xlmr.training.finetuning.pieces import Table  # noqa: E402

SENTENCES = [np.array([0, 17, 17, 230, 2]), np.array([0, 301, 2])]
OTHER = [np.array([0, 17, 44, 499, 2])]
LEARNT = [0, 2, 17, 230, 301]
REST = [i for i in range(500) if i not in LEARNT]


@pytest.fixture
def encoder(tiny) -> Encoder:
    found = load(checkpoint.open(str(tiny)))
    found.head = None
    return found.eval()  # no dropout


def states(encoder: Encoder, sentences: list[np.ndarray]) -> torch.Tensor:
    packed, _ = pack(sentences, encoder.config)
    return encoder(packed)[0]


def learn(encoder: Encoder, steps: int = 4, decay: float = 0.0) -> Encoder:
    """A few steps towards states of zero."""
    optimiser = torch.optim.AdamW([of for of in encoder.parameters() if of.requires_grad], lr=1e-2, weight_decay=decay)
    for _ in range(steps):
        optimiser.zero_grad()
        states(encoder, SENTENCES).square().sum().backward()
        optimiser.step()
    return encoder


def narrowed(encoder: Encoder) -> Encoder:
    found = copy.deepcopy(encoder)
    pieces.narrow(found, np.concatenate(SENTENCES))
    return found


@pytest.mark.parametrize("sentences", [SENTENCES, OTHER], ids=["learnt from", "with pieces that were not"])
def test_a_narrow_table_reads_every_piece(encoder, sentences):
    assert torch.equal(states(narrowed(encoder), sentences), states(encoder, sentences))


def test_a_narrow_table_learns_what_the_whole_one_does(encoder):
    narrow, whole = learn(narrowed(encoder)), learn(encoder)
    pieces.widen(narrow)
    ours, theirs = export(narrow), export(whole)
    assert ours.keys() == theirs.keys()
    for name, of in ours.items():
        np.testing.assert_allclose(of, theirs[name], atol=1e-5, err_msg=name)


def test_pieces_that_no_example_has_stay_exactly_as_they_were(encoder):
    before = encoder.embeddings.words.weight.detach().clone()
    narrow = learn(narrowed(encoder), decay=0.1)
    pieces.widen(narrow)
    after = narrow.embeddings.words.weight
    assert torch.equal(after[REST], before[REST])
    assert (after[LEARNT] != before[LEARNT]).any(1).all()


def test_what_was_learnt_is_the_same_before_and_after_it_is_merged(encoder):
    narrow = learn(narrowed(encoder))
    found = states(narrow, [*SENTENCES, *OTHER])
    pieces.widen(narrow)
    assert torch.equal(states(narrow, [*SENTENCES, *OTHER]), found)


def test_only_those_rows_are_stepped_and_saved(encoder):
    narrow = narrowed(encoder)
    held = narrow.state_dict()
    assert held["embeddings.words.rows"].shape == (len(LEARNT), encoder.config.width)
    assert max(of.numel() for of in held.values()) < encoder.embeddings.words.weight.numel()


def test_a_table_that_does_not_learn_stays_whole(encoder):
    encoder.embeddings.requires_grad_(False)
    pieces.narrow(encoder, np.concatenate(SENTENCES))
    assert not isinstance(encoder.embeddings.words, Table)
    pieces.widen(encoder)
    assert not encoder.embeddings.words.weight.requires_grad
