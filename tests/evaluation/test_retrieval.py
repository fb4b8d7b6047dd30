import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.evaluation import benchmarks, retrieval


def test_a_vector_is_the_mean_of_the_states(encoder, lines):
    texts = [lines[0].text, lines[5].text, lines[0].text]
    found = retrieval.vectors(encoder, texts, [0, 2])
    for layer, of_layer in zip([0, 2], found, strict=True):
        for text, vector in zip(texts, of_layer, strict=True):
            ((states,),) = encoders.hidden_states(encoder, [text], [layer])
            np.testing.assert_allclose(vector, states.mean(0), atol=1e-5)


def test_scores_are_those_of_each_pool(encoder, monkeypatch):
    """Vectors made up: German is English turned by nothing, French is shifted, so that only centring finds it."""
    english = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    known = {f"en {i}": row for i, row in enumerate(english)} | {f"de {i}": 2 * row for i, row in enumerate(english)}
    known |= {f"fr {i}": row + 50 for i, row in enumerate(english)}
    monkeypatch.setattr(retrieval, "vectors", lambda encoder, texts, layers: [np.stack([known[text] for text in texts])] * len(layers))
    pairs = {language: ([f"{language} {i}" for i in range(6)], [f"en {i}" for i in range(6)]) for language in ("fr", "de")}
    found = retrieval.measure(encoder, pairs, [0, 1])
    assert found["pool"] == {"de": 6, "fr": 6}
    assert found["plain"]["1"]["languages"]["de"] == 1
    assert found["plain"]["1"]["languages"]["fr"] < 1
    assert found["centred"]["0"] == {"mean": 1.0, "languages": {"de": 1.0, "fr": 1.0}}
    assert found["plain"]["0"]["mean"] == pytest.approx((1 + found["plain"]["0"]["languages"]["fr"]) / 2)


def test_a_text_is_its_own_translation(encoder, lines):
    texts = list({line.text for line in lines})
    found = retrieval.measure(encoder, {"de": (texts, texts)}, range(3))
    assert [found[kind][layer]["mean"] for kind in ("plain", "centred") for layer in "012"] == [1.0] * 6
    assert benchmarks.translations(lines).keys() == {"de"}
