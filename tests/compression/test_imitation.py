"""The loss of predictions, worked out block by block, is that of all of them at once; so is its gradient."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from xlmr.compression import imitation  # noqa: E402
from xlmr.compression.imitation import Predictions, Weights  # noqa: E402

PICKS, WIDTH, PIECES = 7, 5, 11
WEIGHTS = Weights(soft=5.0, hard=2.0, temperature=2.0)


def drawn(seed: int) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64) for shape in ((PICKS, WIDTH), (PIECES, WIDTH), (PIECES,))]


def plainly(own: torch.Tensor, theirs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of Hinton et al. and that of the pieces, by torch's own functions."""
    t = WEIGHTS.temperature
    soft = F.kl_div(F.log_softmax(own / t, -1), F.softmax(theirs / t, -1), reduction="sum") * t**2
    return WEIGHTS.soft * soft + WEIGHTS.hard * F.cross_entropy(own, targets, reduction="sum")


@pytest.mark.parametrize("learns", [True, False], ids=["table learns", "table is frozen"])
def test_blocks_change_neither_loss_nor_gradient(learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imitation, "ROWS", 3)
    (x, matrix, bias), (heard, other, other_bias) = drawn(0), drawn(1)
    targets = torch.tensor([0, 3, 3, 10, 5, 1, 7])
    asked = [x.requires_grad_(), *([matrix.requires_grad_()] if learns else []), bias.requires_grad_()]
    wanted = plainly(F.linear(x, matrix, bias), F.linear(heard, other, other_bias), targets)
    slopes = torch.autograd.grad(3 * wanted, asked)
    found, *_ = Predictions.apply(x, matrix, bias, heard, (other, other_bias), targets, WEIGHTS)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=0)
    for a, b in zip(torch.autograd.grad(3 * found, asked), slopes, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


def test_a_student_that_says_the_same_has_nothing_soft_to_learn() -> None:
    x, matrix, bias = (of.float() for of in drawn(0))
    targets = torch.arange(PICKS)
    loss, soft, hard, agreed = Predictions.apply(x, matrix, bias, x, (matrix, bias), targets, WEIGHTS)
    assert float(soft) == pytest.approx(0, abs=1e-5)
    assert int(agreed) == PICKS
    assert float(loss) == pytest.approx(WEIGHTS.hard * float(hard), rel=1e-5)


def test_of_no_picks_the_loss_is_nothing() -> None:
    x, matrix, bias = (of.float().requires_grad_() for of in drawn(0))
    none = x[:0]
    loss, *_ = Predictions.apply(none, matrix, bias, none.detach(), (matrix.detach(), bias.detach()), torch.empty(0).long(), WEIGHTS)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not bias.grad.any()
