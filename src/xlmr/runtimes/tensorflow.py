"""The encoder as a `tf.Module` of ordinary operators, and its runtime (extra: tensorflow).

Variables have the names of `xlmr.tensors`. Nothing depends on Python when it runs, so what is here can be saved whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput, MissingExtra
from xlmr.runtimes import depth

try:
    import tensorflow as tf
except Exception as error:
    raise MissingExtra.of("tensorflow", "the TensorFlow runtime", error) from error

if TYPE_CHECKING:
    from xlmr.checkpoint import Checkpoint

ALIGNMENT = 64
"""Bytes."""
UNSEEN = -1e9  # finite, so that a row of nothing but padding gives numbers
IDS = tf.TensorSpec([None, None], tf.int64, "input_ids")
PICKS = tf.TensorSpec([None, 2], tf.int64, "picks")


def start(checkpoint: Checkpoint, *, threads: int | None = None) -> TensorFlowRuntime:
    """The checkpoint, ready to run, on the GPU where TensorFlow has one.

    Both of these hold for the whole process, since TensorFlow knows no smaller thing. `threads` is taken only before anything was computed:
    raises BadInput after that, where it is another number. And float32 products are computed in float32 from here on, which on a GPU
    TensorFlow would do with 10 bits of mantissa (TF32): PyTorch does it unasked, JAX is asked with every call.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if threads is not None and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            raise BadInput(f"threads is {threads}, and TensorFlow has begun with another number; give it before anything runs") from None
    return TensorFlowRuntime(load(checkpoint))


class TensorFlowRuntime:
    """A `Runtime` around the module."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._forward: dict[tuple[int, ...], Any] = {}
        self._logits = tf.function(encoder.logits_at, input_signature=[IDS, PICKS], autograph=False)

    def hidden_states(self, ids: np.ndarray, layers: Sequence[int] = (-1,)) -> list[np.ndarray]:
        """States after the asked layers; see `Runtime`."""
        asked = tuple(depth(layer, self.encoder.config) for layer in layers)
        if asked not in self._forward:
            self._forward[asked] = tf.function(lambda ids: self.encoder(ids, asked), input_signature=[IDS], autograph=False)
        return [states.numpy() for states in self._forward[asked](tf.constant(ids, tf.int64))]

    def mlm_logits(self, ids: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """Logits at the picked places; see `Runtime`. Raises BadCheckpoint where the checkpoint has no head."""
        if "head.bias" not in self.encoder.weights:
            raise BadCheckpoint("the checkpoint has no masked-language-model head (lm_head.*), so it cannot fill masks")
        logits: np.ndarray = self._logits(tf.constant(ids, tf.int64), tf.constant(picks, tf.int64)).numpy()
        return logits


def load(checkpoint: Checkpoint) -> Encoder:
    """The module with the checkpoint's weights, in float32."""
    from xlmr.checkpoint import weights

    return Encoder(checkpoint.config, weights(checkpoint))


def export(encoder: Encoder) -> dict[str, np.ndarray]:
    """The module's weights by our names, as `checkpoint.save` takes them."""
    return {name: of.numpy() for name, of in encoder.weights.items()}


class Encoder(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """XLM-RoBERTa (Conneau et al. 2020): RoBERTa's layers (Liu et al. 2019), normalised after each sub-layer."""

    def __init__(self, config: Config, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.config = config
        self.weights = {name: tf.Variable(held(weights[name]), name=name.replace(".", "/")) for name in weights}

    def __call__(self, ids: tf.Tensor, layers: Sequence[int] = (-1,), mask: tf.Tensor | None = None) -> list[tf.Tensor]:
        """States `[batch, tokens, width]` after each asked layer, from ids, int64 `[batch, tokens]`; 0 is the embeddings, -1 the last.

        `mask`, int64 `[batch, tokens]`, is 0 where attention does not look; without it that is where the padding is.
        """
        asked = [depth(layer, self.config) for layer in layers]
        real = tf.not_equal(ids, self.config.pad_id)
        unseen = tf.where(real if mask is None else tf.not_equal(mask, 0), 0.0, UNSEEN)
        unseen = tf.expand_dims(tf.expand_dims(unseen, 1), 1)  # by slices TensorFlow Lite would not take it
        states = [self.embed(ids, real)]
        for i in range(max(asked, default=0)):
            states.append(self.block(f"layers.{i}", states[-1], unseen))
        return [states[at] for at in asked]

    def logits_at(self, ids: tf.Tensor, picks: tf.Tensor) -> tf.Tensor:
        """A score for every piece at the picked places (row, token), `[picks, vocabulary]`."""
        (states,) = self(ids)
        return self.logits(tf.gather_nd(states, picks))

    def logits(self, states: tf.Tensor) -> tf.Tensor:
        """A score for every piece, `[picks, vocabulary]`, from the last layer's states, `[picks, width]`."""
        words = self.weights["embeddings.words.weight" if self.config.tied else "head.words.weight"]
        transformed = self.norm("head.norm", gelu(self.linear("head.transform", states)))
        return tf.matmul(transformed, words, transpose_b=True) + self.weights["head.bias"]

    def embed(self, ids: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """The embeddings. Positions count the tokens that are no padding, from `pad_id + 1`."""
        pad_id = self.config.pad_id
        counted = tf.cumsum(tf.cast(real, tf.int64), 1) + pad_id
        positions = tf.where(real, counted, tf.constant(pad_id, tf.int64))
        words, places = (
            tf.gather(self.weights[f"embeddings.{name}.weight"], of) for name, of in (("words", ids), ("positions", positions))
        )
        return self.norm("embeddings.norm", words + places + tf.gather(self.weights["embeddings.types.weight"], 0))

    def block(self, name: str, x: tf.Tensor, unseen: tf.Tensor) -> tf.Tensor:
        """One layer: attention, then a feed-forward network, each added to its input and normalised."""
        x = self.norm(f"{name}.attention_norm", x + self.linear(f"{name}.attention_out", self.attend(name, x, unseen)))
        grown = gelu(self.linear(f"{name}.grow", x))
        return self.norm(f"{name}.output_norm", x + self.linear(f"{name}.shrink", grown))

    def attend(self, name: str, x: tf.Tensor, unseen: tf.Tensor) -> tf.Tensor:
        """What each token reads from the tokens of its row; `unseen` is added to the scores of padding."""
        shape, (heads, width) = tf.shape(x), (self.config.heads, self.config.head_width)
        split = tf.stack([shape[0], shape[1], heads, width])
        query, key, value = (
            tf.transpose(tf.reshape(self.linear(f"{name}.{part}", x), split), [0, 2, 1, 3]) for part in ("query", "key", "value")
        )
        scores = tf.matmul(query, key, transpose_b=True) * width**-0.5  # batch heads tokens tokens
        read = tf.matmul(tf.nn.softmax(scores + unseen, axis=-1), value)
        return tf.reshape(tf.transpose(read, [0, 2, 1, 3]), tf.stack([shape[0], shape[1], heads * width]))

    def linear(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """`[…, in]` to `[…, out]`; the weight is `[out, in]`."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        flat = tf.matmul(tf.reshape(x, [-1, weight.shape[1]]), weight, transpose_b=True) + bias
        return tf.reshape(flat, tf.concat([tf.shape(x)[:-1], [weight.shape[0]]], 0))

    def norm(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Layer normalisation over the width."""
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + self.config.norm_epsilon)
        return centred * scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def held(array: np.ndarray) -> tf.Tensor:
    """An array's numbers, copied once: TensorFlow would copy them twice. It computes only with memory that begins at a multiple of 64."""
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    numbers = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    numbers[...] = array
    return tf.experimental.dlpack.from_dlpack(numbers.__dlpack__())


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Exact, by the error function."""
    return tf.nn.gelu(x, approximate=False)
