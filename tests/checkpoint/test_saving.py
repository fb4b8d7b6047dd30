import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from xlmr import checkpoint, tensors
from xlmr.checkpoint import floats, replacing
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput

FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
TEXTS = ["the cat drinks water.", "Das Haus ist groß <mask>", "кошка пьёт", "家 水 <mask> 书", "", " שלום ", "a" * 99]


@pytest.fixture
def saved(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """`saved(weights=…, config=…, folder=…, dtype=…)`: the tiny checkpoint, or those weights, saved anew."""
    opened = checkpoint.open(tiny)

    def save(
        weights: Mapping[str, np.ndarray] | None = None, config: Config = opened.config, folder: Path = tmp_path / "model", **more: Any
    ) -> Path:
        given = checkpoint.weights(opened) if weights is None else weights
        checkpoint.save(folder, config, given, **{"tokenizer": tiny / "tokenizer.json"} | more)
        return folder

    return save


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def alone(folder: Path) -> bool:
    """Whether nothing was left lying beside it."""
    return names(folder.parent) == {folder.name}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_is_saved_is_read_again(dtype: str, tied: bool, make_checkpoint: Callable[..., Path], saved: Callable[..., Path]) -> None:
    first = checkpoint.open(make_checkpoint(replace(Config(vocabulary=501, width=24, layers=1, heads=3, inner=7, positions=9), tied=tied)))
    weights = checkpoint.weights(first)
    again = checkpoint.open(saved(weights, first.config, dtype=dtype))
    assert again.config == first.config
    assert {where.dtype for where in again.stored.values()} == {dtype}
    for name, values in checkpoint.weights(again).items():
        np.testing.assert_array_equal(values, floats.widen(floats.narrow(weights[name], dtype), dtype))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_transformers_loads_what_is_saved(dtype: str, tied: bool, make_checkpoint: Callable[..., Path]) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    config = Config(vocabulary=500, width=24, layers=2, heads=3, inner=40, positions=66, tied=tied)
    folder = make_checkpoint(config, dtype=dtype)
    model, report = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert {kind: list(found) for kind, found in report.items() if found} == {}
    assert model.dtype == getattr(torch, dtype)
    fresh = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig.from_pretrained(folder)).to(model.dtype)
    fresh.load_state_dict(by_their_names(checkpoint.open(folder), torch))
    ids = torch.tensor([[0, 4, 11, 499, 14, 2], [0, 9, 2, 1, 1, 1]])
    with torch.no_grad():
        assert torch.equal(model.eval()(ids, ids != 1).logits, fresh.eval()(ids, ids != 1).logits)


def by_their_names(opened: checkpoint.Checkpoint, torch: Any) -> dict[str, Any]:
    """Every entry of transformers' state, both names of what is there twice."""
    table = [*tensors.encoder(opened.config), *tensors.mlm_head(opened.config)]
    state = {tensor.hf: torch.from_numpy(checkpoint.read(opened, tensor.name)) for tensor in table}
    state["lm_head.decoder.bias"] = state["lm_head.bias"]
    state.setdefault("lm_head.decoder.weight", state["roberta.embeddings.word_embeddings.weight"])
    return state


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_what_transformers_saves_is_read(dtype: str, tied: bool, tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    config = transformers.XLMRobertaConfig(
        vocab_size=99, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=40,
        type_vocab_size=1, tie_word_embeddings=tied,
    )  # fmt: skip
    model = transformers.XLMRobertaForMaskedLM(config)
    for i, values in enumerate(model.parameters()):
        torch.nn.init.normal_(values, generator=torch.Generator().manual_seed(i))
    model.to(getattr(torch, dtype)).save_pretrained(tmp_path)
    opened = checkpoint.open(tmp_path)
    assert opened.config.tied == tied
    theirs = {name: values.float() for name, values in model.state_dict().items()}
    theirs["lm_head.bias"] = theirs["lm_head.decoder.bias"]  # of the two biases the one it computes with
    ours = by_their_names(opened, torch)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert {where.dtype for where in opened.stored.values()} == {dtype}


@pytest.mark.parametrize("prefixed", [True, False])
def test_encoders_without_a_head_go_both_ways(prefixed: bool, make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = make_checkpoint(head=False)
    model, report = transformers.AutoModel.from_pretrained(ours, add_pooling_layer=False, output_loading_info=True)
    assert {kind: list(found) for kind, found in report.items() if found} == {}
    assert model.config.architectures == ["XLMRobertaModel"]
    theirs = transformers.XLMRobertaForTokenClassification.from_pretrained(ours) if prefixed else model
    theirs.save_pretrained(tmp_path)
    first, again = checkpoint.weights(checkpoint.open(ours)), checkpoint.weights(checkpoint.open(tmp_path))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(("head", "named"), [(False, "XLMRobertaModel"), (True, "XLMRobertaForMaskedLM")])
def test_the_config_names_the_heads_that_are_written_and_no_other(head: bool, named: str, tiny: Path, saved: Callable[..., Path]) -> None:
    opened = checkpoint.open(tiny)
    weights = {name: of for name, of in checkpoint.weights(opened).items() if head or not name.startswith("head.")}
    tuned = replace(opened.config, architectures=("XLMRobertaForSequenceClassification",), labels=("no", "yes"))
    again = checkpoint.open(saved(weights, tuned)).config
    assert (again.architectures, again.labels) == ((named,), ())


def test_transformers_takes_the_tokenizer_as_it_is(tiny: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours, theirs = Tokenizer.from_file(str(tiny / "tokenizer.json")), transformers.AutoTokenizer.from_pretrained(tiny)
    assert [theirs(text).input_ids for text in TEXTS] == [ours.encode(text).ids for text in TEXTS]
    assert theirs("the cat", "le chat").input_ids == ours.encode("the cat", "le chat").ids
    assert (theirs.bos_token_id, theirs.pad_token_id, theirs.eos_token_id, theirs.unk_token_id, theirs.mask_token_id) == (0, 1, 2, 3, 499)
    assert (theirs.cls_token_id, theirs.sep_token_id) == (0, 2)
    assert theirs.model_max_length == 64
    assert isinstance(theirs, transformers.XLMRobertaTokenizer)


def test_files_are_the_named_ones_and_readable_by_the_group(saved: Callable[..., Path]) -> None:
    before = os.umask(0o022)
    try:
        folder = saved()
    finally:
        os.umask(before)
    assert names(folder) == FILES
    assert FILES | {"tagging.safetensors", "answering.safetensors"} == replacing.WRITTEN
    assert alone(folder)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_tensors_begin_at_multiples_of_64_bytes(saved: Callable[..., Path]) -> None:
    stored = checkpoint.open(saved(dtype="float16")).stored
    assert {where.offset % 64 for where in stored.values()} <= {0}


def test_a_folder_can_be_saved_over_itself(saved: Callable[..., Path]) -> None:
    folder = saved()
    opened = checkpoint.open(folder)
    weights = checkpoint.weights(opened)
    weights["head.bias"] = weights["head.bias"] + 1
    saved(weights, opened.config, folder, tokenizer=folder / "tokenizer.json")
    np.testing.assert_array_equal(checkpoint.read(checkpoint.open(folder), "head.bias"), weights["head.bias"])
    assert names(folder) == FILES
    assert alone(folder)


def test_an_empty_folder_is_filled_and_parents_are_made(saved: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert names(saved()) == FILES
    assert names(saved(folder=tmp_path / "deep" / "er")) == FILES


def test_a_link_to_a_folder_stays_a_link(saved: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    saved(folder=tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "place") == FILES


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"notes.txt"}, "model: holds notes.txt, which would be lost; save to a new or empty folder"),
        (FILES | {".git", "README.md"}, "model: holds .git, README.md, which would be lost"),
        ({"tokenizer.json"}, "model: holds tokenizer.json and no config.json, so it is no checkpoint"),
    ],
)
def test_a_folder_with_other_things_is_left_alone(made: set[str], message: str, saved: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in made:
        (folder / name).write_text("mine")
    with pytest.raises(BadInput, match=message):
        saved()
    assert names(folder) == made
    assert alone(folder)


def test_a_file_in_the_way_is_left_alone(saved: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(BadInput, match="model: is a file; a checkpoint is saved as a folder"):
        saved()
    assert (tmp_path / "model").read_text() == "mine"


class Failing(dict[str, np.ndarray]):
    """Weights that can be looked at once, not taken twice: so that writing fails in the middle."""

    def __init__(self, weights: Mapping[str, np.ndarray], error: BaseException) -> None:
        super().__init__(weights)
        self.error, self.left = error, len(weights) * 3 // 2

    def __getitem__(self, name: str) -> np.ndarray:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().__getitem__(name)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_changes_nothing(
    there: bool, error: BaseException, tiny: Path, saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder, weights = tmp_path / "model", checkpoint.weights(checkpoint.open(tiny))
    if there:
        saved()
    with pytest.raises(type(error)) as caught:
        saved(Failing(weights, error))
    assert names(tmp_path) == ({"model"} if there else set())
    if there:
        assert all(np.array_equal(weights[name], values) for name, values in checkpoint.weights(checkpoint.open(folder)).items())
    if isinstance(error, OSError):
        assert str(caught.value) == f"[Errno 28] No space left on device; nothing was saved: '{folder}'"


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    saved: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = saved(), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied; nothing was saved"):
        saved()
    assert names(folder) == FILES
    assert alone(folder)


KILLED = """
import os, signal, sys
from xlmr import checkpoint, tensors
opened = checkpoint.open(sys.argv[1])
class Weights(dict):
    def __getitem__(self, name):
        if name == "layers.1.query.weight" and os.listdir(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(name)
checkpoint.save(sys.argv[2] + "/model", opened.config, Weights(checkpoint.weights(opened)), tokenizer=sys.argv[1] + "/tokenizer.json")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills differently")
def test_a_killed_save_leaves_no_folder_that_looks_finished(tiny: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tiny), str(tmp_path)], check=False, env=environment())
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    for left in tmp_path.iterdir():
        assert left.name.startswith(".model.")
        with pytest.raises(BadCheckpoint):
            checkpoint.open(left)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("layers.0.query.weight"),
            r"weights and config disagree: missing \['layers.0.query.weight'\], not in the config \[\]",
        ),
        (lambda w: w.pop("head.norm.bias"), r"missing \['head.norm.bias'\]"),
        (lambda w: w.update(surprise=np.zeros(2)), r"missing \[\], not in the config \['surprise'\]"),
        (lambda w: w.update({"head.words.weight": np.zeros((500, 32))}), r"not in the config \['head.words.weight'\]"),
        (lambda w: w.update({"head.bias": np.zeros(499)}), r"head.bias has shape \(499,\), the config wants \(500,\)"),
        (lambda w: w["head.bias"].__setitem__(3, np.nan), "head.bias holds numbers that are not finite in float16"),
        (lambda w: w["head.bias"].__setitem__(3, 1e6), "head.bias holds numbers that are not finite in float16"),
    ],
)
def test_weights_that_cannot_be_a_checkpoint_are_refused(
    change: Callable[[dict[str, np.ndarray]], object], message: str, tiny: Path, saved: Callable[..., Path], tmp_path: Path
) -> None:
    weights = checkpoint.weights(checkpoint.open(tiny))
    change(weights)
    with pytest.raises(BadCheckpoint, match=message):
        saved(weights, dtype="float16")
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"dtype": "int8"}, "dtype 'int8' is not known; wanted one of float32, float16, bfloat16"),
        ({"tokenizer": "nowhere/tokenizer.json"}, "nowhere/tokenizer.json: not found; wanted a tokenizer.json"),
        ({"tokenizer": __file__}, "test_saving.py: is no JSON, wanted a tokenizer.json; of a sentencepiece.bpe.model, `xlmr import` makes"),
    ],
)
def test_wrong_arguments_are_named(more: dict[str, str], message: str, saved: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        saved(**more)
    assert names(tmp_path) == set()


class Lazy(Mapping[str, np.ndarray]):
    """Weights read when they are asked for."""

    def __init__(self, opened: checkpoint.Checkpoint) -> None:
        self.opened = opened

    def __getitem__(self, name: str) -> np.ndarray:
        return checkpoint.read(self.opened, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.opened.stored)

    def __len__(self) -> int:
        return len(self.opened.stored)


def test_weights_may_be_read_one_by_one_as_they_are_written(tiny: Path, saved: Callable[..., Path]) -> None:
    again = load_file(saved(Lazy(checkpoint.open(tiny))) / "model.safetensors")
    first = load_file(tiny / "model.safetensors")
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
