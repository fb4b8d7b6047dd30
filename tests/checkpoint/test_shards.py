"""Weights in several files: against transformers, which writes them, and indices that cannot be right."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import shards
from xlmr.errors import BadCheckpoint

INDEX = "model.safetensors.index.json"
QUERY = "roberta.encoder.layer.0.attention.self.query.weight"


def index(folder: Path, placed: object) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))


@pytest.fixture
def sharded(tiny: Path, tmp_path: Path, split: Callable[..., dict[str, str]]) -> Path:
    """The tiny model in three files."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    split(folder)
    return folder


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_several_files_answer_as_one_does(runtime: str, tiny: Path, sharded: Path) -> None:
    pytest.importorskip("torch")
    one, several = (xlmr.load(folder, runtime=runtime, threads=1) for folder in (tiny, sharded))
    assert several.fill_mask("the cat <mask> water") == one.fill_mask("the cat <mask> water")
    np.testing.assert_array_equal(several.embed("the cat"), one.embed("the cat"))


def test_what_transformers_shards_is_read(tiny: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    transformers.XLMRobertaForMaskedLM.from_pretrained(tiny).save_pretrained(tmp_path / "model", max_shard_size="20KB")
    assert len(list((tmp_path / "model").glob("model-*.safetensors"))) > 3
    again, first = (checkpoint.weights(checkpoint.open(folder)) for folder in (tmp_path / "model", tiny))
    assert again.keys() == first.keys()
    assert all(np.array_equal(again[name], first[name]) for name in first)


def test_the_shards_may_lie_in_several_folders_of_the_hubs_cache(sharded: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "commit"
    snapshot.parent.mkdir(parents=True)
    sharded.rename(snapshot)
    for i, path in enumerate(sorted(snapshot.glob("*.safetensors"))):
        blob = tmp_path / "blobs" / f"{i}f" / "hash"
        blob.parent.mkdir(parents=True)
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, snapshot))
    assert xlmr.load(snapshot, threads=1).fill_mask("the cat <mask> water")


def test_one_file_comes_before_several(tiny: Path, sharded: Path) -> None:
    shutil.copy(tiny / "model.safetensors", sharded)
    (sharded / INDEX).write_text("broken")
    assert {where.file.name for where in checkpoint.open(sharded).stored.values()} == {"model.safetensors"}


def test_a_shard_exchanged_after_it_was_opened_is_noticed(sharded: Path) -> None:
    model = xlmr.load(sharded, threads=1)
    last = max(sharded.glob("*.safetensors"))
    os.truncate(last, last.stat().st_size - 1)
    with pytest.raises(BadCheckpoint, match=rf"{last.name}: is not as it was when it was opened; it must not change"):
        model.fill_mask("the <mask>")


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match=rf"model-00002-of-00003.safetensors: not found, and {INDEX} says that weights are in it"):
        checkpoint.open(sharded)


def test_a_tensor_that_is_not_where_the_index_says_is_named(sharded: Path) -> None:
    placed = json.loads((sharded / INDEX).read_text())["weight_map"]
    true, other = placed[QUERY], next(name for name in placed.values() if name != placed[QUERY])
    index(sharded, placed | {QUERY: other})
    with pytest.raises(
        BadCheckpoint, match=rf"says that {QUERY} is in {other}, and it is not there; it is in {true}. Are all files of one"
    ):
        checkpoint.open(sharded)
    index(sharded, placed | {"surprise": other})
    with pytest.raises(BadCheckpoint, match=rf"says that surprise is in {other}, and it is not there nor in any other. Are all"):
        checkpoint.open(sharded)


def test_a_tensor_that_the_index_does_not_name_is_named(sharded: Path) -> None:
    placed = json.loads((sharded / INDEX).read_text())["weight_map"]
    index(sharded, {name: shard for name, shard in placed.items() if name != QUERY})
    with pytest.raises(BadCheckpoint, match=rf"{placed[QUERY]}: holds {QUERY}, which {INDEX} does not place there"):
        checkpoint.open(sharded)


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "/etc/secret.safetensors", "sub/a.safetensors", "..\\a.safetensors", ".safetensors", "a\0.safetensors",
     "model.bin", "", "C:a.safetensors", "a.safetensors/../../b.safetensors", "a" * 300 + ".safetensors", "ａ.safetensors"],
)  # fmt: skip
def test_a_shard_that_could_lie_elsewhere_is_refused_by_its_name(name: str, sharded: Path) -> None:
    index(sharded, {QUERY: name})
    with pytest.raises(
        BadCheckpoint, match=rf"weight_map: the file of {QUERY} is '.*', wanted the plain name of a .safetensors file beside"
    ):
        checkpoint.open(sharded)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(sharded: Path) -> None:
    path = sharded / "model-00001-of-00003.safetensors"
    path.rename(sharded.parent / "secret")
    path.symlink_to("../secret")
    with pytest.raises(BadCheckpoint, match=r"model-00001-of-00003.safetensors: is a link that leads out of the model's folder"):
        checkpoint.open(sharded)


def test_a_shard_cut_short_is_refused(sharded: Path) -> None:
    path = sharded / "model-00003-of-00003.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(BadCheckpoint, match=r"model-00003-of-00003.safetensors: tensor .*; it is truncated"):
        checkpoint.open(sharded)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"not readable as JSON \(Expecting value"),
        ("[]", r"found \[\], wanted a JSON object"),
        ("{}", "weight_map: found None, wanted a JSON object"),
        ('{"weight_map": []}', r"weight_map: found \[\], wanted a JSON object"),
        ('{"weight_map": {}}', "weight_map names 0 tensors, wanted 1 to 100,000"),
        ('{"weight_map": {"a": 1}}', "weight_map: the file of a: found 1, wanted a JSON string"),
        ('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "'a' stands there twice"),
        ('{"weight_map": ' * 50_000, "not readable as JSON"),
    ],
)
def test_an_index_that_is_none_is_refused(content: str, message: str, sharded: Path) -> None:
    (sharded / INDEX).write_text(content)
    with pytest.raises(BadCheckpoint, match=rf"{INDEX}.*{message}"):
        checkpoint.open(sharded)


def test_an_index_has_bounds(sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index(sharded, {f"t{i}": f"s{i}.safetensors" for i in range(1001)})
    with pytest.raises(BadCheckpoint, match="weight_map names 1,001 files, at most 1,000 are read"):
        checkpoint.open(sharded)
    monkeypatch.setattr(shards, "MOST_TENSORS", 1000)
    with pytest.raises(BadCheckpoint, match="weight_map names 1,001 tensors, wanted 1 to 1,000"):
        checkpoint.open(sharded)
    os.truncate(sharded / INDEX, shards.LARGEST_INDEX + 1)
    with pytest.raises(BadCheckpoint, match=r"index.json: has [\d,]+ bytes; at most [\d,]+ are read"):
        checkpoint.open(sharded)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
)


@given(
    st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | JSON.map(lambda value: json.dumps({"weight_map": value}).encode())
)
def test_whatever_an_index_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / INDEX
    path.write_bytes(content)
    refused(lambda: shards.parse(path))


def refused(read: Callable[[], Any]) -> None:
    try:
        found = read()
    except BadCheckpoint:
        return
    assert all(shards.PLAIN.fullmatch(name) for name in found.values())
