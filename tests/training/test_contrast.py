from dataclasses import replace

import numpy as np
import pytest
import torch
from translated import pairs

from xlmr import encoder as encoders
from xlmr import metrics
from xlmr.errors import BadInput
from xlmr.evaluation import questions
from xlmr.heads import calibration
from xlmr.training import contrast, fitting, objectives, translations
from xlmr.training.contrast import Settings
from xlmr.training.translations import Batches

VOCABULARY = 500
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


def test_what_is_measured_is_what_numpy_finds(encoder, data):
    """Of every candidate: the table, states beside it, states alone."""
    train, domain, heldout = data
    keys, layers = translations.choose(train, 40, questions.look_at(encoder.tokenizer).begins), [0, 2]
    table = contrast.quantised(torch.randn(VOCABULARY + 40, 12, generator=torch.Generator().manual_seed(0)), keys, VOCABULARY, 0.4)
    asked = contrast.pairs_of(heldout, SETTINGS.asked)
    once, place = np.unique(np.concatenate([of for sides in asked.values() for of in sides]), return_inverse=True)
    held = contrast.look(encoder, heldout, once, table, layers)

    def vector(of, line):
        ids = heldout.line(line).astype(np.int64)
        (states,) = encoder.runtime.hidden_states(np.array([[0, *ids, 2]]), [of.states.layer]) if of.states else [None]
        return calibration.vector(of, ids, states[0, 1:-1] if of.states else None)

    texts = translations.look_at(train, domain, keys, VOCABULARY)
    found = [*contrast.candidates(encoder, train, texts, table, layers, SETTINGS)]
    assert [contrast.told(of) for of in found] == ["pieces", "pieces and layer 0", "pieces and layer 2", "layer 0", "layer 2"]
    for of in found:
        sides = ([np.stack([vector(of, line) for line in side]) for side in pair] for pair in asked.values())
        wanted = np.mean([metrics.retrieval(*pair) for pair in sides])
        assert contrast.score(of, held, layers, asked, place) == pytest.approx(wanted, abs=0.02)


def test_what_is_asked_about_is_of_the_length_that_is_learnt_from(encoder):
    rows = [("tests", code, f"{text} " * times, f"{english} " * times) for times in (1, 80) for code, text, english in pairs(5)]
    heldout = fitting.tokenised(encoder, [*dict.fromkeys(line for row in rows for line in fitting.translated(*row))])
    asked = contrast.pairs_of(heldout, 100)
    assert sorted(asked) == ["de", "fr"]
    for ours, theirs in asked.values():
        assert len(ours) == 5
        assert (heldout.group[ours] == heldout.group[theirs]).all()
        assert {heldout.languages[of] for of in heldout.language[theirs]} == {"en"}
        assert max(len(heldout.line(line)) for line in [*ours, *theirs]) <= translations.TOKENS


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


def test_a_step_is_that_of_a_dense_optimiser(encoder, data):
    train, domain, _ = data
    keys = translations.choose(train, 40, questions.look_at(encoder.tokenizer).begins)
    texts = translations.look_at(train, domain, keys, VOCABULARY)
    one, two = (Batches(texts, train.languages.index("en"), exponent=0.5, english=0.8, seed=3) for _ in range(2))
    rows, seen = torch.randn(VOCABULARY + 40, 6, generator=torch.Generator().manual_seed(0)), torch.full((VOCABULARY + 40,), 1e-6)
    dense, gathered = rows.clone().requires_grad_(), seen.clone()
    for rate in (0.5, 0.3, 0.1):
        loss = contrast._step(rows, seen, one, replace(SETTINGS, batch=16), rate)
        sides = [torch.stack([dense[texts.taken(np.array([text]))[0]].sum(0) for text in side]) for side in two.draw(16)]
        wanted = objectives.contrast(*sides, SETTINGS.temperature)
        (gradient,) = torch.autograd.grad(wanted, dense)
        assert loss == pytest.approx(wanted.item(), abs=1e-4)
        with torch.no_grad():
            gathered += gradient.square().mean(1)
            dense -= rate * gradient / gathered.sqrt()[:, None]
        np.testing.assert_allclose(rows, dense.detach(), atol=1e-4)


def test_numbers_of_a_state_that_never_change_have_no_weight():
    states = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    states[:, 2] = 0.3
    pairs = np.arange(40).reshape(2, -1)
    found = contrast._projection(states, torch.zeros(40, SETTINGS.size), pairs, SETTINGS)
    assert not found.weight[2].any()
    assert np.abs(found.weight[[0, 1, 3, 4, 5]]).min(1).all()
    assert np.isfinite(found.weight.astype(np.float16)).all()


def test_a_table_of_zeros_is_stored_as_one():
    found = contrast.quantised(torch.zeros(5, 2), np.arange(2, dtype=np.uint32), 3, 0.4)
    assert found.scale > 0
    assert not found.pieces.any()


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_translations_are_refused(encoder, data, count):
    """One text and its translation cannot be told from any other."""
    lines = [fitting.Line("fr", "tests", str(i), "le chat") for i in range(9)]
    lines += [fitting.Line("en", "tests", str(i), "the cat") for i in range(count)]
    alone = fitting.tokenised(encoder, lines)
    with pytest.raises(BadInput, match=f"found {count} texts with a translation to learn from"):
        contrast.fit(encoder, alone, translations.domains(lines), data[2], SETTINGS)


def test_texts_of_the_same_words_leave_the_table_empty(encoder, data):
    """Where every text has the same pieces there is nothing to learn, and nothing breaks."""
    lines = [fitting.Line(code, "tests", str(i), text) for i, text in enumerate(("a b", "b a")) for code in ("en", "fr")]
    found, _ = contrast.fit(
        encoder, fitting.tokenised(encoder, lines), translations.domains(lines), data[2], replace(SETTINGS, sequences=0)
    )
    assert found.table is None or not found.table.pieces.any()
