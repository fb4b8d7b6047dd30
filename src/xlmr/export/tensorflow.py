"""A TensorFlow SavedModel of ordinary operators, its weights as variables, with a signature by the task's name (extra: tensorflow)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.errors import MissingExtra
from xlmr.export import answers, safetensors
from xlmr.export.answers import Task

try:
    import tensorflow as tf

    from xlmr.runtimes.tensorflow import Encoder
except ImportError:
    raise MissingExtra("tensorflow", "exporting to TensorFlow") from None

if TYPE_CHECKING:
    from xlmr.export import Options

PROGRAM = "run_tensorflow"
DEFAULT = "serving_default"
"""The signature that TensorFlow Serving asks where none is named."""


def write(of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
    """`saved_model.pb` and `variables/`, beside config and tokenizer."""
    safetensors.write(of, task, folder, options)
    opened = checkpoint.open(folder)
    module = Model(opened, task)
    signature = module.answer.get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures={DEFAULT: signature, task.name.replace("-", "_"): signature})
    (folder / WEIGHTS).unlink()


class Model(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """An encoder and the head of a task: `answer` is what is saved."""

    def __init__(self, of: Checkpoint, task: Task) -> None:
        super().__init__()
        self.encoder = Encoder(of.config, safetensors.Reading(of, masks=task.name == "fill-mask", head=True))
        self.answer = tf.function(
            lambda input_ids, attention_mask: self._answer(task, input_ids, attention_mask),
            input_signature=[tf.TensorSpec([None, None], tf.int64, name) for name in answers.INPUTS],
            autograph=False,
        )

    def _answer(self, task: Task, ids: tf.Tensor, mask: tf.Tensor) -> dict[str, Any]:
        (states,) = self.encoder(ids, mask=mask)
        return dict(zip(task.outputs, HEADS[task.name](self.encoder, states), strict=True))


def texts(encoder: Encoder, states: tf.Tensor) -> list[tf.Tensor]:
    """A score for every label, from the state of `<s>`."""
    first = tf.gather(states, 0, axis=1)
    return [encoder.linear("task.out", tf.tanh(encoder.linear("task.dense", first)))]


def spans(encoder: Encoder, states: tf.Tensor) -> list[tf.Tensor]:
    """Whether an answer begins at a place, and whether it ends there."""
    return tf.unstack(encoder.linear("task.out", states), num=2, axis=-1)  # type: ignore[no-any-return]  # likewise


HEADS: dict[str, Any] = {
    "feature-extraction": lambda encoder, states: [states],
    "fill-mask": lambda encoder, states: [encoder.logits(states)],
    "text-classification": texts,
    "token-classification": lambda encoder, states: [encoder.linear("task.out", states)],
    "question-answering": spans,
}
