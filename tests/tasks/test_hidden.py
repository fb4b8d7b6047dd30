import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.vectors import Layers
from xlmr.tasks import contexts, hidden


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def row(tokens: int, seed: int = 0) -> list[int]:
    return [0, *np.random.default_rng(seed).integers(4, 499, tokens).tolist(), 2]


@pytest.mark.parametrize("tokens", [0, 1, 5, 61, 62])
def test_of_a_text_that_fits_the_states_are_the_models_own(encoder, tokens):
    (found,) = hidden.read(encoder, [row(tokens)], Layers())
    np.testing.assert_allclose(found, encoder.runtime.hidden_states(np.array([row(tokens)]))[0][0], atol=1e-5)


def test_of_a_longer_text_each_token_has_its_state_from_its_window(encoder):
    """2,000 tokens, one run for each token instead of one for each window."""
    ids = row(2000)
    (found,) = hidden.read(encoder, [ids], Layers())
    assert found.shape == (2002, 32)
    cut = contexts.windows(2000, 62)
    for place in [*range(130), *range(950, 1050), *range(1900, 2000)]:
        window = next(window for window in cut if window.first <= place < window.last)
        alone = encoder.runtime.hidden_states(np.array([[0, *ids[1 + window.begin : 1 + window.end], 2]]))[0][0]
        np.testing.assert_allclose(found[1 + place], alone[1 + place - window.begin], atol=1e-5)
    ends = [encoder.runtime.hidden_states(np.array([[0, *ids[1 + of.begin : 1 + of.end], 2]]))[0][0][[0, -1]] for of in cut]
    np.testing.assert_allclose(found[[0, -1]], np.mean(ends, axis=0), atol=1e-5)


def test_several_layers_stand_side_by_side_or_give_their_mean(encoder):
    ids = [row(9), row(100, seed=1)]
    each = [list(hidden.read(encoder, ids, Layers((layer,)))) for layer in (0, 2)]
    side, mean = (list(hidden.read(encoder, ids, Layers((0, -1), mean=mean))) for mean in (False, True))
    for i in range(2):
        np.testing.assert_allclose(side[i], np.concatenate([each[0][i], each[1][i]], 1), atol=1e-5)
        np.testing.assert_allclose(mean[i], (each[0][i] + each[1][i]) / 2, atol=1e-5)


def test_nothing_above_the_highest_layer_is_computed(tiny):
    encoder = encoders.load(tiny, threads=1)
    asked = []

    class Watched:
        def hidden_states(self, ids, layers):
            asked.append(tuple(layers))
            return encoder.runtime.hidden_states(ids, layers)

    list(hidden.read(Encoder(encoder.config, encoder.tokenizer, Watched()), [row(5)], Layers((1, 0))))
    assert asked == [(1, 0)]
    assert max(span[-1] for span in encoder.runtime._spans) == 1


def test_a_text_depends_on_no_other(encoder):
    texts = [row(tokens, seed=tokens) for tokens in (3, 200, 0, 62, 63, 7)]
    for ids, found in zip(texts, hidden.read(encoder, texts, Layers()), strict=True):
        np.testing.assert_allclose(found, next(hidden.read(encoder, [ids], Layers())), atol=1e-5)


def test_numbers_that_are_not_finite_are_a_broken_model(encoder):
    class Broken:
        def hidden_states(self, ids, layers):
            return [np.full((*ids.shape, 32), np.nan, np.float32)]

    with pytest.raises(BadCheckpoint, match="numbers that are not finite"):
        list(hidden.read(Encoder(encoder.config, encoder.tokenizer, Broken()), [row(5)], Layers()))


def test_more_numbers_than_are_held_are_refused_before_any_work():
    assert hidden.bounded(1 << 17, 1 << 10) == 1 << 17
    with pytest.raises(BadInput, match=r"the text has 131,073 tokens, of 1,024 numbers each, and at most 134,217,728 numbers are held"):
        hidden.bounded((1 << 17) + 1, 1 << 10)


def test_of_rows_no_more_is_kept_than_what_is_made_of_their_states(encoder):
    rows = [row(tokens, seed=tokens) for tokens in (5, 62, 0, 17)]
    found = [*hidden.last(encoder, iter(rows), lambda states: (len(states), states[0].copy()))]
    assert [length for length, _ in found] == [len(ids) for ids in rows]
    for ids, (_, first) in zip(rows, found, strict=True):
        np.testing.assert_allclose(first, encoder.runtime.hidden_states(np.array([ids]))[0][0, 0], atol=1e-5)
