"""The field that learns against `heads.crf`, which is itself held to the sum over all sequences."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlmr.heads import crf
from xlmr.heads.crf import Crf
from xlmr.training.finetuning.chains import Chain


def drawn(labels: int, seed: int, scale: float = 1.5) -> Chain:
    torch.manual_seed(seed)
    chain = Chain(labels)
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return chain


def numpy(chain: Chain) -> Crf:
    return Crf(*(of.detach().numpy() for of in (chain.transitions, chain.start, chain.end)))


def batch(labels: int, lengths: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed + 1)
    return 3 * torch.randn(len(lengths), max(lengths), labels), torch.randint(labels, (len(lengths), max(lengths))), torch.tensor(lengths)


FIELDS = st.tuples(st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 999))


@settings(max_examples=40)
@given(FIELDS)
def test_loss_is_the_normaliser_less_the_score_of_each_sentence(of: tuple[int, list[int], int]) -> None:
    labels, lengths, seed = of
    chain, (emissions, tags, counts) = drawn(labels, seed), batch(labels, lengths, seed)
    sentences = [(emissions[i, :n].numpy(), tags[i, :n].numpy()) for i, n in enumerate(lengths)]
    wanted = sum(crf.normaliser(numpy(chain), given) - crf.score(numpy(chain), given, path) for given, path in sentences)
    assert chain(emissions, tags, counts).item() == pytest.approx(wanted, abs=1e-4, rel=1e-5)


@settings(max_examples=40)
@given(FIELDS)
def test_the_shares_of_all_sequences_sum_to_one(of: tuple[int, list[int], int]) -> None:
    labels, (length, *_), seed = of
    chain, (emissions, _, _) = drawn(labels, seed), batch(labels, [length], seed)
    with torch.no_grad():
        each = [chain(emissions, torch.tensor([path]), torch.tensor([length])) for path in product(range(labels), repeat=length)]
    assert float(torch.exp(-torch.stack(each)).sum()) == pytest.approx(1, abs=1e-4)


@settings(max_examples=40)
@given(FIELDS)
def test_what_lies_beyond_a_sentence_changes_neither_loss_nor_gradient(of: tuple[int, list[int], int]) -> None:
    labels, lengths, seed = of
    chain, (emissions, tags, counts) = drawn(labels, seed), batch(labels, lengths, seed)
    wide = torch.full((len(lengths), max(lengths) + 2, labels), 50.0)
    other = torch.full((len(lengths), max(lengths) + 2), labels - 1)
    for i, n in enumerate(lengths):
        wide[i, :n], other[i, :n] = emissions[i, :n], tags[i, :n]
    found = []
    for given_, wanted in ((emissions, tags), (wide, other)):
        chain.zero_grad()
        loss = chain(given_, wanted, counts)
        loss.backward()
        found.append([loss.detach(), *(of.grad.clone() for of in chain.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-5)


def test_gradient_of_the_emissions_is_the_marginals_less_what_was_wanted() -> None:
    chain, (emissions, tags, counts) = drawn(3, 7), batch(3, [4], 7)
    emissions.requires_grad_()
    chain(emissions, tags, counts).backward()
    wanted = crf.marginals(numpy(chain), emissions.detach()[0].numpy()) - np.eye(3)[tags[0]]
    np.testing.assert_allclose(emissions.grad[0].numpy(), wanted, atol=1e-5)


def test_half_precision_around_it_changes_nothing() -> None:
    chain, of = drawn(3, 1), batch(3, [4, 2], 1)
    with torch.autocast("cpu", torch.bfloat16):
        found = chain(*of)
    assert found.dtype == torch.float32
    assert found.item() == chain(*of).item()


def test_of_single_words_the_transitions_have_a_gradient_of_nothing() -> None:
    """Several processes wait for every gradient, and a resumed run for every number of the optimiser."""
    chain, of = drawn(3, 1), batch(3, [1, 1], 1)
    chain(*of).backward()
    assert chain.transitions.grad is not None
    assert not chain.transitions.grad.any()
