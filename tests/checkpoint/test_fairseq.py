"""Checkpoints of fairseq, as XLM-R was published, made folders of ours."""
# ruff: noqa: F811  # fixtures are asked for by their names

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickled_models import State, _in_this_process, names, pickled, state, unpickling  # noqa: F401

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import importing
from xlmr.errors import BadCheckpoint, OtherArchitecture

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of a process")

TEXT = "the cat <mask> water"

LAYER = {
    "attention.self.query": "self_attn.q_proj", "attention.self.key": "self_attn.k_proj", "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj", "attention.output.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1", "output.dense": "fc2", "output.LayerNorm": "final_layer_norm",
}  # fmt: skip


def fairseq(tensors: State, start: str = "decoder", norm: str = "emb_layer_norm", *, fused: bool = False) -> State:
    """Tensors by the names fairseq has for them, worked out backwards."""
    inside = f"{start}.sentence_encoder."
    found = {f"{inside}version": torch.ones(1) * 3, f"{start}.lm_head.weight": tensors["roberta.embeddings.word_embeddings.weight"]}
    for name, of in tensors.items():
        if name.startswith("lm_head."):
            found[f"{start}.{name}"] = of
        elif name.startswith("roberta.encoder.layer."):
            number, rest = name.removeprefix("roberta.encoder.layer.").split(".", 1)
            part, kind = rest.rsplit(".", 1)
            found[f"{inside}layers.{number}.{LAYER[part]}.{kind}"] = of
        elif "token_type" not in name:
            part, kind = name.removeprefix("roberta.embeddings.").rsplit(".", 1)
            theirs = {"word_embeddings": "embed_tokens", "position_embeddings": "embed_positions", "LayerNorm": norm}[part]
            found[f"{inside}{theirs}.{kind}"] = of
    for layer in range(2 if fused else 0):
        for kind in ("weight", "bias"):
            parts = [found.pop(f"{inside}layers.{layer}.self_attn.{part}_proj.{kind}") for part in "qkv"]
            found[f"{inside}layers.{layer}.self_attn.in_proj_{kind}"] = torch.cat(parts)
    return found


def arguments(**more: Any) -> argparse.Namespace:
    return argparse.Namespace(arch="roberta_base", encoder_attention_heads=4, dropout=0.1, activation_fn="gelu", data="/some/path", **more)


def without_types(tiny: Path) -> State:
    """The tiny model's tensors with a type embedding of zeros, as fairseq's models have none."""
    name = "roberta.embeddings.token_type_embeddings.weight"
    return state(tiny) | {name: torch.zeros_like(state(tiny)[name])}


@pytest.fixture
def published(tiny: Path, pickled: Callable[..., Path], unpack: Callable[[Path], Path]) -> Callable[..., Path]:
    """`published(model, args)`: a folder as fairseq's XLM-R was published: model.pt, dict.txt, sentencepiece.bpe.model."""

    def make(model: State, **more: Any) -> Path:
        content = {"model": model, "extra_state": {"epoch": 1}, "optimizer_history": [], **({"args": arguments()} | more)}
        folder = pickled(content, "model.pt")
        pieces = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"][4:-1]
        unpack(folder)
        (folder / "dict.txt").write_text("".join(f"{piece} 1\n" for piece, _ in pieces), encoding="utf-8")
        (folder / "config.json").unlink()
        return folder

    return make


@pytest.mark.parametrize(
    ("start", "norm", "fused"),
    [("decoder", "emb_layer_norm", False), ("encoder", "layernorm_embedding", False), ("decoder", "emb_layer_norm", True)],
    ids=["2019", "2021", "fused"],
)
def test_a_checkpoint_of_fairseq_becomes_a_folder_of_ours(
    start: str, norm: str, fused: bool, tiny: Path, published: Callable[..., Path], make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    weights = without_types(tiny)
    made = importing.convert(published(fairseq(weights, start, norm, fused=fused)) / "model.pt", tmp_path / "new")
    opened, true = checkpoint.open(made), checkpoint.open(tiny)
    assert opened.config == true.config
    found = checkpoint.weights(opened)
    assert not found["embeddings.types.weight"].any()
    assert all(np.array_equal(found[name], of) for name, of in checkpoint.weights(true).items() if name != "embeddings.types.weight")
    assert xlmr.load(made, threads=1).fill_mask(TEXT)


def test_newer_arguments_are_a_plain_object(tiny: Path, published: Callable[..., Path], tmp_path: Path) -> None:
    folder = published(fairseq(without_types(tiny), "encoder"), args=None, cfg={"model": vars(arguments())})
    assert checkpoint.open(importing.convert(folder, tmp_path / "new")).config.heads == 4


def test_a_head_of_fairseq_that_is_not_tied_is_kept(tiny: Path, published: Callable[..., Path], tmp_path: Path) -> None:
    model = fairseq(without_types(tiny))
    model["decoder.lm_head.weight"] = model["decoder.lm_head.weight"] + 1
    opened = checkpoint.open(importing.convert(published(model), tmp_path / "new"))
    assert not opened.config.tied
    assert np.array_equal(checkpoint.read(opened, "head.words.weight"), model["decoder.lm_head.weight"].numpy())


def test_a_list_of_pieces_in_another_order_is_refused(tiny: Path, published: Callable[..., Path], tmp_path: Path) -> None:
    folder = published(fairseq(without_types(tiny)))
    lines = (folder / "dict.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    lines[7:9] = lines[8], lines[7]
    (folder / "dict.txt").write_text("".join(lines), encoding="utf-8")
    with pytest.raises(BadCheckpoint, match=r"dict.txt: has 495 pieces, .* 495 besides .*differ from number 7 on; are both of this model"):
        importing.convert(folder, tmp_path / "new")


INSIDE = "decoder.sentence_encoder."


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (f"{INSIDE}embed_tokens.weight", 0, "has no embeddings or no first layer"),
        (f"{INSIDE}layers.1.fc1.bias", 0, "layer.1.intermediate.dense.bias is missing, of 42"),
        (f"{INSIDE}layer_norm.weight", 32, "layer_norm.weight' is none of XLM-R's as fairseq names them"),
        ("decoder.classification_heads.x.dense.weight", 2, "classification_heads.* is none of XLM-R's"),
        ("encoder.lm_head.bias", 500, "lm_head.bias is there under two names"),
        (f"{INSIDE}layers.0.self_attn.in_proj_bias", 97, r"has shape \(97,\), wanted query, key and value one below another"),
    ],
)
def test_tensors_that_are_not_those_of_fairseqs_xlmr_are_refused(
    name: str, size: int, message: str, tiny: Path, published: Callable[..., Path], tmp_path: Path
) -> None:
    model = fairseq(without_types(tiny))
    if size:
        model[name] = torch.ones(size)
    else:
        del model[name]
    with pytest.raises(BadCheckpoint, match=message):
        importing.convert(published(model), tmp_path / "new")
    assert names(tmp_path) == {"old"}


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        ({}, BadCheckpoint, r"wanted numbers, the heads \(encoder_attention_heads\) among them"),
        ({"encoder_attention_heads": 5}, BadCheckpoint, "width 32 is not a multiple of heads 5"),
        ({"encoder_attention_heads": "4"}, BadCheckpoint, "wanted numbers"),
        ({"activation_fn": "relu"}, OtherArchitecture, "activation_fn is 'relu', XLM-R has 'gelu'"),
    ],
)
def test_arguments_of_another_model_are_refused(
    told: State, kind: type[Exception], message: str, tiny: Path, published: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(kind, match=f"^{tmp_path}/old/model.pt: .*{message}"):
        importing.convert(published(fairseq(without_types(tiny)), args=argparse.Namespace(**told)), tmp_path / "new")
    assert names(tmp_path) == {"old"}


def test_only_the_arguments_that_are_read_leave_the_process(tiny: Path, published: Callable[..., Path], tmp_path: Path) -> None:
    long = "a" * 1_000_000  # a pickle holds it once, JSON each time
    told = {f"more_{i}": long for i in range(50)} | {"activation_fn": long, "encoder_attention_heads": 4}
    folder = published(fairseq(without_types(tiny)), args=argparse.Namespace(**told))
    asked = {"files": [str(folder / "model.pt")], "output": str(tmp_path / "weights"), "memory": 1 << 30, "most": 1 << 30}
    assert len(json.dumps(unpickling.answer(asked))) < 1_000
    with pytest.raises(OtherArchitecture, match=r"fairseq's activation_fn is 'a+…', XLM-R has 'gelu'"):
        importing.convert(folder, tmp_path / "new")
