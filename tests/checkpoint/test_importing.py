"""Pickles of PyTorch and fairseq made folders of ours; and what must never happen on the way."""
# ruff: noqa: F811  # fixtures are asked for by their names

import argparse
import builtins
import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickled_models import _in_this_process, names, own_process, pickled, same_weights, state  # noqa: F401

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import importing
from xlmr.checkpoint.importing import Bounds
from xlmr.errors import BadCheckpoint, BadInput, MissingExtra

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process")

QUERY = "roberta.encoder.layer.0.attention.self.query.weight"
TEXT = "the cat <mask> water"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "as before 2020"])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_pickle_of_pytorch_becomes_a_folder_of_ours(
    zipped: bool, named: str, tiny: Path, pickled: Callable[..., Path], tmp_path: Path
) -> None:
    folder = pickled(_use_new_zipfile_serialization=zipped)
    made = importing.convert(folder / "pytorch_model.bin" if named == "file" else folder, tmp_path / "new")
    assert made == tmp_path / "new"
    assert names(made) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert same_weights(made, tiny)
    assert xlmr.load(made, threads=1).fill_mask(TEXT) == xlmr.load(tiny, threads=1).fill_mask(TEXT)
    assert names(tmp_path) == {"old", "new"}


def test_what_transformers_wrote_as_a_pickle_comes_along_with_its_head(tiny: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.XLMRobertaForTokenClassification.from_pretrained(tiny, id2label={0: "O", 1: "B"}, label2id={"O": 0, "B": 1})
    model.config.save_pretrained(tmp_path / "old")
    model.config.architectures = ["XLMRobertaForTokenClassification"]
    model.config.save_pretrained(tmp_path / "old")
    shutil.copy(tiny / "tokenizer.json", tmp_path / "old")
    content = model.state_dict() | {"roberta.embeddings.position_ids": torch.arange(66)[None]}
    torch.save(content, tmp_path / "old" / "pytorch_model.bin")
    made = importing.convert(tmp_path / "old", tmp_path / "new")
    head = checkpoint.open(made).task
    assert head is not None
    assert (head.task, head.labels) == ("token classification", ("O", "B"))
    again = transformers.XLMRobertaForTokenClassification.from_pretrained(made)
    assert all(torch.equal(of, model.state_dict()[name]) for name, of in again.state_dict().items())


def test_several_pickles_with_an_index_become_one_file(tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    (folder / "pytorch_model.bin").unlink()
    tensors = state(tiny)
    placed = {name: f"pytorch_model-{i % 2 + 1:05}-of-00002.bin" for i, name in enumerate(tensors)}
    for shard in set(placed.values()):
        torch.save({name: of for name, of in tensors.items() if placed[name] == shard}, folder / shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": placed}))
    assert same_weights(importing.convert(folder, tmp_path / "new"), tiny)
    (folder / min(placed.values())).unlink()
    with pytest.raises(BadCheckpoint, match=r"00001-of-00002.bin: not found, and its index says that weights are in it"):
        importing.convert(folder, tmp_path / "another")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_stored_type_is_kept(dtype: str, tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    halves = {name: of.to(getattr(torch, dtype)) for name, of in state(tiny).items()}
    made = importing.convert(pickled(halves), tmp_path / "new")
    stored = checkpoint.open(made).stored.values()
    assert {of.dtype for of in stored} == {dtype}
    assert np.array_equal(checkpoint.read(checkpoint.open(made), "layers.0.query.weight"), halves[QUERY].float().numpy())


def test_types_that_differ_become_float32(tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    mixed = state(tiny) | {QUERY: state(tiny)[QUERY].half()}
    made = importing.convert(pickled(mixed), tmp_path / "new")
    assert {of.dtype for of in checkpoint.open(made).stored.values()} == {"float32"}


def test_a_copy_of_a_tied_matrix_is_left_out(tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    tensors = state(tiny)
    tensors["lm_head.decoder.weight"] = tensors["roberta.embeddings.word_embeddings.weight"]
    tensors["lm_head.decoder.bias"] = tensors["lm_head.bias"]
    made = importing.convert(pickled(tensors), tmp_path / "new")
    assert (made / "model.safetensors").stat().st_size == (tiny / "model.safetensors").stat().st_size


def test_a_folder_with_its_sentencepiece_file_only_gets_a_tokenizer_json(
    tiny: Path, unpack: Callable[[Path], Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny, tmp_path / "old")
    folder = unpack(tmp_path / "old")
    for source in (folder, folder / "sentencepiece.bpe.model"):
        made = importing.convert(source, tmp_path / "new")
        assert (made / "tokenizer.json").is_file()
        assert xlmr.load(made, threads=1).fill_mask(TEXT) == xlmr.load(tiny, threads=1).fill_mask(TEXT)
    transformers = pytest.importorskip("transformers")
    ours = xlmr.load(made, threads=1).tokenizer.encode("the cat drinks water").ids
    assert transformers.AutoTokenizer.from_pretrained(made)("the cat drinks water")["input_ids"] == ours


def test_several_safetensors_come_along(tiny: Path, split: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "old")
    split(tmp_path / "old")
    assert same_weights(importing.convert(tmp_path / "old", tmp_path / "new"), tiny)


# -- malice --


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return builtins.exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("where", ["alone", "beside the weights", "in fairseq's arguments"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "as before 2020"])
def test_a_malicious_pickle_is_refused(where: str, zipped: bool, tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    harm = Harm(tmp_path / "harm")
    content = {
        "alone": harm,
        "beside the weights": state(tiny) | {"harm": harm},
        "in fairseq's arguments": {"model": {}, "args": argparse.Namespace(harm=harm)},
    }[where]
    folder = pickled(content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin: asks for exec, which no weights need; .*nothing was imported"):
        importing.convert(folder, tmp_path / "new")
    assert names(tmp_path) == {"old"}
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "harm").exists()  # it would have been


def test_a_process_of_its_own_opens_what_is_sound_and_refuses_what_is_malicious(
    own_process: None, tiny: Path, pickled: Callable[..., Path], tmp_path: Path
) -> None:
    folder = pickled()
    assert same_weights(importing.convert(folder, tmp_path / "new"), tiny)
    torch.save(Harm(tmp_path / "harm"), folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="exec, which no weights need"):
        importing.convert(folder, tmp_path / "another")
    assert names(tmp_path) == {"old", "new"}


def test_a_tensor_larger_than_its_numbers_fills_no_disk(tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    huge = state(tiny) | {QUERY: torch.zeros(1).expand(1 << 40)}
    with pytest.raises(BadCheckpoint, match=r"its tensors take [\d,]+ bytes, and a file of its size has at most"):
        importing.convert(pickled(huge), tmp_path / "new")
    assert names(tmp_path) == {"old"}


def test_memory_has_a_bound(own_process: None, pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled({"weights": torch.ones(16 << 20)})
    with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin: takes more than 0.0 GB of memory; allow more with --memory"):
        importing.convert(folder, tmp_path / "new", bounds=Bounds(memory=1 << 24))
    assert names(tmp_path) == {"old"}


def test_time_has_a_bound(own_process: None, pickled: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin: took longer than 0.01 seconds to open; nothing was imported. Allow more"):
        importing.convert(pickled(), tmp_path / "new", bounds=Bounds(seconds=0.01))
    assert names(tmp_path) == {"old"}


def test_a_process_that_dies_is_told(
    own_process: None, pickled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(BadCheckpoint, match=r"the process that opened it ended with 1 and no answer; nothing was imported"):
        importing.convert(pickled(), tmp_path / "new")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds a list, wanted tensors by their names"),
        ({"a": 7}, "holds a int as 'a', wanted nothing but tensors by their names"),
        ({7: torch.ones(2)}, "holds a Tensor as '7', wanted nothing but tensors"),
        ({"state_dict": {"a": torch.ones(2)}}, "holds a dict as 'state_dict', wanted nothing but tensors"),
        ({"a": torch.ones(2, dtype=torch.int64)}, r"a is torch.int64, torch.strided, cpu; wanted one of float32, float16, bfloat16"),
        ({"a": torch.ones(2).to_sparse()}, r"a is torch.float32, torch.sparse_coo, cpu; wanted"),
        ({"a": torch.ones(2, device="meta")}, r"a is torch.float32, torch.strided, meta; wanted"),
        ({"model": {"a": torch.ones(2)}}, "has a `model` and no arguments"),
        ({"a": torch.ones(2)}, "are missing, of 37 that a tied XLM-R of 2 layers has"),
        ({"a" * 100_000: 7}, "holds a int as 'a{200}…'"),
        ({"a" * 100_000: torch.ones(2, dtype=torch.int64)}, ": a{200}… is torch.int64"),
    ],
)
def test_a_pickle_of_something_else_is_refused(content: object, message: str, pickled: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=message) as caught:
        importing.convert(pickled(content), tmp_path / "new")
    assert ".new" not in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert names(tmp_path) == {"old"}


@pytest.mark.parametrize("content", [b"", b"no pickle at all", b"PK\x03\x04 a zip cut short", b"\x80\x02(((((((("])
def test_a_file_that_is_no_pickle_is_refused(content: bytes, pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin: cannot be opened as a file of weights \(\w+"):
        importing.convert(folder, tmp_path / "new")
    assert names(tmp_path) == {"old"}


def test_how_to_open_it_in_spite_of_all_is_not_told(tiny: Path, pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    shutil.copy(tiny / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="cannot be opened as a file of weights") as caught:
        importing.convert(folder, tmp_path / "new")
    assert "torch.load" not in str(caught.value)


def test_a_pickle_cut_short_is_refused(pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    os.truncate(folder / "pytorch_model.bin", (folder / "pytorch_model.bin").stat().st_size // 2)
    with pytest.raises(BadCheckpoint, match="cannot be opened as a file of weights"):
        importing.convert(folder, tmp_path / "new")


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_what_must_lie_beside_the_weights_is_named(missing: str, pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    (folder / missing).unlink()
    with pytest.raises(BadCheckpoint, match=rf"old/{missing}: not found"):
        importing.convert(folder, tmp_path / "new")
    assert names(tmp_path) == {"old"}


def test_a_link_out_of_the_folder_is_not_opened(pickled: Callable[..., Path], tmp_path: Path) -> None:
    folder = pickled()
    (folder / "pytorch_model.bin").rename(tmp_path / "secret")
    (folder / "pytorch_model.bin").symlink_to("../secret")
    with pytest.raises(BadCheckpoint, match=r"pytorch_model.bin: is a link that leads out of the model's folder"):
        importing.convert(folder, tmp_path / "new")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "nowhere: not found; wanted a file of weights"), ("empty", "empty: has no weights; wanted one of model.safetensors"),
     ("notes.txt", "notes.txt: is of no kind that is imported; wanted model.safetensors")],
)  # fmt: skip
def test_what_cannot_be_imported_says_so(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadCheckpoint, match=message):
        importing.convert(tmp_path / name, tmp_path / "new")


def test_a_folder_with_something_else_is_not_replaced(pickled: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").touch()
    with pytest.raises(BadInput, match=r"holds thesis.txt, which would be lost"):
        importing.convert(pickled(), tmp_path / "new")
    assert names(tmp_path / "new") == {"thesis.txt"}


def test_without_pytorch_its_extra_is_named(pickled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "find_spec", lambda name: None if name == "torch" else util.find_spec(name))
    with pytest.raises(MissingExtra, match=r"opening a pickle needs packages that are not installed. Run: pip install 'xlmr\[train\]'"):
        importing.convert(pickled(), tmp_path / "new")
    assert names(tmp_path) == {"old"}


@pytest.mark.usefixtures("own_process")
def test_where_pytorch_is_there_and_broken_it_says_why(
    pickled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pickled()
    (tmp_path / "torch.py").write_text("raise OSError('libtorch_cpu.so: cannot open')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"cannot be imported \(OSError: libtorch_cpu\.so: cannot open\)"):
        importing.convert(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_where_memory_cannot_be_limited_nothing_is_opened(
    pickled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(BadInput, match="this system sets none; import it on Linux"):
        importing.convert(pickled(), tmp_path / "new")
