"""Answers with a folder of Hugging Face's, on NumPy alone: XLM-RoBERTa written down once more, by the names in the folder."""

import json
import sys
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

Array = np.ndarray[Any, Any]
folder, questions, answers, task = sys.argv[1:]
config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
file = safe_open(Path(folder) / "model.safetensors", "numpy")
heads, pad = config["num_attention_heads"], config["pad_token_id"]


errors = np.vectorize(erf, otypes=[np.float32])


def weight(name: str) -> Array:
    read: Array = file.get_tensor(name)
    return read.astype(np.float32)


def linear(name: str, x: Array) -> Array:
    return x @ weight(f"{name}.weight").T + weight(f"{name}.bias")


def norm(name: str, x: Array) -> Array:
    x = x - x.mean(-1, keepdims=True)
    scaled: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + config["layer_norm_eps"])
    return scaled * weight(f"{name}.weight") + weight(f"{name}.bias")


def gelu(x: Array) -> Array:
    grown: Array = x * 0.5 * (1 + errors(x / 2**0.5))
    return grown.astype(np.float32)


def encode(ids: Array, mask: Array) -> Array:
    real = ids != pad
    x = weight("roberta.embeddings.word_embeddings.weight")[ids] + weight("roberta.embeddings.token_type_embeddings.weight")[0]
    x = x + weight("roberta.embeddings.position_embeddings.weight")[np.cumsum(real, 1) * real + pad]
    x = norm("roberta.embeddings.LayerNorm", x)
    for i in range(config["num_hidden_layers"]):
        x = layer(f"roberta.encoder.layer.{i}", x, np.where(mask, 0, -1e9)[:, None, None, :].astype(np.float32))
    return x


def layer(name: str, x: Array, unseen: Array) -> Array:
    parts = (linear(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
    query, key, value = (part.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for part in parts)
    scores = query @ key.swapaxes(2, 3) / np.float32(query.shape[-1] ** 0.5) + unseen
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    read = (shares / shares.sum(-1, keepdims=True) @ value).swapaxes(1, 2).reshape(*x.shape[:2], -1)
    x = norm(f"{name}.attention.output.LayerNorm", x + linear(f"{name}.attention.output.dense", read))
    grown = gelu(linear(f"{name}.intermediate.dense", x))
    return norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", grown))


def answer(x: Array) -> dict[str, Array]:
    if task == "feature-extraction":
        return {"last_hidden_state": x}
    if task == "fill-mask":
        x = norm("lm_head.layer_norm", gelu(linear("lm_head.dense", x)))
        own = not config["tie_word_embeddings"]
        words = weight("lm_head.decoder.weight" if own else "roberta.embeddings.word_embeddings.weight")
        return {"logits": x @ words.T + weight("lm_head.bias")}
    if task == "text-classification":
        return {"logits": linear("classifier.out_proj", np.tanh(linear("classifier.dense", x[:, 0])))}
    if task == "token-classification":
        return {"logits": linear("classifier", x)}
    both = linear("qa_outputs", x)
    return {"start_logits": both[..., 0], "end_logits": both[..., 1]}


asked = np.load(questions)
found: dict[str, Any] = {}
for number in range(len(asked.files) // 2):
    given = answer(encode(asked[f"ids.{number}"], asked[f"mask.{number}"]))
    found |= {f"{task}.{name}.{number}": values for name, values in given.items()}
np.savez(answers, **found)
