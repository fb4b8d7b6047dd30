"""Vectors of texts against sentence-transformers, for models as it saves them; and what does without it."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xlmr
from xlmr.errors import BadCheckpoint, BadInput

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


def test_a_text_is_cut_where_the_model_says_and_refused_where_it_says_nothing(model: xlmr.Model, described: Callable[..., Path]) -> None:
    long = "the cat drinks water " * 40
    with pytest.raises(BadInput, match="the text has more than 64 tokens"):
        model.embed(long)
    cutting = xlmr.load(described(**{"sentence_bert_config.json": {"max_seq_length": 10}}), threads=1)
    assert cutting.recipe.longest == 10
    np.testing.assert_allclose(cutting.embed(long), cutting.embed("the cat drinks water " * 2), atol=1e-6)


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
