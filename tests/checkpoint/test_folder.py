import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import xlmr
from xlmr import checkpoint, tensors
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadCheckpoint, OtherArchitecture

Arrays = dict[str, np.ndarray]
Change = Callable[[Arrays], object]

WORDS = "roberta.embeddings.word_embeddings.weight"
QUERY = "roberta.encoder.layer.0.attention.self.query.weight"
DECODER, BIAS, DECODER_BIAS = "lm_head.decoder.weight", "lm_head.bias", "lm_head.decoder.bias"


@pytest.fixture
def changed(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """`changed(change, key=value, …)`: a copy of the tiny checkpoint with other tensors and another config."""

    def copy(change: Change = lambda arrays: None, **config: Any) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny, folder)
        arrays = load_file(folder / "model.safetensors")
        change(arrays)
        save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return folder

    return copy


def drop(*starts: str) -> Change:
    def change(arrays: Arrays) -> None:
        for name in [name for name in arrays if name.startswith(starts)]:
            del arrays[name]

    return change


def bare(arrays: Arrays) -> None:
    """As an encoder is saved alone: no head, no prefix, and a pooler."""
    drop("lm_head.")(arrays)
    for name in list(arrays):
        arrays[name.removeprefix("roberta.")] = arrays.pop(name)
    arrays["pooler.dense.weight"] = np.zeros((32, 32), np.float32)
    arrays["embeddings.position_ids"] = np.arange(66)[None]


def test_every_tensor_is_found_under_our_name(tiny: Path) -> None:
    opened, arrays = checkpoint.open(tiny), load_file(tiny / "model.safetensors")
    assert opened.folder == tiny
    assert opened.has_mlm_head
    table = [*tensors.encoder(opened.config), *tensors.mlm_head(opened.config)]
    assert list(opened.stored) == [tensor.name for tensor in table]
    content = (tiny / "model.safetensors").read_bytes()
    for tensor in table:
        where = opened.stored[tensor.name]
        assert where.shape == tensor.shape(opened.config)
        assert content[where.offset :][: where.length] == arrays[tensor.hf].tobytes()
        np.testing.assert_array_equal(checkpoint.read(opened, tensor.name), arrays[tensor.hf])


def test_an_encoder_alone_has_no_head_and_may_have_no_prefix(tiny: Path, changed: Callable[..., Path]) -> None:
    opened = checkpoint.open(changed(bare, architectures=["XLMRobertaModel"]))
    assert not opened.has_mlm_head
    whole = checkpoint.weights(checkpoint.open(tiny))
    alone = checkpoint.weights(opened)
    assert set(alone) == {name for name in whole if not name.startswith("head.")}
    assert all(np.array_equal(alone[name], whole[name]) for name in alone)


def other(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape, np.float32)


def put(**made: Callable[[Arrays], np.ndarray]) -> Change:
    names = {"weight": DECODER, "bias": DECODER_BIAS}
    return lambda arrays: arrays.update({names[key]: make(arrays) for key, make in made.items()})


def renamed(*pairs: tuple[str, str]) -> Change:
    return lambda arrays: arrays.update({new: arrays.pop(old) for old, new in pairs})


HEADS: dict[str, tuple[Change, bool]] = {
    # how the file has the head, and whether it is tied after all
    "as it is": (lambda arrays: None, True),
    "the same twice": (put(weight=lambda a: a[WORDS].copy(), bias=lambda a: a[BIAS].copy()), True),
    "another matrix": (put(weight=lambda a: other((500, 32))), False),
    "another matrix and bias": (put(weight=lambda a: other((500, 32)), bias=lambda a: other((500,))), False),
    "another bias": (put(bias=lambda a: other((500,))), True),
    "the matrix under its other name only": (renamed((WORDS, DECODER)), True),
    "the bias under its other name only": (renamed((BIAS, DECODER_BIAS)), True),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_said_to_be_tied_is_what_transformers_makes_of_it(head: str, changed: Callable[..., Path]) -> None:
    change, tied = HEADS[head]
    folder = changed(change)
    opened = checkpoint.open(folder)
    assert opened.config.tied == tied
    assert same_head(opened, folder)


def test_a_head_that_is_not_tied_is_what_transformers_makes_of_it(changed: Callable[..., Path]) -> None:
    folder = changed(put(weight=lambda a: other((500, 32)), bias=lambda a: other((500,))), tie_word_embeddings=False)
    opened = checkpoint.open(folder)
    assert not opened.config.tied
    assert same_head(opened, folder)


def test_a_head_that_is_not_tied_and_has_one_bias_uses_it(changed: Callable[..., Path]) -> None:
    # As transformers 4 saved it; transformers 5.23 would start that bias from zeros, and says so.
    folder = changed(put(weight=lambda a: other((500, 32))), tie_word_embeddings=False)
    np.testing.assert_array_equal(checkpoint.read(checkpoint.open(folder), "head.bias"), load_file(folder / "model.safetensors")[BIAS])


def same_head(opened: checkpoint.Checkpoint, folder: Path) -> bool:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.XLMRobertaForMaskedLM.from_pretrained(folder)
    decoder, words = theirs.get_output_embeddings(), theirs.get_input_embeddings()
    ours = checkpoint.weights(opened)
    return (
        np.array_equal(ours.get("head.words.weight", ours["embeddings.words.weight"]), decoder.weight.detach().numpy())
        and np.array_equal(ours["embeddings.words.weight"], words.weight.detach().numpy())
        and np.array_equal(ours["head.bias"], decoder.bias.detach().numpy())
    )


@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_a_second_copy_is_compared_to_its_end(stored: Any, changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint.folders, "BLOCK", 1000)  # 500 x 32 numbers, so 16 blocks

    def differing(arrays: Arrays) -> None:
        arrays[WORDS] = arrays[WORDS].astype(np.float16).astype(np.float32)
        arrays[DECODER] = arrays[WORDS].astype(stored)
        arrays[DECODER][-1, -1] += 1

    assert not checkpoint.open(changed(differing)).config.tied


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        (drop(QUERY), {}, f"{QUERY} is missing, of 42 that a tied XLM-R of 2 layers has"),
        (drop("roberta.encoder.layer.1."), {}, "attention.self.query.weight, .* and 13 more are missing, of 42"),
        (drop("lm_head.dense."), {}, "lm_head.dense.weight, lm_head.dense.bias are missing"),
        (lambda a: None, {"num_hidden_layers": 3}, "and 13 more are missing, of 58 that a tied XLM-R of 3 layers has"),
        (lambda a: None, {"num_hidden_layers": 1}, "and 13 more are unknown to a tied XLM-R of 1 layers, as config.json has it"),
        (lambda a: None, {"tie_word_embeddings": False}, f"{DECODER} is missing, of 43 that a not tied XLM-R of 2 layers has"),
        (lambda a: None, {"vocab_size": 499}, rf"{WORDS} has shape \(500, 32\), config.json wants \(499, 32\) \(vocabulary, width\)"),
        (lambda a: a.update({QUERY: other((16, 64))}), {}, rf"{QUERY} has shape \(16, 64\), config.json wants \(32, 32\) \(heads, width\)"),
        (
            lambda a: a.update({"surprise": other((2,))}),
            {},
            "surprise is unknown to a tied XLM-R of 2 layers, as config.json has it; is it of",
        ),
        (
            lambda a: a.update({QUERY: np.zeros((32, 32), np.int8)}),
            {},
            f"{QUERY} is stored as I8, wanted one of float32, float16, bfloat16",
        ),
        (lambda a: a.update({DECODER: np.zeros((500, 32), np.float64)}), {}, f"{DECODER} is stored as F64, wanted one of float32"),
        (put(weight=lambda a: other((500, 31))), {}, rf"{DECODER} has shape \(500, 31\), config.json wants \(500, 32\)"),
    ],
)
def test_a_file_that_does_not_fit_its_config_is_refused(
    change: Change, config: dict[str, Any], message: str, changed: Callable[..., Path]
) -> None:
    with pytest.raises(BadCheckpoint, match=f"model.safetensors: .*{message}"):
        checkpoint.open(changed(change, **config))


@pytest.mark.parametrize("model_type", ["bert", "roberta", "camembert", "xlm-roberta-xl"])
def test_another_architecture_is_refused_by_name(model_type: str, changed: Callable[..., Path]) -> None:
    with pytest.raises(OtherArchitecture, match=f"config.json: model_type is '{model_type}'; xlmr runs 'xlm-roberta' and no other"):
        checkpoint.open(changed(model_type=model_type))


def test_a_truncated_file_is_refused(changed: Callable[..., Path]) -> None:
    path = changed() / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(BadCheckpoint, match=r"model.safetensors: tensor .* ends at byte .*; it is truncated"):
        checkpoint.open(path.parent)


def test_a_file_cut_after_it_was_opened_is_noticed(changed: Callable[..., Path]) -> None:
    folder = changed()
    opened = checkpoint.open(folder)
    os.truncate(folder / "model.safetensors", 20_000)
    with pytest.raises(BadCheckpoint, match="is not as it was when it was opened; it must not change"):
        checkpoint.weights(opened)


def test_a_file_exchanged_after_it_was_opened_is_noticed(tiny: Path, changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed()
    opened = checkpoint.open(folder)
    shutil.copy(tiny / "model.safetensors", tmp_path / "another")
    os.replace(tmp_path / "another", folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match="is not as it was when it was opened; it must not change"):
        checkpoint.read(opened, "head.bias")


def test_a_folder_without_weights_is_refused(changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        BadCheckpoint, match=r"model: model.safetensors not found; a checkpoint is a folder with config.json, tokenizer.json"
    ):
        checkpoint.open(folder)


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_unopened_and_told_how_to_convert(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder, harm = changed(), tmp_path / "harm"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(harm)))
    with pytest.raises(
        BadCheckpoint, match=r"found pytorch_model.bin, wanted model.safetensors. Opening a pickle can run any code .*: xlmr import FOLDER"
    ):
        checkpoint.open(folder)
    assert not harm.exists()
    pickle.loads((folder / "pytorch_model.bin").read_bytes())
    assert harm.exists()  # it would have been


@pytest.mark.parametrize("name", ["params.safetensors", "saved_model.pb", "1/saved_model.pb"])
def test_what_was_exported_is_told_how_to_come_back(name: str, changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "1").mkdir()
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(
        BadCheckpoint, match=f"found {name}, which `xlmr export` writes .*, wanted model.safetensors; .* xlmr import FOLDER"
    ):
        checkpoint.open(folder)


@pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack"])
def test_weights_of_abandoned_kinds_are_named(name: str, changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(BadCheckpoint, match=f"found {name}, which no library of today reads; wanted model.safetensors"):
        checkpoint.open(folder)


def test_two_names_of_one_tensor_are_refused(changed: Callable[..., Path]) -> None:
    folder = changed(lambda arrays: arrays.update({QUERY.removeprefix("roberta."): arrays[QUERY].copy()}))
    with pytest.raises(BadCheckpoint, match=f"has both {QUERY.removeprefix('roberta.')} and {QUERY}, two names of one tensor"):
        checkpoint.open(folder)


def test_a_file_is_no_folder(tiny: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"config.json: is not a folder; wanted a folder with config.json, tokenizer.json and model"):
        checkpoint.open(tiny / "config.json")


def moved_to(place: Path, file: Path, link: str) -> None:
    """Put a file elsewhere, and a link to it in its place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    file.rename(place)
    file.symlink_to(link)


FILES = ["config.json", "tokenizer.json", "model.safetensors"]


@pytest.mark.parametrize("name", FILES)
def test_a_link_inside_the_folder_is_followed(name: str, changed: Callable[..., Path]) -> None:
    folder = changed()
    moved_to(folder / "kept" / "it", folder / name, "kept/it")
    assert tokenizers.open(folder).size == 500
    assert {where.file for where in checkpoint.open(folder).stored.values()} == {(folder / "model.safetensors").resolve()}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_out_of_the_folder_is_refused(name: str, absolute: bool, changed: Callable[..., Path]) -> None:
    folder = changed()
    moved_to(folder.parent / "secret", folder / name, str(folder.parent / "secret") if absolute else "../secret")
    with pytest.raises(BadCheckpoint, match=rf"{name}: is a link that leads out of the model's folder, to /.*/secret; put the file itself"):
        tokenizers.open(checkpoint.open(folder).folder)


@pytest.mark.parametrize("store", ["models--some--model/blobs/hash", "blobs/3f/hash"])
def test_links_of_the_hubs_cache_are_followed(store: str, changed: Callable[..., Path], tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "commit"
    snapshot.parent.mkdir(parents=True)
    changed().rename(snapshot)
    for name in FILES:
        blob = tmp_path / f"{store}-{name}"
        moved_to(blob, snapshot / name, os.path.relpath(blob, snapshot))
    opened = checkpoint.open(snapshot)
    assert {where.file for where in opened.stored.values()} == {(tmp_path / f"{store}-model.safetensors").resolve()}
    assert xlmr.load(snapshot, threads=1).fill_mask("the <mask>")


@pytest.mark.parametrize("link", ["../../secret", "../../../secret", "../../blobs/../secret"])
def test_links_of_the_hubs_cache_lead_to_its_blobs_alone(link: str, changed: Callable[..., Path], tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--model" / "snapshots" / "commit"
    (snapshot.parent.parent / "blobs").mkdir(parents=True)
    snapshot.parent.mkdir()
    changed().rename(snapshot)
    moved_to(Path(os.path.normpath(snapshot / link)), snapshot / "model.safetensors", link)
    with pytest.raises(BadCheckpoint, match=r"model.safetensors: is a link that leads out of the model's folder"):
        checkpoint.open(snapshot)


def test_a_link_to_the_folder_is_the_folder(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tiny)
    assert checkpoint.open(tmp_path / "link").has_mlm_head


@pytest.mark.parametrize("text", ["the cat <mask> water", "le chat boit de l'eau", "кошка 水 xyz", "ﬁne  ＡＢＣ", ""])
def test_a_folder_with_its_sentencepiece_file_only_has_the_same_ids(
    text: str, tiny: Path, changed: Callable[..., Path], unpack: Callable[[Path], Path]
) -> None:
    folder = unpack(changed())
    assert tokenizers.open(folder).encode(text) == tokenizers.open(tiny).encode(text)


def test_a_model_with_its_sentencepiece_file_only_answers(tiny: Path, changed: Callable[..., Path], unpack: Callable[[Path], Path]) -> None:
    one, other = (xlmr.load(folder, threads=1) for folder in (tiny, unpack(changed())))
    assert one.fill_mask("the cat <mask>") == other.fill_mask("the cat <mask>")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "its first pieces are"), (b"\x0a\xff\xff\x03", "ends too early"), (b"{}" * 9, "SentencePiece model")]
)
def test_a_sentencepiece_file_that_is_none_is_refused(content: bytes, message: str, changed: Callable[..., Path]) -> None:
    folder = changed()
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=f"sentencepiece.bpe.model: .*{message}"):
        tokenizers.open(folder)


def test_a_sentencepiece_file_of_another_model_is_refused(changed: Callable[..., Path], unpack: Callable[[Path], Path]) -> None:
    folder = unpack(changed(vocab_size=501))
    with pytest.raises(BadCheckpoint, match=r"501"):
        xlmr.load(folder)
