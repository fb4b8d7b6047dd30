"""Vectors of texts against sentence-transformers, for models as it saves them; words and tokens; and what does without it."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xlmr
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.evaluation import benchmarks
from xlmr.heads.forms import DTYPES, Form
from xlmr.heads.vectors import Layers
from xlmr.tasks.embeddings import embed_each
from xlmr.tasks.hidden import read

BENCH = Path(__file__).parents[2] / ".." / "shared" / "data" / "bench"
TEXTS = ["the cat", "le chat boit de l'eau", "кошка пьёт", "水", "a", "", "good small book " * 12]
PROMPTS = {"query": "the book ", "passage": "le livre "}


@dataclass(frozen=True)
class Kind:
    """Modules after the transformer, prompts, and what the modules are like that are published so."""

    pooling: Any = "mean"
    dense: tuple[tuple[int, int, str, bool], ...] = ()
    normalize: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    with_prompt: bool = True
    longest: int | None = None
    size: int | None = None
    default: str | None = None


KINDS = {
    "multilingual-e5": Kind(normalize=True, prompts=PROMPTS),
    "bge-m3": Kind("cls", normalize=True),
    "paraphrase-multilingual": Kind(longest=12),
    "a dense layer": Kind(dense=((32, 24, "Tanh", True),)),
    "two dense layers": Kind("max", dense=((32, 40, "GELU", False), (40, 8, "Identity", True)), normalize=True),
    "several modes": Kind(("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")),
    "prompts that are not counted": Kind(("mean", "cls", "weightedmean", "max"), prompts=PROMPTS, with_prompt=False, default="query"),
    "a shorter vector": Kind(normalize=True, size=10),
}


@pytest.fixture(scope="module")
def saved(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], tuple[Any, Path]]:
    """`saved(kind)`: a model of sentence-transformers, and the folder it saved itself to."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    torch = pytest.importorskip("torch")
    from sentence_transformers.sentence_transformer import modules

    def make(kind: Kind) -> tuple[Any, Path]:
        torch.manual_seed(7)
        width = 32
        parts = [modules.Transformer(str(tiny)), modules.Pooling(width, kind.pooling, include_prompt=kind.with_prompt)]
        parts += [
            modules.Dense(into, out, bias=bias, activation_function=getattr(torch.nn, activation)())
            for into, out, activation, bias in kind.dense
        ]
        parts += [modules.Normalize()] * kind.normalize
        more = {"prompts": kind.prompts, "default_prompt_name": kind.default, "truncate_dim": kind.size}
        model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu", **more)
        if kind.longest:
            model.max_seq_length = kind.longest
        folder = tmp_path_factory.mktemp("sentences") / "model"
        model.save_pretrained(str(folder), create_model_card=False)
        return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True), folder

    return make


@pytest.mark.filterwarnings("ignore")  # what the other libraries warn of
@pytest.mark.parametrize("name", KINDS)
def test_vectors_are_those_of_sentence_transformers(name: str, saved: Callable[[Kind], tuple[Any, Path]]) -> None:
    theirs, folder = saved(KINDS[name])
    ours = xlmr.load(folder, threads=1)
    for prompt in (None, *KINDS[name].prompts):
        expected = theirs.encode(TEXTS, prompt_name=prompt, show_progress_bar=False)
        found = ours.embed(TEXTS, prompt=prompt)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


# -- without it --

TRANSFORMER = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}


@pytest.fixture
def described(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """`described(modules, files)`: the tiny model with a `modules.json`, and other files of JSON."""

    def make(modules: object = (TRANSFORMER, POOLING, NORMALIZE), **files: object) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny, folder)
        content = {"modules.json": modules, "1_Pooling/config.json": {"pooling_mode_mean_tokens": True}} | files
        for name, value in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(value))
        return folder

    return make


@pytest.fixture(scope="module")
def model(tiny: Path) -> xlmr.Model:
    return xlmr.load(tiny, threads=1)


def test_a_model_without_such_files_gives_the_mean_of_its_last_states(model: xlmr.Model) -> None:
    ids = model.tokenizer.encode("the cat drinks").ids
    (states,) = model.runtime.hidden_states(np.array([ids]))
    np.testing.assert_allclose(model.embed("the cat drinks"), states[0].mean(0), atol=1e-6)


def test_one_text_gives_one_vector_and_several_a_row_for_each(model: xlmr.Model) -> None:
    assert model.embed("the cat").shape == (32,)
    assert model.embed(["the cat"]).shape == (1, 32)
    assert model.embed([]).shape == (0, 32)
    assert model.embed([]).dtype == np.float32


def test_neighbours_change_nothing(model: xlmr.Model) -> None:
    np.testing.assert_allclose(model.embed(TEXTS[:4]), [model.embed(text) for text in TEXTS[:4]], atol=1e-5)


def test_a_stream_answers_before_it_has_read_all(model: xlmr.Model) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "the cat"

    vectors = model.embed(endless(), stream=True)
    assert [next(vectors).shape for _ in range(5)] == [(32,)] * 5


def test_a_text_is_cut_where_the_model_says_and_nowhere_else(model: xlmr.Model, described: Callable[..., Path]) -> None:
    long = "the cat drinks water " * 40
    assert not np.allclose(model.embed(long), model.embed(long + "a small book"), atol=1e-4)
    cutting = xlmr.load(described(**{"sentence_bert_config.json": {"max_seq_length": 10}}), threads=1)
    assert cutting.recipe.longest == 10
    np.testing.assert_allclose(cutting.embed(long), cutting.embed("the cat drinks water " * 2), atol=1e-6)
    np.testing.assert_allclose(cutting.embed(long, pooling="mean"), model.embed(long), atol=1e-6)


def test_a_prompt_is_named_and_put_before_the_text(described: Callable[..., Path]) -> None:
    settings = {"prompts": {"query": "le chat "}, "default_prompt_name": "query"}
    asked = xlmr.load(described(**{"config_sentence_transformers.json": settings}), threads=1)
    np.testing.assert_allclose(asked.embed("boit"), asked.embed("le chat boit", prompt=""), atol=1e-6)
    with pytest.raises(BadInput, match=r"prompt is 'passage', wanted the name of one of this model's: 'query'. Any other belongs into"):
        asked.embed("the cat", prompt="passage")


def test_a_prompt_is_refused_where_there_is_none(model: xlmr.Model) -> None:
    with pytest.raises(BadInput, match="prompt is 'query', wanted the name of none: this model has no prompts"):
        model.embed("the cat", prompt="query")


@pytest.mark.parametrize(("texts", "message"), [(7, "found a int, wanted a text or several"), ([7], "text 1: found a int, wanted a text")])
def test_what_is_no_text_is_refused(texts: Any, message: str, model: xlmr.Model) -> None:
    with pytest.raises(BadInput, match=message):
        model.embed(texts)


@pytest.mark.parametrize(
    ("modules", "files", "message"),
    [
        ([TRANSFORMER, POOLING, NORMALIZE | {"type": "my_module.Own"}], {}, r"lists a module of type 'my_module.Own'; xlmr cannot compute"),
        ([TRANSFORMER, POOLING, NORMALIZE | {"type": "sentence_transformers.models.LSTM"}], {}, "lists a module of type 'LSTM'"),
        (
            [TRANSFORMER | {"path": "0_Transformer"}, POOLING],
            {},
            "begins with Transformer in '0_Transformer', Pooling in '1_Pooling', wanted",
        ),
        ([TRANSFORMER], {}, "begins with Transformer in '', wanted Transformer in '' and Pooling"),
        (None, {"1_Pooling/config.json": {"pooling_mode": "attention"}}, "pooling_mode is 'attention'; xlmr cannot"),
        (None, {"2_Normalize/config.json": {"module_input_name": "token_embeddings"}}, "module_input_name is 'token_embeddings'"),
        (None, {"sentence_bert_config.json": {"do_lower_case": True}}, "do_lower_case is True; xlmr cannot"),
        (None, {"sentence_bert_config.json": {"transformer_task": "fill-mask"}}, "transformer_task is 'fill-mask'; xlmr cannot"),
    ],
)
def test_what_cannot_be_computed_is_refused_when_vectors_are_asked_for(
    modules: Any, files: dict[str, Any], message: str, described: Callable[..., Path]
) -> None:
    loaded = xlmr.load(described(modules or (TRANSFORMER, POOLING, NORMALIZE), **files), threads=1)
    assert loaded.fill_mask("the <mask>")
    with pytest.raises(BadCheckpoint, match=message):
        loaded.embed("the cat")


# -- words, tokens, layers --

LANGUAGES = [
    "the cat, drinks water!", "l'eau de la ville", "кошка пьёт воду", "γάτα", "خانه آب", "בית מים", "बिल्ली पानी", "แมวดื่มน้ำ",
    "고양이가 물을", "我喝水。", "私は水を飲む", "ແມວກິນນ້ຳ", "ឆ្មាផឹកទឹក", "ကြောင်သည်", "👍🏽 ok", "½ … ﬁ Ⅳ", "a\u200bb", "e\u0301 x",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # what transformers warns of
def test_token_states_are_those_of_transformers(tiny: Path, model: xlmr.Model) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    oracle = transformers.XLMRobertaModel.from_pretrained(tiny).eval()
    for text in LANGUAGES:
        with torch.inference_mode():
            ids = torch.tensor([model.tokenizer.encode(text).ids])
            theirs = [states[0, 1:-1].numpy() for states in oracle(ids, output_hidden_states=True).hidden_states]
        np.testing.assert_allclose(model.embed(text, level="token").vectors, theirs[-1], atol=1e-4)
        np.testing.assert_allclose(model.embed(text, level="token", layers=1).vectors, theirs[1], atol=1e-4)
        side = model.embed(text, level="token", layers=[0, -1]).vectors
        np.testing.assert_allclose(side, np.concatenate([theirs[0], theirs[2]], 1), atol=1e-4)
        mean = model.embed(text, level="token", layers=range(3), layer_mean=True).vectors
        np.testing.assert_allclose(mean, np.mean(theirs, 0), atol=1e-4)


@pytest.mark.parametrize("level", ["word", "token"])
def test_places_are_slices_of_the_text_in_many_languages(model: xlmr.Model, level: Any) -> None:
    for text, parts in zip(LANGUAGES, model.embed(LANGUAGES, level=level), strict=True):
        assert [place.text for place in parts.places] == [text[place.start : place.end] for place in parts.places]
        assert len(parts.places) == len(parts.vectors)
        if level == "word":
            assert all(place.text.strip() for place in parts.places)


@pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmark data at ../shared/data is not here")
def test_words_are_the_text_in_every_language_of_the_benchmark() -> None:
    """All of it but white space and spaces of no width, by the pieces of the model inside."""
    by_language: dict[str, list[str]] = {}
    for topic in benchmarks.topics(BENCH / "sib200" / "dev.tsv"):
        by_language.setdefault(topic.language, []).append(topic.text)
    assert len(by_language) == 91
    texts = [text for of in by_language.values() for text in of[:5]]
    for text, parts in zip(texts, xlmr.load(threads=1).embed(texts, level="word", layers=0, size=1), strict=True):
        assert "".join(place.text for place in parts.places) == "".join(text.replace("\u200b", " ").split())
        assert all(place.text == text[place.start : place.end] for place in parts.places)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["word", "token"]))
def test_places_are_slices_of_any_text_in_order(model: xlmr.Model, text: str, level: Any) -> None:
    parts = model.embed(text, level=level)
    assert all(place.text == text[place.start : place.end] for place in parts.places)
    starts = [place.start for place in parts.places]
    assert starts == sorted(starts)
    assert parts.vectors.shape == (len(starts), 32)


def test_a_word_has_the_mean_of_its_tokens(model: xlmr.Model) -> None:
    text = "the xyz, кошка"
    tokens, words = (model.embed(text, level=level) for level in ("token", "word"))
    assert [place.text for place in words.places] == ["the", "xyz", ",", "кошка"]
    for word, vector in zip(words.places, words.vectors, strict=True):
        of = [tokens.vectors[i] for i, place in enumerate(tokens.places) if word.start <= place.start < place.end <= word.end]
        np.testing.assert_allclose(vector, np.mean(of, 0), atol=1e-5)


@pytest.mark.parametrize("level", ["text", "word", "token"])
def test_a_text_depends_on_no_neighbour_at_any_level(model: xlmr.Model, level: Any) -> None:
    texts = [*LANGUAGES, "the cat drinks water " * 60, ""]
    many = model.embed(texts, level=level, layers=(1, 2))
    for text, found in zip(texts, many, strict=True):
        alone = model.embed(text, level=level, layers=(1, 2))
        if level == "text":
            np.testing.assert_allclose(found, alone, atol=1e-5)
        else:
            assert found.places == alone.places
            np.testing.assert_allclose(found.vectors, alone.vectors, atol=1e-5)


def test_a_long_text_has_every_token_once_and_the_mean_of_them_all(model: xlmr.Model) -> None:
    text = "the cat drinks water " * 500
    tokens = model.embed(text, level="token")
    assert len(tokens.places) == 2000
    assert [place.text for place in tokens.places] == text.split()
    ids = model.tokenizer.encode(text).ids
    (states,) = read(model, [ids], Layers())
    np.testing.assert_allclose(tokens.vectors, states[1:-1], atol=1e-5)
    np.testing.assert_allclose(model.embed(text), states.mean(0), atol=1e-5)
    np.testing.assert_allclose(model.embed(text, pooling="max"), states.max(0), atol=1e-5)


def test_pooling_and_layers_of_a_text_are_those_asked_for_whatever_the_model_says(
    described: Callable[..., Path], model: xlmr.Model
) -> None:
    files = {
        "1_Pooling/config.json": {"pooling_mode": "attention"},
        "config_sentence_transformers.json": {"prompts": {"query": "le chat "}},
    }
    other = xlmr.load(described(**files), threads=1)
    (states,) = read(model, [model.tokenizer.encode("the cat").ids], Layers((1,)))
    for pooling, wanted in (("mean", states.mean(0)), ("cls", states[0]), ("max", states.max(0))):
        np.testing.assert_allclose(other.embed("the cat", layers=1, pooling=pooling), wanted, atol=1e-5)
    np.testing.assert_allclose(
        other.embed("the cat", pooling="mean", prompt="query"), model.embed("le chat the cat"), atol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize("level", ["text", "token"])
def test_a_vector_holds_no_memory_but_its_own(model: xlmr.Model, level: Any) -> None:
    for found in model.embed(TEXTS, level=level, size=3, pooling="cls" if level == "text" else None, stream=True):
        vectors = found if level == "text" else found.vectors
        assert vectors.base is None
        assert vectors.nbytes == vectors.size * 4


def test_forms_are_those_of_the_plain_vectors(model: xlmr.Model) -> None:
    plain = model.embed(TEXTS)
    for dtype in DTYPES:
        found = model.embed(TEXTS, dtype=dtype, size=20, unit=True)
        assert np.array_equal(found, Form(20, unit=True, dtype=dtype).of(plain))
        assert model.embed([], dtype=dtype, size=20).dtype == found.dtype
        words = model.embed(TEXTS[0], level="word", dtype=dtype)
        assert words.vectors.shape[0] == len(words.places)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "sentence"}, "level is 'sentence', wanted one of text, word, token"),
        ({"dtype": "int4"}, "dtype is 'int4', wanted one of float32, float16, int8, binary"),
        ({"pooling": "first"}, "pooling is 'first', wanted one of mean, cls, max of level 'text'"),
        ({"level": "word", "pooling": "cls"}, "pooling is 'cls', wanted one of mean, first, max of level 'word'"),
        ({"level": "token", "pooling": "mean"}, "pooling is 'mean', wanted none: each token has its own state of level 'token'"),
        ({"layers": 3}, r"layer 3 was asked for; wanted 0 \(the embeddings\) to 2"),
        ({"layers": ()}, r"layers is \(\), wanted the number of a layer or several"),
        ({"layers": "last"}, "layers is 'last', wanted the number of a layer or several"),
        ({"layers": True}, "layers is True, wanted the number of a layer"),
        ({"layer_mean": True}, "layer_mean was asked for, and no layers"),
        ({"size": 33}, "size is 33, wanted a whole number from 1 to 32"),
        ({"size": 0}, "size is 0, wanted"),
        ({"level": "word", "prompt": "query"}, "prompt is 'query', and level is 'word'; a prompt is for vectors of texts"),
    ],
)
def test_what_cannot_be_asked_for_says_why(model: xlmr.Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        model.embed("the cat", **options)


@pytest.mark.parametrize("level", ["text", "word", "token"])
def test_a_line_too_long_harms_no_other(model: xlmr.Model, level: str) -> None:
    found = list(embed_each(model, ["the cat", "x" * 1_000_000, "\ud83d", "", "👍🏽👩‍👩‍👧"], level=level))
    assert [isinstance(answer, BadInput) for answer in found] == [False, True, True, False, False]
    assert "the text has 1,000,000 characters, and at most 100,000 are taken" in str(found[1])
