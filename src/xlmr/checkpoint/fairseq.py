"""XLM-R as fairseq published it: its names for the tensors, and its arguments for the sizes.

Names: `fairseq/models/roberta/model.py` and `fairseq/modules/transformer_sentence_encoder.py`, of 2019 and of 2021, when the encoder moved
from `decoder.` to `encoder.` and its first norm was renamed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xlmr.config import Config
from xlmr.errors import BadCheckpoint, OtherArchitecture

ENCODER = re.compile(r"(?:decoder|encoder)\.sentence_encoder\.(?P<rest>.+)")
HEAD = re.compile(r"(?:decoder|encoder)\.lm_head\.(?P<rest>.+)")
LAYER = re.compile(r"layers\.(?P<number>\d{1,4})\.(?P<part>.+)\.(?P<kind>weight|bias)")
FUSED = re.compile(r"(?P<start>.+\.self_attn)\.in_proj_(?P<kind>weight|bias)")

OUTSIDE = {
    "embed_tokens.weight": "roberta.embeddings.word_embeddings.weight",
    "embed_positions.weight": "roberta.embeddings.position_embeddings.weight",
    "emb_layer_norm.weight": "roberta.embeddings.LayerNorm.weight",
    "emb_layer_norm.bias": "roberta.embeddings.LayerNorm.bias",
    "layernorm_embedding.weight": "roberta.embeddings.LayerNorm.weight",
    "layernorm_embedding.bias": "roberta.embeddings.LayerNorm.bias",
}
INSIDE = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
OF_HEAD = {
    "weight": "lm_head.decoder.weight",
    "bias": "lm_head.bias",
    **{f"{part}.{kind}": f"lm_head.{part}.{kind}" for part in ("dense", "layer_norm") for kind in ("weight", "bias")},
}
COUNTERS = ("version", "_float_tensor")  # buffers without a meaning
TYPES = "roberta.embeddings.token_type_embeddings.weight"
"""fairseq has none; zeros compute the same."""

# Ours, fairseq's argument.
ARGUMENTS = (("heads", "encoder_attention_heads"), ("dropout", "dropout"), ("attention_dropout", "attention_dropout"))
KINDS = {"heads": (int,), "dropout": (int, float), "attention_dropout": (int, float)}
FIXED = {"activation_fn": "gelu"}
READ = (*FIXED, *(theirs for _, theirs in ARGUMENTS))
"""The arguments that are read; a model's may be hundreds."""


def rename(name: str) -> str | None:
    """Hugging Face's name of a tensor; None for one without a meaning. Raises BadCheckpoint for one that XLM-R has not."""
    if name.rpartition(".")[2] in COUNTERS:
        return None
    if found := HEAD.fullmatch(name):
        new = OF_HEAD.get(found["rest"])
    elif found := ENCODER.fullmatch(name):
        new = OUTSIDE.get(found["rest"]) or _inside(found["rest"])
    else:
        new = None
    if new is None:
        raise BadCheckpoint(f"the tensor {name[:200]!r} is none of XLM-R's as fairseq names them")
    return new


def split(name: str) -> list[str]:
    """The tensors that lie one below another in one of fairseq's: query, key and value in its oldest files; else itself."""
    found = FUSED.fullmatch(name)
    return [f"{found['start']}.{part}_proj.{found['kind']}" for part in "qkv"] if found else [name]


def config(arguments: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Config:
    """The sizes, from fairseq's arguments and, where the tensors tell, from their shapes by Hugging Face's names.

    Raises BadCheckpoint where they cannot be told, OtherArchitecture where the arithmetic is another one.
    """
    for key, wanted in FIXED.items():
        if arguments.get(key, wanted) != wanted:
            raise OtherArchitecture(f"fairseq's {key} is {arguments[key]!r}, XLM-R has {wanted!r}")
    try:
        vocabulary, width = shapes["roberta.embeddings.word_embeddings.weight"]
        positions, _ = shapes["roberta.embeddings.position_embeddings.weight"]
        inner, _ = shapes["roberta.encoder.layer.0.intermediate.dense.weight"]
    except (KeyError, ValueError):
        raise BadCheckpoint("has no embeddings or no first layer, as fairseq names them; is it a model of RoBERTa's kind?") from None
    layers = 1 + max(int(name.split(".")[3]) for name in shapes if name.startswith("roberta.encoder.layer."))
    told = {ours: arguments[theirs] for ours, theirs in ARGUMENTS if theirs in arguments}
    if not all(type(told.get(ours, 0.0)) in kinds for ours, kinds in KINDS.items()):
        raise BadCheckpoint(f"fairseq's arguments are {told}, wanted numbers, the heads (encoder_attention_heads) among them")
    head = "XLMRobertaForMaskedLM" if "lm_head.bias" in shapes else "XLMRobertaModel"
    sizes: dict[str, Any] = {"vocabulary": vocabulary, "width": width, "positions": positions, "inner": inner, "layers": layers}
    return Config(**sizes, **told, architectures=(head,))


def _inside(rest: str) -> str | None:
    found = LAYER.fullmatch(rest)
    part = INSIDE.get(found["part"]) if found else None
    return f"roberta.encoder.layer.{int(found['number'])}.{part}.{found['kind']}" if found and part else None
