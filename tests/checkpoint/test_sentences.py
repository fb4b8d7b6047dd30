"""Files of sentence-transformers that cannot be right. What they mean where they are is shown in tests/tasks/test_embeddings.py."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from xlmr.checkpoint import sentences
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.heads.vectors import Dense, Normalize, Pooling, Recipe, Unknown

CONFIG = Config(vocabulary=500, width=32, layers=2, heads=4, inner=64, positions=66)
OLD, NEW = "sentence_transformers.models.", "sentence_transformers.sentence_transformer.modules.pooling."
DENSE = {"in_features": 32, "out_features": 8, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}


@pytest.fixture
def described(tmp_path: Path) -> Callable[..., Path]:
    """`described(files)`: a folder with files of JSON, or of bytes; the modules are a transformer, pooling, a dense layer."""

    def make(**files: object) -> Path:
        kinds = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"))
        content = {
            "modules.json": [{"idx": i, "name": str(i), "path": path, "type": OLD + kind} for i, (kind, path) in enumerate(kinds)],
            "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
            "2_Dense/config.json": DENSE,
        }
        for name, value in (content | files).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        save_file(
            {"linear.weight": np.ones((8, 32), np.float16), "linear.bias": np.ones(8, np.float16)}, tmp_path / "2_Dense/model.safetensors"
        )
        return tmp_path

    return make


def test_the_steps_are_what_the_modules_say(described: Callable[..., Path]) -> None:
    pooling, dense = sentences.read(described(), CONFIG).steps
    assert pooling == Pooling(("mean",))
    assert isinstance(dense, Dense)
    assert dense.weight.dtype == np.float32
    assert dense.activation == "Tanh"


def test_without_a_list_of_modules_there_are_none(tmp_path: Path) -> None:
    assert sentences.read(tmp_path, CONFIG) == Recipe()


@pytest.mark.parametrize(
    ("raw", "pooling"),
    [
        ({}, Pooling(("mean",))),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling(("cls",))),
        (
            {"pooling_mode_lasttoken": True, "pooling_mode_max_tokens": True, "pooling_mode_cls_token": True},
            Pooling(("cls", "max", "lasttoken")),
        ),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, Pooling(("cls",))),
        ({"pooling_mode": ["max", "mean"], "include_prompt": False}, Pooling(("max", "mean"), with_prompt=False)),
    ],
)
def test_pooling_is_told_by_flags_or_by_name(raw: dict[str, Any], pooling: Pooling, described: Callable[..., Path]) -> None:
    modules = [{"type": f"{OLD}Transformer", "path": ""}, {"type": f"{NEW}Pooling", "path": "1_Pooling"}]
    assert sentences.read(described(**{"modules.json": modules, "1_Pooling/config.json": raw}), CONFIG).steps == (pooling,)


@pytest.mark.parametrize(
    ("limits", "tokenizer", "longest"),
    [({}, {}, 64), ({"max_seq_length": 20}, {}, 20), ({"max_seq_length": 999}, {}, 64), ({}, {"model_max_length": 30}, 30),
     ({"max_seq_length": None}, {"model_max_length": 1e30}, 64), ({"max_seq_length": 10}, {"model_max_length": 30}, 10)],
)  # fmt: skip
def test_a_text_is_cut_where_the_first_to_say_so_says(
    limits: object, tokenizer: object, longest: int, described: Callable[..., Path]
) -> None:
    folder = described(**{"sentence_bert_config.json": limits, "tokenizer_config.json": tokenizer})
    assert sentences.read(folder, CONFIG).longest == longest


def test_a_module_that_only_normalises_needs_no_file(described: Callable[..., Path]) -> None:
    modules = [
        {"type": OLD + kind, "path": path} for kind, path in (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    ]
    assert sentences.read(described(**{"modules.json": modules}), CONFIG).steps[1] == Normalize()


def modules(**last: object) -> list[dict[str, object]]:
    return [{"type": f"{OLD}Transformer", "path": ""}, {"type": f"{OLD}Pooling", "path": "1_Pooling"} | last]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("modules.json", b"", "not readable as JSON"),
        ("modules.json", {}, "found {}, wanted a JSON list"),
        ("modules.json", [], "lists 0 modules, wanted 1 to 32"),
        ("modules.json", modules() * 17, "lists 34 modules, wanted 1 to 32"),
        ("modules.json", [7], "module 0: found 7, wanted a JSON object"),
        ("modules.json", modules(type=7), "module 1: type: found 7, wanted a JSON string"),
        ("modules.json", modules(path="../1_Pooling"), r"module 1: its path is '\.\./1_Pooling', wanted the plain name of a folder inside"),
        ("modules.json", modules(path="/etc"), "its path is '/etc'"),
        ("modules.json", modules(path="1_Pooling/../../x"), "wanted the plain name"),
        ("modules.json", modules(path="nowhere"), r"nowhere/config.json: not found"),
        ("1_Pooling/config.json", [], r"1_Pooling/config.json: found \[\], wanted a JSON object"),
        ("1_Pooling/config.json", {"pooling_mode": 7}, "pooling_mode: found 7, wanted a JSON list"),
        ("1_Pooling/config.json", {"pooling_mode": []}, "has 0 modes of pooling, wanted 1 to 6"),
        ("1_Pooling/config.json", {"pooling_mode": ["cls"] * 7}, "has 7 modes of pooling"),
        ("1_Pooling/config.json", {"include_prompt": "no"}, "include_prompt: found 'no', wanted a JSON true or false"),
        ("2_Dense/config.json", DENSE | {"in_features": 16}, r"linear.weight is float16 \(8, 32\), wanted \(8, 16\)"),
        ("2_Dense/config.json", DENSE | {"bias": False}, "holds linear.bias, linear.weight, wanted linear.weight"),
        ("2_Dense/config.json", DENSE | {"out_features": "8"}, "out_features: found '8', wanted a JSON whole number"),
        ("1_Pooling/config.json", {"pooling_mode": ["cls", "max"]}, "a dense layer takes 32 numbers, and the step before it gives 64"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, r"prompts: found \['a'\], wanted a JSON object"),
        ("config_sentence_transformers.json", {"prompts": {"a": 7}}, "the prompt 'a': found 7, wanted a JSON string"),
        ("config_sentence_transformers.json", {"prompts": {"a": "x" * 10_001}}, "the prompt 'a' has 10,001 characters, at most 10,000"),
        ("config_sentence_transformers.json", {"default_prompt_name": "b"}, "default_prompt_name is 'b', wanted one of the prompts: none"),
        ("config_sentence_transformers.json", {"default_prompt_name": ["b"]}, r"default_prompt_name: found \['b'\], wanted a JSON string"),
        ("config_sentence_transformers.json", {"truncate_dim": 0}, "truncate_dim is 0, wanted at least 1"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "max_seq_length is 2, wanted a number of at least 3"),
        ("sentence_bert_config.json", {"max_seq_length": "all"}, "max_seq_length is 'all', wanted a number"),
        ("tokenizer_config.json", {"model_max_length": 2}, "tokenizer_config.json: model_max_length is 2, wanted a number of at least 3"),
    ],
)
def test_files_that_cannot_be_right_are_refused(name: str, content: object, message: str, described: Callable[..., Path]) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        sentences.read(described(**{name: content}), CONFIG)


@pytest.mark.parametrize(
    "limits",
    [{"processing_kwargs": {"text": {"max_length": 7}}}, {"tokenizer_args": {"model_max_length": 9}}, {"module_output_name": "scores"},
     {"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}}],
)  # fmt: skip
def test_a_setting_that_would_give_other_states_is_not_passed_over(limits: dict[str, object], described: Callable[..., Path]) -> None:
    first = sentences.read(described(**{"sentence_bert_config.json": limits}), CONFIG).steps[0]
    assert isinstance(first, Unknown)
    assert f"sentence_bert_config.json: {min(limits)} is " in first.reason


@pytest.mark.parametrize("name", ["torch.nn.modules.activation.Hardshrink", "os.system", "Tanh.Own"])
def test_an_activation_is_looked_up_and_never_imported(name: str, described: Callable[..., Path]) -> None:
    step = sentences.read(described(**{"2_Dense/config.json": DENSE | {"activation_function": name}}), CONFIG).steps[1]
    assert isinstance(step, Unknown)
    assert f"activation_function is '{name}'" in step.reason


def test_a_dense_layer_in_a_pickle_is_not_opened(described: Callable[..., Path]) -> None:
    folder = described()
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    step = sentences.read(folder, CONFIG).steps[1]
    assert isinstance(step, Unknown)
    assert "2_Dense/model.safetensors: not found (and a pickle is not opened)" in step.reason


@pytest.mark.parametrize("name", ["modules.json", "1_Pooling", "2_Dense/model.safetensors", "1_Pooling/config.json"])
def test_a_link_out_of_the_folder_is_refused(name: str, described: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, elsewhere = described(), tmp_path_factory.mktemp("elsewhere") / "it"
    shutil.move(folder / name, elsewhere)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(BadCheckpoint, match="is a link that leads out of the model's folder"):
        sentences.read(folder, CONFIG)


@pytest.mark.parametrize("name", ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"])
def test_a_link_to_nothing_is_not_passed_over(name: str, described: Callable[..., Path]) -> None:
    folder = described()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("nowhere")
    with pytest.raises(BadCheckpoint, match=f"{name}: not found"):
        sentences.read(folder, CONFIG)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
)
ENTRY = st.fixed_dictionaries({"type": st.sampled_from([f"{OLD}Transformer", f"{OLD}Pooling", "own"]) | JSON, "path": st.text() | JSON})


@given(st.binary() | (JSON | st.lists(ENTRY)).map(lambda value: json.dumps(value).encode()))
def test_whatever_a_list_of_modules_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "modules.json"
    path.write_bytes(content)
    try:
        needed = sentences.needed(path)
    except BadCheckpoint:
        return
    assert all((path.parent / name).resolve().is_relative_to(path.parent.resolve()) for name in needed)
