"""Calibrated vectors as `embed` and `similarity` give them."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads import calibration
from xlmr.heads.calibration import Calibration, Projection, Table
from xlmr.tasks import calibrations

SIZE = 6
TEXTS = ["the cat", "le chat boit de l'eau", "кошка пьёт", "水", "a", "", "good small book " * 40, "🙂", "\u200b"]


def made(*, states: bool) -> Calibration:
    dice = np.random.default_rng(3)
    pieces, sequences = (dice.integers(-127, 128, (count, SIZE)).astype(np.int8) for count in (500, 3))
    table = Table(pieces, np.array([5, 6, 9], np.uint32), sequences, 0.01)
    projection = Projection(1, dice.normal(size=32).astype(np.float32), dice.normal(size=(32, SIZE)).astype(np.float16).astype(np.float32))
    return Calibration(SIZE, table, projection if states else None)


@pytest.fixture(scope="module", params=[False, True], ids=["table", "table and states"])
def of(request):
    return made(states=request.param)


@pytest.fixture(scope="module")
def model(of, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "model"
    shutil.copytree(tiny, folder)
    attachments.write(folder, calibrations.NAME, calibrations.pack(of, {}), attachments.fingerprint(checkpoint.open(folder)))
    return xlmr.load(folder, threads=1)


def test_vectors_are_calibrated_where_there_is_a_calibration(of, model):
    tokens = model.embed(TEXTS, level="token", layers=1)
    for text, parts, found in zip(TEXTS, tokens, model.embed(TEXTS), strict=True):
        ids = np.array(model.tokenizer.encode(text).ids[1:-1], np.int64)
        np.testing.assert_allclose(found, calibration.vector(of, ids, parts.vectors), atol=1e-5)


def test_raw_vectors_and_those_of_layers_are_not(model, tiny):
    plain = xlmr.load(tiny, threads=1)
    for options in ({"raw": True}, {"layers": 1}, {"pooling": "cls"}, {"raw": True, "layers": (0, 1), "layer_mean": True}):
        bare = {name: value for name, value in options.items() if name != "raw"}
        np.testing.assert_array_equal(model.embed(TEXTS, **options), plain.embed(TEXTS, **bare))
    for level in ("word", "token"):
        for ours, theirs in zip(model.embed(TEXTS, level=level), plain.embed(TEXTS, level=level), strict=True):
            np.testing.assert_array_equal(ours.vectors, theirs.vectors)


def test_a_vector_depends_on_its_own_text_alone(model):
    together = model.embed(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(model.embed(text), vector, atol=1e-5)


def test_forms_are_those_of_any_vector(model):
    full = model.embed(TEXTS)
    np.testing.assert_allclose(model.embed(TEXTS, size=3), full[:, :3], atol=1e-6)
    assert model.embed(TEXTS, dtype="binary").shape == (len(TEXTS), 1)
    assert model.embed([]).shape == (0, SIZE)
    with pytest.raises(BadInput, match="size is 7"):
        model.embed("a", size=7)


def test_a_prompt_is_refused(model):
    with pytest.raises(BadInput, match="calibrated, without prompts; ask for raw ones"):
        model.embed("a", prompt="query")


def test_languages_come_beside_them(of, speaking, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(speaking, folder)
    attachments.write(folder, calibrations.NAME, calibrations.pack(of, {}), attachments.fingerprint(checkpoint.open(folder)))
    model = xlmr.load(folder, threads=1)
    vectors, languages = model.embed(TEXTS, language=True, top=2)
    np.testing.assert_allclose(vectors, model.embed(TEXTS), atol=1e-5)
    apart = model.identify_language(TEXTS, top=2)
    assert [[of.code for of in found] for found in languages] == [[of.code for of in found] for found in apart]


def test_states_are_worked_out_only_where_they_are_looked_at(of, speaking, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(speaking, folder)
    attachments.write(folder, calibrations.NAME, calibrations.pack(of, {}), attachments.fingerprint(checkpoint.open(folder)))
    loaded = xlmr.load(folder, threads=1)

    class Counting:
        rows = 0

        def hidden_states(self, ids, layers):
            self.rows += len(ids)
            return loaded.runtime.hidden_states(ids, layers)

    def rows(text, **options) -> int:
        counted = Counting()
        xlmr.Model(loaded.config, loaded.tokenizer, counted, loaded.recipe, loaded.attachments).embed([text], **options)
        return counted.rows

    assert rows("the cat") == (of.states is not None)
    assert rows("the cat", language=True) == 1
    assert rows("the cat " * 200, language=True) == rows("the cat " * 200) + 1  # its beginning
    assert (rows("the cat " * 200) > 0) == (of.states is not None)


def test_that_of_another_encoder_is_refused(of, model, make_checkpoint, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(make_checkpoint(seed=4), folder)
    other = attachments.fingerprint(checkpoint.open(folder))
    attachments.write(folder, calibrations.NAME, calibrations.pack(of, {}), "0" * len(other))
    with pytest.raises(BadCheckpoint, match="was fitted for another encoder"):
        xlmr.load(folder, threads=1).embed("a")
    assert xlmr.load(folder, threads=1).embed("a", raw=True).shape == (32,)


# -- similarity --


@given(a=st.text(max_size=20), b=st.text(max_size=20))
def test_similarity_is_the_cosine_of_the_vectors(model, a, b):
    found = model.similarity(a, b)
    assert isinstance(found, float)
    x, y = model.embed(a), model.embed(b)
    assert found == pytest.approx(float(x @ y), abs=1e-5)  # they are of length 1 or 0
    assert found == pytest.approx(model.similarity(b, a), abs=1e-6)


def test_several_texts_give_a_table(model):
    one, many = "the cat", ["le chat", "die Katze", "水"]
    assert model.similarity(one, many).shape == (3,)
    assert model.similarity(many, one).shape == (3,)
    assert model.similarity(many, iter(many)).shape == (3, 3)
    np.testing.assert_allclose(np.diag(model.similarity(many, many)), 1, atol=1e-5)
    np.testing.assert_allclose(model.similarity(model.embed(many), one), model.similarity(many, one), atol=1e-6)
    np.testing.assert_allclose(
        model.similarity(model.embed(many, raw=True), model.embed(one, raw=True)), model.similarity(many, one, raw=True), atol=1e-6
    )


def test_vectors_of_other_sizes_or_forms_are_refused(model):
    with pytest.raises(BadInput, match="vectors of 6 and of 32 numbers"):
        model.similarity("a", model.embed("a", raw=True))
    with pytest.raises(BadInput, match="wanted texts, or vectors as float"):
        model.similarity("a", model.embed("a", dtype="binary"))
