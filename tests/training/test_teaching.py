import numpy as np
import pytest
import torch
from test_objectives import CONFIG

from xlmr.errors import BadRecipe
from xlmr.heads.calibration import Table, hashes, summed
from xlmr.heads.vectors import normalize
from xlmr.runtimes.torch import build
from xlmr.training import teaching
from xlmr.training.examples import Batch
from xlmr.training.objectives import Losses, inputs

CPU = torch.device("cpu")
SIZE = 6


@pytest.fixture
def table() -> Table:
    dice = np.random.default_rng(3)
    keys = np.sort(np.unique(np.concatenate(hashes(np.array([7, 8, 9, 10]), np.zeros(4, int)))))
    pieces = dice.integers(-127, 128, (CONFIG.vocabulary, SIZE)).astype(np.int8)
    return Table(pieces, keys, dice.integers(-127, 128, (len(keys), SIZE)).astype(np.int8), 0.01)


def batch(*rows: list[int], hidden: dict[tuple[int, int], int] | None = None, pairs: int = 0) -> Batch:
    ids = [np.array([0, *row, 2]) for row in rows]
    targets = [np.full(len(row), -1) for row in ids]
    for (row, place), piece in (hidden or {}).items():
        targets[row][place] = piece
    return Batch(ids, targets, pairs)


def test_a_text_is_told_by_its_pieces_hidden_ones_too(table: Table) -> None:
    shown = teaching.teach(table, batch([7, 8, 9]), 4).told
    hidden = teaching.teach(table, batch([7, CONFIG.vocabulary - 1, 9], hidden={(0, 2): 8}), 4).told
    assert shown is not None
    assert hidden is not None
    np.testing.assert_array_equal(shown, hidden)
    np.testing.assert_allclose(shown[0], normalize(summed(table, np.array([7, 8, 9]))), rtol=1e-6)


def test_translations_are_told_the_same_and_others_their_own(table: Table) -> None:
    told = teaching.teach(table, batch([7, 8], [11, 12, 13], [7, 8], pairs=1), 4).told
    assert told is not None
    np.testing.assert_array_equal(told[0], told[1])
    alone = teaching.teach(table, batch([7, 8]), 4).told
    assert alone is not None
    np.testing.assert_allclose(told[2], alone[0])
    assert not np.allclose(told[0], told[2])
    np.testing.assert_allclose(np.linalg.norm(told, axis=1), 1, rtol=1e-6)


def test_a_text_without_pieces_is_told_nothing(table: Table) -> None:
    told = teaching.teach(table, batch([]), 4).told
    assert told is not None
    assert not told.any()


def test_parts_of_a_batch_keep_what_they_are_told(table: Table) -> None:
    whole = teaching.teach(table, batch([7], [8], [9, 10], [11], [12, 13], pairs=1), 4)
    for i in range(2):
        part = whole.part(i, 2)
        for ids, told in zip(part.ids, part.told, strict=True):  # type: ignore[arg-type]
            (own,) = (k for k, of in enumerate(whole.ids) if np.array_equal(of, ids))
            np.testing.assert_array_equal(told, whole.told[own])  # type: ignore[index]


def test_the_lesson_is_one_less_the_cosine_with_what_is_said_of_the_first_token(table: Table) -> None:
    torch.manual_seed(1)
    losses = Losses(build(CONFIG), 0.1, told=SIZE).eval()
    taught = teaching.teach(table, batch([7, 8, 9, 10], [11], [12, 13]), 4)
    given = inputs(taught, CONFIG, CPU)
    assert losses.says is not None
    total = 0.0
    for ids, told in zip(taught.ids, taught.told, strict=True):  # type: ignore[arg-type]
        (states,) = losses.encoder(inputs(Batch([ids], [np.full(len(ids), -1)], 0), CONFIG, CPU).packed)
        said = losses.says(states[0]).detach().numpy()
        total += 1 - float(said @ told / np.linalg.norm(said) / np.linalg.norm(told))
    assert losses(given)[2].item() == pytest.approx(total, abs=1e-5)


def test_seated_rows_lie_in_the_columns_that_varied_least_and_the_rest_of_the_table_stays(table: Table) -> None:
    torch.manual_seed(2)
    encoder = build(CONFIG)
    before, counts = encoder.embeddings.words.weight.detach().clone().numpy(), np.arange(CONFIG.vocabulary) + 1.0
    teaching.seat(encoder, table, counts, 4, 0.3)
    after = encoder.embeddings.words.weight.detach().numpy()
    assert np.linalg.matrix_rank(after - before, tol=1e-4) <= 4 + 1
    rows = table.pieces.astype(np.float64) - np.average(table.pieces, axis=0, weights=np.sqrt(counts))
    said, *_ = np.linalg.lstsq(np.c_[after, np.ones(len(after))], rows, rcond=None)
    unseen, *_ = np.linalg.lstsq(np.c_[before, np.ones(len(before))], rows, rcond=None)
    left, left_before = (np.sum((np.c_[of, np.ones(len(of))] @ by - rows) ** 2) for of, by in ((after, said), (before, unseen)))
    assert left < 0.6 * left_before


def test_a_teacher_of_other_pieces_is_refused(tmp_path) -> None:
    with pytest.raises(BadRecipe, match="32,000 pieces"):
        teaching.find("small", CONFIG)
