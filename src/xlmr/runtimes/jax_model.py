"""XLM-RoBERTa as pure functions of a nested dict of arrays. Imports nothing of xlmr: `xlmr export jax` puts it beside the arrays.

    params, options = load("folder")
    answer(params, input_ids, attention_mask, **options)    # {"logits": …}: by the head there is, the task's outputs
    (states,) = forward(params, input_ids, **{name: options[name] for name in ("heads", "pad_id", "epsilon")})

`params` is nested as the tensors are named: `params["layers"][0]["query"]["weight"]`, the layers a list, linear weights `[out, in]` as
PyTorch keeps them. How many layers there are, and whether the head has a matrix of its own, is told by what is there. All of it jits
(`heads`, `layers`, `pad_id` and `epsilon` are static), maps and differentiates; the arrays may be of any float type, and so is what is
computed.

Arithmetic: RoBERTa's (Liu et al. 2019), normalised after each sub-layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Params = Mapping[str, Any]
UNSEEN = -1e9  # finite, so that a row of nothing but padding gives numbers; float16 takes half its lowest


def load(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `xlmr export jax` wrote: the arrays, nested, and the options of `answer`."""
    from safetensors.numpy import load_file

    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    options = {"heads": config["num_attention_heads"], "pad_id": config["pad_token_id"], "epsilon": config["layer_norm_eps"]}
    return nested(load_file(Path(folder) / "params.safetensors")), {**options, "head": config["architectures"][0]}


def nested(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by their names, such as `layers.0.query.weight`, as a nested dict; the layers become a list."""
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = array
    layers = found.get("layers", {})
    return {**found, "layers": [layers[str(i)] for i in range(len(layers))]}


def save(params: Params, folder: str | Path) -> None:
    """Write arrays, trained ones perhaps, in the place of those that were loaded; `xlmr import` makes a checkpoint of the folder."""
    from safetensors.numpy import save_file

    save_file({name: np.asarray(array) for name, array in flat(params).items()}, Path(folder) / "params.safetensors")


def flat(params: Params) -> dict[str, Any]:
    """What `nested` was made of."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {".".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path): array for path, array in leaves}


def answer(
    params: Params, ids: Array, mask: Array | None = None, *, head: str, heads: int, pad_id: int = 1, epsilon: float = 1e-5
) -> dict[str, Array]:
    """The outputs of the model's task, by Hugging Face's names; `head` is its class there. `ids` and `mask` are int `[batch, tokens]`."""
    (states,) = forward(params, ids, mask, heads=heads, pad_id=pad_id, epsilon=epsilon)
    match head:
        case "XLMRobertaForMaskedLM":
            return {"logits": logits(params, states, epsilon=epsilon)}
        case "XLMRobertaForSequenceClassification":
            return {"logits": linear(params["task"]["out"], jnp.tanh(linear(params["task"]["dense"], states[:, 0])))}
        case "XLMRobertaForTokenClassification":
            return {"logits": linear(params["task"]["out"], states)}
        case "XLMRobertaForQuestionAnswering":
            both = linear(params["task"]["out"], states)
            return {"start_logits": both[..., 0], "end_logits": both[..., 1]}
        case "XLMRobertaModel":
            return {"last_hidden_state": states}
        case _:
            raise ValueError(f"{head} is no head that is known here")


def forward(
    params: Params, ids: Array, mask: Array | None = None, *, heads: int, layers: Sequence[int] = (-1,), pad_id: int = 1,
    epsilon: float = 1e-5,
) -> list[Array]:  # fmt: skip
    """States after each asked layer, `[batch, tokens, width]`; layer 0 is the embeddings, -1 the last. Stops after the highest.

    `ids` is int `[batch, tokens]`, padded with `pad_id` anywhere; states at padding mean nothing. `mask` is 0 where attention does not
    look; without it that is where the padding is.
    """
    asked = [layer % (len(params["layers"]) + 1) for layer in layers]
    real = ids != pad_id
    seen = real if mask is None else mask != 0
    states = [embed(params["embeddings"], ids, real, pad_id, epsilon)]
    unseen = jnp.where(seen, 0, jnp.maximum(UNSEEN, jnp.finfo(states[0].dtype).min / 2)).astype(states[0].dtype)[:, None, None, :]
    for layer in params["layers"][: max(asked, default=0)]:
        states.append(block(layer, states[-1], unseen, heads, epsilon))
    return [states[at] for at in asked]


def logits(params: Params, states: Array, *, epsilon: float = 1e-5) -> Array:
    """A score for every piece, `[…, vocabulary]`, from the last layer's states, `[…, width]`: the masked-language-model head."""
    head = params["head"]
    words = head["words"]["weight"] if "words" in head else params["embeddings"]["words"]["weight"]
    scores: Array = norm(head["norm"], gelu(linear(head["transform"], states)), epsilon) @ words.T + head["bias"]
    return scores


def embed(params: Params, ids: Array, real: Array, pad_id: int, epsilon: float) -> Array:
    """The embeddings, `[batch, tokens, width]`. Positions count the tokens that are no padding, from `pad_id + 1`."""
    positions = jnp.where(real, jnp.cumsum(real, 1) + pad_id, pad_id)
    words, places, types = (jnp.asarray(params[name]["weight"]) for name in ("words", "positions", "types"))
    x = words[ids] + places[positions] + types[0]
    return norm(params["norm"], x, epsilon)


def block(params: Params, x: Array, unseen: Array, heads: int, epsilon: float) -> Array:
    """One layer: attention, then a feed-forward network, each added to its input and normalised."""
    x = norm(params["attention_norm"], x + linear(params["attention_out"], attend(params, x, unseen, heads)), epsilon)
    grown = gelu(linear(params["grow"], x))
    return norm(params["output_norm"], x + linear(params["shrink"], grown), epsilon)


def attend(params: Params, x: Array, unseen: Array, heads: int) -> Array:
    """What each token reads from its row, `[batch, tokens, heads x head width]`; `unseen` is added to the scores of padding."""
    batch, tokens, _ = x.shape
    query, key, value = (linear(params[name], x).reshape(batch, tokens, heads, -1) for name in ("query", "key", "value"))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * query.shape[-1] ** -0.5
    shares = jax.nn.softmax(scores + unseen, axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", shares, value).reshape(batch, tokens, -1)


def linear(params: Params, x: Array) -> Array:
    """`[…, in]` to `[…, out]`."""
    product: Array = x @ params["weight"].T + params["bias"]
    return product


def norm(params: Params, x: Array, epsilon: float) -> Array:
    """Layer normalisation over the width."""
    centred = x - x.mean(-1, keepdims=True)
    scaled: Array = centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + epsilon)
    normed: Array = scaled * params["weight"] + params["bias"]
    return normed


def gelu(x: Array) -> Array:
    """Exact, by the error function."""
    return jax.nn.gelu(x, approximate=False)
