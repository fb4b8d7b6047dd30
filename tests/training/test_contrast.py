import numpy as np
import pytest
import torch
from translated import pairs

from xlmr import encoder as encoders
from xlmr import metrics
from xlmr.errors import BadInput
from xlmr.heads import calibration
from xlmr.training import contrast, fitting, translations
from xlmr.training.contrast import Settings

SETTINGS = Settings(size=12, sequences=60, steps=120, batch=48, looked=96, layers=2, projected=20)


@pytest.fixture(scope="module")
def encoder(tiny):
    return encoders.load(tiny, threads=1)


@pytest.fixture(scope="module")
def data(encoder):
    """Lines to learn from, their domains, and lines held out."""
    train, heldout = (
        [*dict.fromkeys(line for pair in pairs(*of) for line in fitting.translated("tests", *pair))] for of in ((150, 1), (40, 2))
    )
    return fitting.tokenised(encoder, train), translations.domains(train), fitting.tokenised(encoder, heldout)


@pytest.fixture(scope="module")
def fitted(encoder, data):
    return contrast.fit(encoder, *data, SETTINGS)


def test_translations_that_were_held_out_are_found(fitted):
    found, measured = fitted
    assert found.table is not None
    assert measured["found"] > 0.6
    assert measured["tried"]["layer 0"] < measured["tried"]["pieces"] + 0.05
    assert measured["found"] >= max(measured["tried"].values()) - SETTINGS.worth


def test_what_was_measured_is_what_numpy_finds(encoder, data, fitted):
    found, measured = fitted
    heldout, scores = data[2], []
    for sides in contrast.pairs_of(heldout, SETTINGS.asked).values():
        ids = [[heldout.line(line).astype(np.int64) for line in side] for side in sides]
        scores.append(np.mean(metrics.retrieval(*(np.stack([calibration.vector(found, of, None) for of in side]) for side in ids))))
    assert found.states is not None or np.mean(scores) == pytest.approx(measured["found"], abs=0.02)


def test_the_same_texts_give_the_same_calibration(encoder, data, fitted):
    again, _ = contrast.fit(encoder, *data, SETTINGS)
    np.testing.assert_array_equal(again.table.pieces, fitted[0].table.pieces)
    np.testing.assert_array_equal(again.table.sequences, fitted[0].table.sequences)


def test_rounding_moves_a_number_by_half_a_step_at_most():
    rows = torch.randn(50, 8)
    found = contrast.quantised(rows, np.arange(20, dtype=np.uint32), 30, 0.1)
    assert (found.pieces.shape, found.sequences.shape) == ((30, 8), (20, 8))
    again = np.concatenate([found.pieces, found.sequences]) * found.scale
    np.testing.assert_allclose(again, rows.numpy(), atol=found.scale / 2 * 1.001)


def test_of_those_as_good_the_first_is_taken():
    scores = {"pieces": 0.80, "pieces and layer 0": 0.805, "layer 0": 0.3}
    assert contrast.cheapest(scores, 0.01) == "pieces"
    assert contrast.cheapest(scores, 0.001) == "pieces and layer 0"


def test_pooled_states_are_those_of_the_pieces_alone(encoder):
    texts = [np.array([7, 8, 9]), np.array([10]), np.array([11, 12] * 60)]
    found = contrast.pooled(encoder, texts, [0, 2])
    for layer, number in enumerate((0, 2)):
        for text, of in zip(texts[:2], found[layer], strict=False):
            (states,) = encoder.runtime.hidden_states(np.array([[0, *text, 2]]), [number])
            np.testing.assert_allclose(of, states[0, 1:-1].mean(0), atol=1e-2)


def test_texts_without_translations_are_refused(encoder, data):
    lines = [fitting.Line("fr", "tests", str(i), "le chat") for i in range(9)]
    alone = fitting.tokenised(encoder, lines)
    with pytest.raises(BadInput, match="found 9 texts that have a translation"):
        contrast.fit(encoder, alone, translations.domains(lines), data[2], SETTINGS)
