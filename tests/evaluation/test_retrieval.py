import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr import metrics
from xlmr.errors import BadInput
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


GERMAN = [("de", f"Haus {i}", f"house {i}") for i in range(4)]
FRENCH = [("fr", text, text) for text in ("un livre", "le chat", "la ville")]


def test_the_accuracy_of_a_language_is_that_of_the_vectors_of_embed(model):
    for options in ({}, {"layers": 0}, {"layers": (0, 1), "pooling": "max"}):
        found = retrieval.evaluate(model, iter(GERMAN + FRENCH), **options)
        sides = [model.embed([row[side] for row in GERMAN], **options) for side in (1, 2)]
        pool = found.pools["de"]
        assert (pool.to_english, pool.from_english) == metrics.retrieval(*sides)
        assert found.languages == {"de": (pool.to_english + pool.from_english) / 2, "fr": 1.0}
        assert found.mean == sum(found.languages.values()) / 2
        assert [found.pools[code].pairs for code in ("de", "fr")] == [4, 3]


def test_languages_may_come_in_any_order_and_do_not_mix(model):
    mixed = [GERMAN[0], FRENCH[0], *GERMAN[1:], *FRENCH[1:]]
    assert retrieval.evaluate(model, mixed) == retrieval.evaluate(model, FRENCH + GERMAN)
    assert retrieval.evaluate(model, mixed, ["German"]) == retrieval.evaluate(model, GERMAN)


def test_of_texts_that_come_twice_the_first_is_the_answer(model):
    twice = [("fr", "le chat", "le chat"), ("fr", "le chat", "un livre"), ("fr", "la ville", "la ville")]
    pool = retrieval.evaluate(model, twice).pools["fr"]
    assert pool.to_english == pytest.approx(2 / 3)  # the second "le chat" finds the first's translation
    assert pool.from_english >= 2 / 3


def test_every_text_is_asked_of_the_model_once_a_language(model, monkeypatch):
    asked = []
    cut = type(model.tokenizer).encode
    monkeypatch.setattr(type(model.tokenizer), "encode", lambda self, text, **of: asked.append(text) or cut(self, text, **of))
    retrieval.evaluate(model, FRENCH * 3)
    assert sorted(asked) == sorted(text for _, text, _ in FRENCH)


def test_vectors_pass_through_what_counts_them(model):
    seen = []
    retrieval.evaluate(model, GERMAN + FRENCH, counted=lambda items: (seen.append(item) or item for item in items))
    assert len(seen) == 4 + 4 + 3


@pytest.mark.parametrize(
    ("pairs", "only", "message"),
    [
        ([], None, "the data have no pairs$"),
        (GERMAN, ["sw", "fr"], "the data have no pairs in fr, sw"),
        ([("de", "Haus", "x" * 100_001)], None, r"de: 'x+\.\.\.x+': the text has 100,001 characters"),
    ],
)
def test_what_cannot_be_measured_says_why(model, pairs, only, message):
    with pytest.raises(BadInput, match=message):
        retrieval.evaluate(model, pairs, only)
