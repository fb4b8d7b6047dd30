import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.evaluation import probes
from xlmr.evaluation.benchmarks import Tagged, Topic
from xlmr.evaluation.probes import fit

DICE = np.random.default_rng(0)
CENTRES = 4 * DICE.standard_normal((3, 8))


def rows(count, noise=1.0, shift=0.0):
    which = DICE.integers(0, 3, count)
    return (CENTRES[which] + noise * DICE.standard_normal((count, 8)) + shift).astype(np.float32), np.array(["NOUN", "VERB", "X"])[which]


def test_a_probe_learns_what_is_separable():
    probe = fit(*rows(3_000))
    states, labels = rows(500)
    assert np.mean(probe.predict(states) == labels) > 0.98


def test_a_probe_learns_nothing_from_noise():
    """As many features as the real ones have, and labels that do not depend on them: chance, on rows it has not seen."""
    states, labels = DICE.standard_normal((600, 256)).astype(np.float32), DICE.choice(["a", "b", "c", "d"], 600)
    probe = fit(states[:400], labels[:400])
    assert np.mean(probe.predict(states[400:]) == labels[400:]) < 0.4


def test_a_probe_comes_near_the_least_loss():
    """Its weights against gradient descent run to the end."""
    states, labels = rows(60, noise=6.0)
    probe = fit(states, labels)
    x = np.append((states - probe.mean) / probe.spread, np.ones((60, 1)), axis=1)
    wanted = labels[:, None] == probe.classes
    weight = np.zeros((9, 3))
    for _ in range(20_000):
        shares = np.exp(x @ weight)
        shares /= shares.sum(1, keepdims=True)
        weight -= 0.2 * (x.T @ (shares - wanted) / 60 + np.append(weight[:-1], np.zeros((1, 3)), axis=0) / 60)
    np.testing.assert_allclose(probe.weight, weight[:-1], atol=0.05)
    np.testing.assert_allclose(probe.bias - probe.bias.mean(), weight[-1] - weight[-1].mean(), atol=0.05)


def test_a_probe_is_the_same_each_time():
    states, labels = rows(100)
    assert np.array_equal(fit(states, labels).weight, fit(states, labels).weight)


def test_centring_undoes_a_shift():
    probe = fit(*rows(1_000))
    states, labels = rows(1_000, shift=9.0)
    assert np.mean(probe.predict(states) == labels) < 0.8
    assert np.mean(probe.predict(states, states.mean(0)) == labels) > 0.95


def test_a_word_is_its_first_piece(encoder):
    sentences = [Tagged(["the", "catting", "reads"], ["DET", "NOUN", "VERB"]), Tagged(["one", "water"], ["NUM", "NOUN"])]
    (first, last), tags = probes.word_states(encoder, sentences, [0, 2])
    assert tags == ["DET", "NOUN", "VERB", "NUM", "NOUN"]
    ((states,),) = encoders.hidden_states(encoder, ["the catting reads"], [2])
    pieces = [encoder.tokenizer.piece(i) for i in encoder.tokenizer.encode("the catting reads").ids]
    places = [pieces.index(piece) for piece in ("▁the", "▁cat", "▁reads")]
    np.testing.assert_allclose(last[:3], states[places], atol=1e-5)
    assert first.shape == last.shape == (5, encoder.config.width)


def test_words_beyond_the_models_length_are_left_out(encoder):
    (states,), tags = probes.word_states(encoder, [Tagged(["cat"] * 100, list(map(str, range(100))))], [0])
    assert tags == list(map(str, range(encoder.config.longest - 2)))
    assert len(states) == len(tags)


@pytest.fixture(scope="module")
def found(encoder):
    """Topics that a word gives away."""

    def sentences(language, about, *words):
        return [Topic(language, f"{word} {about} {rest}", about) for word in words for rest in words]

    train = [row for about in ("water", "city") for row in sentences("en", about, "the", "one", "big", "good", "small")]
    train += [Topic("de", "das Haus", "house")] * 9
    dev = [row for about in ("water", "city") for row in (*sentences("en", about, "book", "cat"), *sentences("de", about, "das", "gut"))]
    return probes.topics(encoder, train, dev, [0, 1, 2])


def test_topics_are_learnt_in_english_and_asked_in_all(found):
    assert found["plain"]["english"] == found["plain"]["languages"]["en"] > 0.8
    assert sorted(found["plain"]["languages"]) == ["de", "en"]
    assert found["plain"]["mean"] == pytest.approx(np.mean(list(found["plain"]["languages"].values())))


def test_the_layer_is_englishs_best(found):
    assert found["layers"][str(found["layer"])] == max(found["layers"].values())
    assert list(found["layers"]) == ["0", "1", "2"]


def test_the_mean_of_parts_of_speech_is_over_the_languages_named(encoder):
    train = [Tagged(["the", "cat", "reads"], ["DET", "NOUN", "VERB"])] * 5
    dev = {"en": train, "de": [Tagged(["die", "Katze"], ["DET", "NOUN"])], "wo": [Tagged(["jëm"], ["VERB"])]}
    found = probes.parts_of_speech(encoder, train, dev, [1], means=["en", "de", "yo"])
    assert found["plain"]["english"] == 1
    assert found["plain"]["mean"] == pytest.approx((1 + found["plain"]["languages"]["de"]) / 2)
    assert "wo" in found["plain"]["languages"]
