"""Vectors with languages: each is what it is alone, however the text is, and most texts pass through the encoder once."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speakers import sentences

import xlmr
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.vectors import Layers, Recipe
from xlmr.tasks import classifiers
from xlmr.tasks.embeddings import language_embedder

SENTENCES = [text for _, text in sentences()][:30]
ODD = [
    "", " ", "水", "12 %", "🎉", "\u200b", "a\x00b", "Der Tisch, стакан!", "a" * 3_000, "Das Haus ist groß. " * 5, "кошка " * 700,
    *("x " * words for words in range(58, 68)),  # about as many tokens as the model takes, and as are looked at
]  # fmt: skip
with_a_model = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@pytest.fixture(scope="module")
def model(speaking: Path) -> xlmr.Model:
    return xlmr.load(speaking, threads=1)


def alike(found, wanted) -> None:
    assert [[(of.code, of.script) for of in answer] for answer in found] == [[(of.code, of.script) for of in answer] for answer in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose([of.confidence for of in one], [of.confidence for of in other], atol=1e-5)


def apart(model, texts, **options):
    """What comes of it is what comes of two calls."""
    found = model.embed(texts, language=True, **options)
    np.testing.assert_allclose(found.vectors, model.embed(texts, **options), atol=1e-5)
    alike(found.languages, model.identify_language(texts))


@pytest.mark.parametrize(
    "options", [{}, {"layers": 0}, {"layers": (1, -1)}, {"layers": (0, 1, 2), "layer_mean": True}, {"pooling": "cls"}, {"unit": True}]
)
def test_both_are_what_they_are_apart(model, options):
    apart(model, SENTENCES + ODD, **options)


@with_a_model
@given(st.lists(st.text(max_size=300) | st.text("abк水 ", max_size=1_200), max_size=6))
def test_any_texts_give_both(model, texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    if texts:
        apart(model, texts)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(longest=8),
        Recipe(longest=66),
        Recipe(layers=Layers((1,)), prompts={"query": "the book "}),
        Recipe(prompts={"query": "the book "}, default_prompt="query"),
    ],
)
def test_what_a_recipe_cuts_or_puts_before_a_text_does_not_change_its_language(model, recipe):
    told = xlmr.Model(model.config, model.tokenizer, model.runtime, recipe, model.attachments)
    apart(told, SENTENCES + ODD)
    if recipe.prompts:
        np.testing.assert_allclose(told.embed(ODD, language=True, prompt="query").vectors, told.embed(ODD, prompt="query"), atol=1e-5)
        alike(told.embed(ODD, language=True, prompt="query").languages, model.identify_language(ODD))


def test_a_text_that_fits_passes_through_the_encoder_once(model):
    class Counting:
        rows = 0

        def hidden_states(self, ids, layers):
            self.rows += len(ids)
            return model.runtime.hidden_states(ids, layers)

    def rows(texts) -> int:
        counted = Counting()
        xlmr.Model(model.config, model.tokenizer, counted, model.recipe, model.attachments).embed(texts, language=True)
        return counted.rows

    assert rows(SENTENCES) == len(SENTENCES)
    assert rows(["Das Haus.", "水" * 1_500]) > 2


def test_one_text_and_a_stream_have_the_same_answers(model):
    many = model.embed(SENTENCES, language=True, top=2)
    assert (many.vectors.shape, len(many.languages)) == ((len(SENTENCES), 32), len(SENTENCES))
    assert {len(of) for of in many.languages} == {2}
    for i, one in enumerate(model.embed(iter(SENTENCES), language=True, top=2, stream=True)):
        np.testing.assert_allclose(one.vectors, many.vectors[i], atol=1e-5)
        alike([one.languages], [many.languages[i]])
    vector, languages = model.embed(SENTENCES[0], language=True, top=2)
    np.testing.assert_allclose(vector, many.vectors[0], atol=1e-5)
    alike([languages], many.languages[:1])
    assert model.embed([], language=True).vectors.shape == (0, 32)


def test_a_text_that_cannot_be_answered_harms_no_other(model):
    texts = ["Das Haus.", BadInput("why"), "x" * 100_001, "水"]
    first, wrong, long, last = language_embedder(model)(texts)
    assert isinstance(wrong, BadInput)
    assert isinstance(long, BadInput)
    alike([first.languages, last.languages], model.identify_language(["Das Haus.", "水"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "word"}, "language was asked for, and level is 'word'; it comes with vectors of texts"),
        ({"top": 0}, "top is 0, wanted a whole number from 1"),
    ],
)
def test_what_cannot_be_had_says_why(model, options, message):
    with pytest.raises(BadInput, match=message):
        model.embed("Haus", language=True, **options)


def test_a_model_without_a_classifier_says_how_to_make_one(tiny):
    with pytest.raises(BadCheckpoint, match=r"no classifier of languages .* make one: xlmr fit languages"):
        xlmr.load(tiny, threads=1).embed("Haus", language=True)


def test_the_layer_of_the_classifier_need_not_be_below_the_vectors(model):
    assert classifiers.find(model).layer > 0
    apart(model, SENTENCES[:5], layers=0)
