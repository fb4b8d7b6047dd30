import numpy as np
import pytest
import torch
from torch.nn import functional as F

from xlmr.config import Config
from xlmr.runtimes.torch import build, pack
from xlmr.training.examples import Batch
from xlmr.training.objectives import Losses, Negatives, contrast, draw_negatives, full_softmax, inputs, pool, sampled_softmax

CONFIG = Config(vocabulary=50, width=16, layers=1, heads=2, inner=32, positions=40, dropout=0.0, attention_dropout=0.0)
CPU = torch.device("cpu")


def scene(picks: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(picks, 16), torch.randint(0, 50, (picks,)), torch.randn(50, 16), torch.randn(50)


def test_blocks_change_nothing() -> None:
    x, targets, matrix, bias = scene(9)
    whole = F.cross_entropy(x @ matrix.T + bias, targets, reduction="sum")
    for block in (1, 2, 9, 100):
        torch.testing.assert_close(full_softmax(x, targets, matrix, bias, block), whole)


def test_sampling_every_piece_is_the_full_softmax() -> None:
    x, targets, matrix, bias = scene()
    everything = Negatives(torch.arange(50), torch.zeros(50))
    torch.testing.assert_close(sampled_softmax(x, targets, matrix, bias, everything), full_softmax(x, targets, matrix, bias))


def test_sampled_gradients_point_where_the_full_ones_do() -> None:
    x, targets, matrix, bias = scene(30)
    matrix /= 4
    grads = []
    chances = np.random.default_rng(0).permutation(np.arange(1, 51) ** -1.0)
    chances /= chances.sum()
    for seed in range(400):
        leaf = x.clone().requires_grad_()
        sampled_softmax(leaf, targets, matrix, bias, draw_negatives(np.random.default_rng(seed), chances, 25, CPU)).backward()
        grads.append(leaf.grad)
    leaf = x.clone().requires_grad_()
    full_softmax(leaf, targets, matrix, bias).backward()
    assert F.cosine_similarity(torch.stack(grads).mean(0).flatten(), leaf.grad.flatten(), dim=0) > 0.97


def test_negatives_come_as_often_as_they_say() -> None:
    chances = np.array([0.5, 0.3, 0.15, 0.05])
    drawn = [draw_negatives(np.random.default_rng(seed), chances, 3, CPU) for seed in range(3_000)]
    often = np.mean([np.isin(np.arange(4), of.ids.numpy()) for of in drawn], axis=0)
    np.testing.assert_allclose(often, np.exp(drawn[0].log_chance.numpy()), atol=0.03)


def test_nothing_to_predict_is_no_loss() -> None:
    _, _, matrix, bias = scene()
    none, targets = torch.empty(0, 16, requires_grad=True), torch.empty(0, dtype=torch.int64)
    assert full_softmax(none, targets, matrix, bias) == 0
    assert sampled_softmax(none, targets, matrix, bias, Negatives(torch.arange(5), torch.zeros(50))) == 0
    assert contrast(none, none, 0.1) == 0


def test_pooling_is_the_mean_of_a_rows_states() -> None:
    packed, order = pack([np.array([0, 7, 8, 2]), np.array([0, 2]), np.array([0, 9, 2])], CONFIG)
    states = torch.randn(9, 16)
    pooled = pool(states, packed)
    begins = np.concatenate([[0], np.cumsum([2, 3, 4])])
    assert order.tolist() == [1, 2, 0]
    for row in range(3):
        torch.testing.assert_close(pooled[row], states[begins[row] : begins[row + 1]].mean(0))


def test_contrast_is_least_where_translations_meet() -> None:
    a = torch.eye(4)
    assert contrast(a, a, 0.1) < 0.01
    assert contrast(a, a.roll(1, 0), 0.1) > 5
    torch.testing.assert_close(contrast(a, torch.ones(4, 4), 0.1), torch.tensor(4.0).log())
    torch.testing.assert_close(contrast(a, 3 * a, 0.1), contrast(a, a, 0.1))


def test_contrast_is_as_exact_in_half_precision() -> None:
    torch.manual_seed(0)
    a, others = torch.randn(2, 8, 16)
    b, others = a + 3 * torch.randn(8, 16), F.normalize(others, dim=-1)
    whole = contrast(a, b, 0.01, others)
    with torch.autocast("cpu", torch.bfloat16):
        assert contrast(a, b, 0.01, others) == whole


@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_losses_find_picks_and_pairs_wherever_packing_puts_them(pairs: int) -> None:
    torch.manual_seed(0)
    encoder = build(CONFIG).eval()
    ids = list(map(np.array, ([0, 7, 49, 9, 2], [0, 8, 2], [0, 4, 5, 49, 2], [0, 49, 6, 2], [0, 11, 49, 13, 14, 2])))
    targets = [np.where(of == 49, 20 + i, -1) for i, of in enumerate(ids)]
    with torch.no_grad():
        masked, contrasted, _ = Losses(encoder, 0.1)(inputs(Batch(ids, targets, pairs), CONFIG, CPU))
    encoder.requires_grad_(False)
    alone, vectors = 0.0, []
    for of, wanted in zip(ids, targets, strict=True):
        packed, _ = pack([of], CONFIG)
        (states,) = encoder(packed)
        vectors.append(states[wanted < 0].mean(0))
        for place in np.flatnonzero(wanted >= 0):
            alone += F.cross_entropy(encoder.logits(states[place][None]), torch.tensor([wanted[place]])).item()
    assert float(masked) == pytest.approx(alone, rel=1e-5)
    both = torch.stack(vectors)[: 2 * pairs].reshape(-1, 2, 16)
    assert float(contrasted) == pytest.approx(float(contrast(both[:, 0], both[:, 1], 0.1)), rel=1e-4)


def remembering(pairs: int, memory: int) -> tuple[Losses, Batch]:
    torch.manual_seed(0)
    losses = Losses(build(CONFIG), 0.1, memory=memory)
    rng = np.random.default_rng(0)
    ids = [np.array([0, *rng.integers(4, 49, 3), 2]) for _ in range(2 * pairs)]
    return losses, Batch(ids, [np.full(5, -1) for _ in ids], pairs)


def test_a_translation_is_told_from_earlier_sentences_too() -> None:
    losses, batch = remembering(3, memory=8)
    first, second = (losses(inputs(batch, CONFIG, CPU))[1] for _ in range(2))
    assert second > first  # the same pairs again: now each has its double among the others
    packed, order = pack(batch.ids, CONFIG)
    (states,) = losses.encoder(packed)
    vectors = pool(states, packed)[np.argsort(order)]
    assert len(losses.memory) == losses.remembered == 8
    known = F.normalize(vectors, dim=-1)[[1, 3, 5, 0, 2, 4]]
    torch.testing.assert_close(losses.memory, torch.cat([known, known[:2]]), atol=1e-5, rtol=0)
    expected = contrast(vectors[::2], vectors[1::2], 0.1, known)
    torch.testing.assert_close(second, expected, atol=1e-5, rtol=0)


def test_nothing_is_remembered_while_measuring() -> None:
    losses, batch = remembering(3, memory=8)
    losses.eval()(inputs(batch, CONFIG, CPU))
    assert losses.remembered == 0


def test_one_bad_step_spoils_no_other() -> None:
    losses, batch = remembering(2, memory=8)
    good = {name: of.clone() for name, of in losses.encoder.state_dict().items()}
    with torch.no_grad():
        losses.encoder.embeddings.words.weight[:] = torch.nan
    assert losses(inputs(batch, CONFIG, CPU))[1].isnan()
    losses.encoder.load_state_dict(good)
    assert losses(inputs(batch, CONFIG, CPU))[1].isfinite()


def test_a_part_may_be_empty() -> None:
    losses, batch = remembering(1, memory=0)
    empty = batch.part(5, 6)
    assert not empty.ids
    masked, contrasted, _ = losses(inputs(empty, CONFIG, CPU))
    assert masked == contrasted == 0
    (masked + contrasted).backward()  # the other processes wait for each of its gradients
    assert not [name for name, of in losses.named_parameters() if of.grad is None]


def test_places_to_predict_are_not_contrasted() -> None:
    torch.manual_seed(0)
    losses = Losses(build(CONFIG), 0.1).eval()
    ids = list(map(np.array, ([0, 7, 49, 9, 2], [0, 8, 5, 2], [0, 3, 9, 2], [0, 11, 2])))
    targets = [np.where(of == 49, 20, -1) for of in ids]
    targets[1][2] = 5  # left as it is, and yet to be predicted
    found = losses(inputs(Batch(ids, targets, 2), CONFIG, CPU))[1]
    vectors = []
    for of, wanted in zip(ids, targets, strict=True):
        (states,) = losses.encoder(pack([of], CONFIG)[0])
        vectors.append(states[wanted < 0].mean(0))
    torch.testing.assert_close(found, contrast(torch.stack(vectors[::2]), torch.stack(vectors[1::2]), 0.1))
