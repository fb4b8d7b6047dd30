import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from xlmr import checkpoint  # noqa: E402
from xlmr.config import Config  # noqa: E402
from xlmr.runtimes.torch import BUCKET_WASTE, attention_of, build, export, load, pack  # noqa: E402

CONFIG = Config(vocabulary=60, width=16, layers=2, heads=2, inner=32, positions=42)
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def rows(lengths: list[int]) -> list[np.ndarray]:
    dice = np.random.default_rng(sum(lengths))
    return [dice.integers(2, 60, length) for length in lengths]


@given(LENGTHS)
def test_packing_loses_and_changes_nothing(lengths: list[int]) -> None:
    sequences = rows(lengths)
    packed, order = pack(sequences, CONFIG)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    np.testing.assert_array_equal(packed.ids.numpy(), np.concatenate([sequences[i] for i in order]))
    for row, i in enumerate(order):
        inside = packed.row.numpy() == row
        np.testing.assert_array_equal(packed.positions.numpy()[inside], np.arange(len(sequences[i])) + CONFIG.pad_id + 1)


@given(LENGTHS)
def test_buckets_hold_every_token_once_and_waste_little(lengths: list[int]) -> None:
    packed, _ = pack(rows(lengths), CONFIG)
    assert sum(bucket.size for bucket in packed.buckets) == sum(lengths)
    for bucket in packed.buckets:
        if bucket.places is not None:
            assert bucket.size >= (1 - BUCKET_WASTE) * len(bucket.places)
            np.testing.assert_array_equal(bucket.places[bucket.tokens].numpy(), np.arange(bucket.size))


@given(LENGTHS.filter(any))
def test_neighbours_change_nothing(lengths: list[int]) -> None:
    torch.manual_seed(0)
    encoder = build(CONFIG).eval()
    sequences = rows(lengths)
    packed, order = pack(sequences, CONFIG)
    with torch.inference_mode():
        (together,) = encoder(packed)
        alone = [encoder(pack([sequences[i]], CONFIG)[0])[0] for i in order if len(sequences[i])]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_our_own_is_pytorchs_there_and_back(masked: bool) -> None:
    torch.manual_seed(0)
    given = [torch.randn(3, 2, 7, 4) for _ in range(3)]
    real = torch.arange(7) < torch.tensor([7, 5, 3])[:, None, None, None] if masked else None
    found, wanted = [], []
    for of, dtype, into in ((F.scaled_dot_product_attention, torch.float32, wanted), (None, torch.bfloat16, found)):
        tensors = [tensor.detach().to(dtype, copy=True).requires_grad_() for tensor in given]
        read = (of or attention_of(tensors[0]))(*tensors, attn_mask=real, dropout_p=0.0)
        (read * torch.arange(4)).sum().backward()
        into += [read, *(tensor.grad for tensor in tensors)]
    assert attention_of(given[0].bfloat16()) is not F.scaled_dot_product_attention
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.float(), b, atol=0.06, rtol=0.03)  # bfloat16 has two digits


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    encoder = build(CONFIG)
    (states,) = encoder(pack(rows([5, 9, 9, 30]), CONFIG)[0])
    encoder.logits(states).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        if not name.endswith("key.bias"):  # adds the same to all of a query's scores, which softmax forgets
            assert parameter.grad.abs().sum() > 0, name


def test_export_gives_back_what_was_loaded(make_checkpoint) -> None:  # type: ignore[no-untyped-def]
    opened = checkpoint.open(make_checkpoint())
    weights = checkpoint.weights(opened)
    again = export(load(opened))
    assert weights.keys() == again.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(again[name], values)
