"""A TensorFlow SavedModel of ordinary operators, its weights as variables, with a signature for every task (extra: tensorflow)."""

from __future__ import annotations

from errno import EIO
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import SAVED_MODEL, VERSION
from xlmr.errors import BadExport, BadInput, MissingExtra
from xlmr.export import answers, beside
from xlmr.export.answers import Task
from xlmr.export.options import TensorFlow
from xlmr.export.parity import SHOWN, Asked, Made

try:
    import tensorflow as tf

    from xlmr.runtimes.tensorflow import Encoder
except Exception as error:
    raise MissingExtra.of("tensorflow", "exporting to TensorFlow", error) from error

DEFAULT = "serving_default"
"""The signature that TensorFlow Serving asks where none is named: that of the first task."""
LITE = "model.tflite"
MOST = 2**31 - 1
"""Bytes of a model for LiteRT: a FlatBuffer's."""


def write(of: Checkpoint, folder: Path, options: TensorFlow) -> Made:
    """`saved_model.pb` and `variables/`, beside config and tokenizer. Raises BadInput where LiteRT could not hold the model, MissingExtra
    where it is wanted and not installed, BadExport where TensorFlow has no form of the model for it."""
    tasks = answers.possible(of) if options.task is None else (answers.find(of, options.task),)
    place = folder / VERSION if options.server == "tf-serving" else folder
    _check_lite(of, tasks, options)
    beside.write(of, tasks[0], folder)
    module = Model(of, tasks)
    signatures = {name: function.get_concrete_function() for name, function in module.answers.items()}
    try:
        tf.saved_model.save(module, str(place), signatures={DEFAULT: signatures[tasks[0].signature], **signatures})
    except tf.errors.OpError as error:  # how TensorFlow calls a disk that is full
        raise OSError(EIO, f"TensorFlow cannot write it: {str(error).splitlines()[0]}") from error
    asked = [Asked("run_tensorflow", place, SAVED_MODEL, tasks)]
    if options.tflite:
        (folder / LITE).write_bytes(lite(module, tasks[0]))
        asked.append(Asked("run_litert", folder / LITE, LITE, tasks[:1]))
    return Made(folder, asked)


def _check_lite(of: Checkpoint, tasks: tuple[Task, ...], options: TensorFlow) -> None:
    """Before anything is written."""
    if options.tflite and find_spec("ai_edge_litert") is None:
        raise MissingExtra("tensorflow", f"asking {LITE} what it answers")
    size = sum(4 * prod(shape) for shape in beside.Weights(of, *tasks[:1]).shapes.values())
    if options.tflite and size > MOST:
        raise BadInput(f"the weights have {size:,} bytes in float32, and a model for LiteRT holds {MOST:,}; leave out --tflite")


def lite(module: Model, task: Task) -> bytes:
    """A FlatBuffer for LiteRT, with the weights inside, float32, and one signature, `serving_default`. Raises BadExport where TensorFlow
    cannot convert it."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.answers[task.signature].get_concrete_function()], module)
    try:
        model: bytes = converter.convert()
    except (OSError, MemoryError):
        raise
    except Exception as error:  # ConverterError has no public name
        raise BadExport(
            f"{task.name}: TensorFlow cannot convert it to {LITE} ({_first(error)}). Nothing was exported; leave out --tflite, or "
            f"take a version of TensorFlow that was tried (docs/export.md)"
        ) from error
    return model


def _first(error: Exception) -> str:
    """The first line that says something, of many."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:SHOWN]


class Model(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """An encoder and the heads of tasks: `answers` are what is saved."""

    def __init__(self, of: Checkpoint, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.encoder = Encoder(of.config, beside.Weights(of, *tasks))
        self.answers = {task.signature: self._function(task) for task in tasks}

    def _function(self, task: Task) -> Any:
        return tf.function(
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
