import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from xlmr import checkpoint
from xlmr.checkpoint import attachments, saving
from xlmr.checkpoint.attachments import HELD, Attachment, Attachments, fingerprint
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput

FIT = "xlmr fit nouns"
NAME = "nouns"
ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.array([7, 1], np.uint32)}
FACTS = {"classes": ["Haus", "家"], "layer": 1}

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@pytest.fixture
def model(make_checkpoint: Callable[..., Path]) -> checkpoint.Checkpoint:
    return checkpoint.open(make_checkpoint(Config(vocabulary=500, width=8, layers=1, heads=2, inner=8, positions=9)))


def written(model: checkpoint.Checkpoint, arrays: Any = ARRAYS, facts: Any = FACTS) -> Path:
    return attachments.write(model.folder, NAME, Attachment(arrays, facts), fingerprint(model))


@in_one_folder
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from([*HELD.values()]), st.lists(st.integers(0, 4), max_size=3)),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=5), json_values, max_size=4),
)
def test_what_is_written_is_read_again(model, arrays, facts):
    made = {name: np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape) for name, (dtype, shape) in arrays.items()}
    written(model, made, facts)
    found = attachments.read(model, NAME, FIT)
    assert found.facts == facts
    assert found.arrays.keys() == made.keys()
    for name, array in made.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_it_is_a_safetensors_file_that_other_libraries_read(model):
    loaded = load_file(written(model))
    assert {name: array.tolist() for name, array in loaded.items()} == {name: array.tolist() for name, array in ARRAYS.items()}


def test_a_model_without_one_has_none_and_is_not_looked_at(model, monkeypatch):
    monkeypatch.setattr(attachments, "fingerprint", lambda _: pytest.fail("computed for nothing"))
    assert Attachments(model).find(NAME, FIT, pytest.fail) is None
    with pytest.raises(BadCheckpoint, match=r"nouns.safetensors: not found; make it with: xlmr fit nouns"):
        attachments.read(model, NAME, FIT)


def test_it_is_read_once(model):
    path = written(model)
    held = Attachments(model)
    first = held.find(NAME, FIT, lambda found: found.facts)
    path.unlink()
    assert held.find(NAME, FIT, pytest.fail) is first is not None


def test_another_encoder_is_refused_and_says_what_to_do(model, make_checkpoint):
    other = checkpoint.open(make_checkpoint(model.config, seed=1))
    attachments.write(other.folder, NAME, Attachment(ARRAYS, FACTS), fingerprint(model))
    with pytest.raises(BadCheckpoint) as raised:
        attachments.read(other, NAME, FIT)
    for part in (str(other.folder), fingerprint(model), fingerprint(other), FIT):
        assert part in str(raised.value)


def test_an_earlier_one_is_replaced_and_nothing_is_left_beside_it(model):
    before = {path.name for path in model.folder.iterdir()}
    written(model)
    written(model, {"one": np.ones(3, np.int8)}, {})
    assert attachments.read(model, NAME, FIT).arrays["one"].tolist() == [1, 1, 1]
    assert {path.name for path in model.folder.iterdir()} == before | {"nouns.safetensors"}


def test_what_cannot_be_written_leaves_the_earlier_one(model, monkeypatch):
    written(model)
    with pytest.raises(BadInput, match="not finite"):
        written(model, {"one": np.array([np.nan], np.float32)})
    with monkeypatch.context() as small:
        small.setattr(attachments, "LARGEST", 9)
        with pytest.raises(BadInput, match="1 arrays of 12 bytes; at most 256 of 9 bytes are kept"):
            written(model, {"one": np.ones(3, np.float32)})
    monkeypatch.setattr(attachments.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        written(model, {"one": np.ones(3, np.int8)})
    monkeypatch.undo()
    assert attachments.read(model, NAME, FIT).facts == FACTS
    assert not [path for path in model.folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"attachment": "verbs"}, "name the attachment verbs, wanted nouns"),
        ({}, "name the attachment none, wanted nouns"),
        ({"attachment": NAME, "version": "2"}, "is of version 2, this xlmr reads 1"),
        ({"attachment": NAME, "version": "1"}, "another encoder (none named"),
        ({"attachment": NAME, "version": "1", "encoder": "x" * 999}, "another encoder (xxx"),
        ({"attachment": NAME, "version": "1", "facts": "[1]"}, "facts: found [1], wanted a JSON object"),
        ({"attachment": NAME, "version": "1", "facts": "[" * 100_000}, "facts are not readable as JSON"),
        ({"attachment": NAME, "version": "1", "facts": '{"a": NaN}'}, "facts are not readable as JSON"),
        ({"attachment": NAME, "version": "1", "facts": '{"a": 1, "a": 2}'}, "'a' stands there twice"),
        ({"attachment": NAME, "version": "1", "facts": " " * 2_000_000}, "facts have 2,000,000 characters"),
    ],
)
def test_what_a_stranger_says_is_refused_shortly(model, said, complaint):
    save_file(ARRAYS, model.folder / "nouns.safetensors", said)
    with pytest.raises(BadCheckpoint) as raised:
        attachments.read(model, NAME, FIT)
    assert complaint in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize("array", [np.array([np.inf], np.float32), np.array([True]), np.array([1], np.uint64)], ids=["inf", "bool", "u64"])
def test_arrays_that_nothing_computes_with_are_refused(model, array):
    said = {"attachment": NAME, "version": "1", "encoder": fingerprint(model)}
    save_file({"strange": array}, model.folder / "nouns.safetensors", said)
    with pytest.raises(BadCheckpoint, match="strange"):
        attachments.read(model, NAME, FIT)


def test_metadata_that_are_no_strings_are_not_believed(model):
    text = json.dumps({"__metadata__": {"attachment": [NAME], "version": 1}}).encode()
    (model.folder / "nouns.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(BadCheckpoint, match="name the attachment none"):
        attachments.read(model, NAME, FIT)


def test_arrays_are_held_against_what_is_wanted():
    held = Attachment(ARRAYS)
    assert attachments.array(held, "weights", "f", (2, None), "here") is ARRAYS["weights"]
    for key, kinds, shape in (("none", "f", ()), ("weights", "i", (2, 3)), ("weights", "f", (2,)), ("weights", "f", (None, 2))):
        with pytest.raises(BadCheckpoint, match="here"):
            attachments.array(held, key, kinds, shape, "here")


# -- the fingerprint --


def test_the_same_weights_have_the_same_fingerprint_in_float32_and_float16_and_whatever_their_head(model, tmp_path):
    weights = checkpoint.weights(model)
    bare = {name: values for name, values in weights.items() if not name.startswith("head.")}
    seen = set()
    for dtype, of in (("float32", weights), ("float16", weights), ("float16", bare)):
        folder = tmp_path / f"{dtype}{len(of)}"
        saving.save(folder, model.config, of, tokenizer=model.folder / "tokenizer.json", dtype=dtype)
        seen.add(fingerprint(checkpoint.open(folder)))
    assert seen == {fingerprint(model)}


def test_any_tensor_that_is_trained_changes_it(model, tmp_path):
    weights = checkpoint.weights(model)
    seen = {fingerprint(model)}
    trained = [name for name in weights if not name.startswith("head.")]
    for name in trained:
        folder = tmp_path / name
        step = np.float32(0.001) * np.random.default_rng(0).standard_normal(weights[name].shape).astype(np.float32)
        saving.save(folder, model.config, {**weights, name: weights[name] + step}, tokenizer=model.folder / "tokenizer.json")
        seen.add(fingerprint(checkpoint.open(folder)))
    assert len(seen) == len(trained) + 1


def test_sizes_that_no_tensor_tells_change_it(model):
    assert fingerprint(replace(model, config=replace(model.config, heads=4))) != fingerprint(model)


def test_of_a_large_tensor_its_first_and_last_numbers_count(make_checkpoint, tmp_path):
    model = checkpoint.open(make_checkpoint(Config(vocabulary=2_000, width=8, layers=1, heads=2, inner=8, positions=9)))
    weights = checkpoint.weights(model)
    seen = {fingerprint(model)}
    for row in (0, -1):
        changed = weights["embeddings.words.weight"].copy()
        changed[row] += 1
        folder = tmp_path / str(row)
        saving.save(folder, model.config, {**weights, "embeddings.words.weight": changed}, tokenizer=model.folder / "tokenizer.json")
        seen.add(fingerprint(checkpoint.open(folder)))
    assert len(seen) == 3
