import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import config as configs
from xlmr.config import KEYS, Config, dump, parse
from xlmr.errors import BadCheckpoint, OtherArchitecture
from xlmr.heads.classes import MULTI, PROBLEMS, REGRESSION

# xlm-roberta-base's, as it lies on the hub.
BASE = {
    "architectures": ["XLMRobertaForMaskedLM"], "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
    "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "model_type": "xlm-roberta", "num_attention_heads": 12,
    "num_hidden_layers": 12, "output_past": True, "pad_token_id": 1, "position_embedding_type": "absolute", "type_vocab_size": 1,
    "use_cache": True, "vocab_size": 250002,
}  # fmt: skip


@st.composite
def some_configs(draw: st.DrawFn) -> Config:
    heads, head_width = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    fraction = st.floats(0, 1, exclude_max=True, allow_subnormal=False)
    vocabulary, positions = draw(st.integers(3, 10**6)), draw(st.integers(3, 10**4))
    ids = st.integers(0, vocabulary - 1)
    labels = tuple(draw(st.lists(st.text(max_size=5), unique=True, max_size=12)))
    return Config(
        vocabulary=vocabulary, width=heads * head_width, layers=draw(st.integers(1, 48)), heads=heads, inner=draw(st.integers(1, 10**4)),
        head_dim=draw(st.sampled_from([None, None, head_width, head_width + 1])),
        positions=positions, types=draw(st.integers(1, 4)), pad_id=draw(st.integers(0, min(vocabulary, positions - 1) - 1)),
        bos_id=draw(ids), eos_id=draw(ids), norm_epsilon=draw(fraction), dropout=draw(fraction), attention_dropout=draw(fraction),
        init_std=draw(fraction), tied=draw(st.booleans()), labels=labels,
        problem=draw(st.sampled_from(["", MULTI, REGRESSION] if len(labels) == 1 else ["", *PROBLEMS])),  # transformers refuses that
    )  # fmt: skip


def test_the_defaults_are_xlm_roberta_base() -> None:
    assert parse(BASE, "here") == Config()
    assert Config().longest == 512
    assert Config().head_width == 64


@given(some_configs())
def test_what_is_dumped_is_parsed_again(config: Config) -> None:
    assert parse(json.loads(json.dumps(dump(config))), "here") == config


@given(some_configs(), st.sampled_from(["float32", "float16", "bfloat16"]))
def test_transformers_reads_what_is_dumped_and_the_other_way_round(config: Config, dtype: str) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.XLMRobertaConfig.from_dict(dump(config, dtype))
    for ours, key, _ in KEYS:
        assert getattr(theirs, key) == getattr(config, ours), key
    assert str(theirs.dtype).removeprefix("torch.") == dtype
    again = parse(json.loads(theirs.to_json_string(use_diff=False)), "here")
    assert replace(again, labels=config.labels) == config
    assert again.labels == (config.labels or ("LABEL_0", "LABEL_1"))


def test_an_absent_key_has_the_value_transformers_gives_it() -> None:
    transformers = pytest.importorskip("transformers")
    defaults = transformers.XLMRobertaConfig().to_dict()
    config = parse({"model_type": "xlm-roberta"}, "here")
    assert {key: getattr(config, ours) for ours, key, _ in KEYS} == {key: defaults[key] for _, key, _ in KEYS}


def test_the_table_and_the_class_tell_the_same() -> None:
    assert {ours for ours, _, _ in KEYS} | {"architectures", "labels", "problem", "head_dim"} == {field.name for field in fields(Config)}


def test_a_heads_width_is_written_only_where_it_is_not_the_usual_one() -> None:
    assert "head_dim" not in dump(Config(head_dim=64))
    assert Config(head_dim=64) == parse(BASE | {"head_dim": 64}, "here") == Config()
    pruned = parse(BASE | {"head_dim": 64, "num_attention_heads": 5}, "here")
    assert (pruned.head_width, pruned.attended) == (64, 320)
    assert dump(pruned)["head_dim"] == 64


@pytest.mark.parametrize("model_type", ["bert", "roberta", "camembert", "xlm-roberta-xl", "xlm", None, 7, ["xlm-roberta"]])
def test_another_architecture_is_refused_by_name(model_type: object) -> None:
    with pytest.raises(OtherArchitecture, match=r"here: model_type is .*; xlmr runs 'xlm-roberta' and no other architecture") as caught:
        parse(BASE | {"model_type": model_type}, "here")
    assert repr(model_type) in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("hidden_act", "relu", "XLM-R has 'gelu'"),
        ("position_embedding_type", "relative_key", "XLM-R has 'absolute'"),
        ("is_decoder", True, "XLM-R has False"),
        ("add_cross_attention", True, "XLM-R has False"),
        ("quantization_config", {"load_in_8bit": True}, "XLM-R has None"),
    ],
)
def test_other_arithmetic_is_refused(key: str, value: object, wanted: str) -> None:
    with pytest.raises(OtherArchitecture, match=f"here: {key} is .*, {wanted}"):
        parse(BASE | {key: value}, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": "768"}, "here: hidden_size is '768', wanted int"),
        ({"hidden_size": 768.0}, "here: hidden_size is 768.0, wanted int"),
        ({"hidden_size": True}, "here: hidden_size is True, wanted int"),
        ({"tie_word_embeddings": 1}, "here: tie_word_embeddings is 1, wanted bool"),
        ({"layer_norm_eps": "1e-5"}, "here: layer_norm_eps is '1e-5', wanted float"),
        ({"layer_norm_eps": float("nan")}, "here: config: norm_epsilon is nan, wanted 0 to below 1"),
        ({"layer_norm_eps": 10**400}, "here: layer_norm_eps is 1000.*, which is too large"),
        ({"hidden_dropout_prob": -0.1}, "here: config: dropout is -0.1, wanted 0 to below 1"),
        ({"num_hidden_layers": 0}, "here: config: layers is 0, wanted 1 to 1000"),
        ({"vocab_size": 10**9}, "here: config: vocabulary is 1000000000, wanted 1 to 4000000"),
        ({"num_attention_heads": 5}, "here: config: width 768 is not a multiple of heads 5"),
        ({"head_dim": 0}, "here: config: head_width is 0, wanted 1 to 65536"),
        ({"head_dim": -64, "num_attention_heads": -12}, "here: config: heads is -12, wanted 1 to 1024"),
        ({"head_dim": "64"}, "here: head_dim is '64', wanted int"),
        ({"pad_token_id": 513}, "here: config: pad_id is 513, wanted below vocabulary 250002 and positions 514"),
        ({"pad_token_id": -1}, "here: config: pad_id is -1, wanted below"),
        ({"eos_token_id": 250002}, "here: config: eos_id is 250002, wanted below vocabulary 250002"),
        ({"architectures": "XLMRobertaModel"}, "here: architectures is 'XLMRobertaModel', wanted a list of strings"),
        ({"id2label": ["a"]}, r"here: id2label is \['a'\], wanted an object of numbers to names"),
        ({"id2label": {"x": "a"}}, "here: id2label is {'x': 'a'}, wanted an object of numbers to names"),
        ({"id2label": {"0": ["a"]}}, r"here: id2label is {'0': \['a'\]}, wanted an object of numbers to names"),
        ({"id2label": {"0": "a", "2": "b"}}, r"here: id2label numbers its labels \[0, 2\], wanted 0 to 1"),
        ({"problem_type": "ranking"}, "here: config: problem_type is 'ranking', wanted one of single_label_classification, multi_label"),
        ({"problem_type": 3}, "here: problem_type is 3, wanted str"),
    ],
)
def test_a_bad_value_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message) as caught:
        parse(BASE | change, "here")
    assert str(caught.value).count("here") == 1


def test_labels_come_in_the_order_of_their_numbers() -> None:
    named = {str(i): f"label {i}" for i in range(12)}
    assert parse(BASE | {"id2label": dict(reversed(named.items()))}, "here").labels == tuple(named.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable as JSON"),
        (b"\xff\xfe", "not readable as text in UTF-8"),
        (b'{"model_type": "xlm-rob', "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b'["xlm-roberta"]', "found a list, wanted a JSON object"),
        (b'{"model_type": "xlm-roberta", "model_type": "bert"}', r"not readable as JSON \('model_type' stands there twice\)"),
    ],
)
def test_a_broken_file_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=f"config.json: {message}"):
        configs.read(path)


def test_a_missing_file_says_what_a_checkpoint_is(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"not found; a checkpoint is a folder with config.json, tokenizer.json and model.safetensors"):
        configs.read(tmp_path / "config.json")
