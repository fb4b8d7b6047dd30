"""Name, Hugging Face name and axes of every tensor of an XLM-R.

Loading, checking, initialising, exporting and compressing read this table; nothing else knows a tensor's name.
Linear weights lie as PyTorch keeps them, `[out, in]`.

Axes: vocabulary, positions, types, width, heads (all heads' numbers side by side), inner, labels (of a fine-tuned head).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xlmr.config import Config

EMBEDDINGS = (
    #  ours               Hugging Face                             axes
    ("words.weight",     "embeddings.word_embeddings.weight",       "vocabulary width"),
    ("positions.weight", "embeddings.position_embeddings.weight",   "positions width"),
    ("types.weight",     "embeddings.token_type_embeddings.weight", "types width"),
    ("norm.weight",      "embeddings.LayerNorm.weight",             "width"),
    ("norm.bias",        "embeddings.LayerNorm.bias",               "width"),
)  # fmt: skip

LAYER = (
    ("query.weight",          "attention.self.query.weight",       "heads width"),
    ("query.bias",            "attention.self.query.bias",         "heads"),
    ("key.weight",            "attention.self.key.weight",         "heads width"),
    ("key.bias",              "attention.self.key.bias",           "heads"),
    ("value.weight",          "attention.self.value.weight",       "heads width"),
    ("value.bias",            "attention.self.value.bias",         "heads"),
    ("attention_out.weight",  "attention.output.dense.weight",     "width heads"),
    ("attention_out.bias",    "attention.output.dense.bias",       "width"),
    ("attention_norm.weight", "attention.output.LayerNorm.weight", "width"),
    ("attention_norm.bias",   "attention.output.LayerNorm.bias",   "width"),
    ("grow.weight",           "intermediate.dense.weight",         "inner width"),
    ("grow.bias",             "intermediate.dense.bias",           "inner"),
    ("shrink.weight",         "output.dense.weight",               "width inner"),
    ("shrink.bias",           "output.dense.bias",                 "width"),
    ("output_norm.weight",    "output.LayerNorm.weight",           "width"),
    ("output_norm.bias",      "output.LayerNorm.bias",             "width"),
)  # fmt: skip

MLM_HEAD = (
    ("transform.weight", "dense.weight",      "width width"),
    ("transform.bias",   "dense.bias",        "width"),
    ("norm.weight",      "layer_norm.weight", "width"),
    ("norm.bias",        "layer_norm.bias",   "width"),
    ("bias",             "bias",              "vocabulary"),
    ("words.weight",     "decoder.weight",    "vocabulary width"),  # only where the head is not tied
)  # fmt: skip

# What a model fine-tuned for a task has on top of its encoder, by the class that Hugging Face names in a config's `architectures`.
TASK_HEADS: Mapping[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "XLMRobertaForSequenceClassification": ("sequence classification", (
        ("dense.weight", "classifier.dense.weight",    "width width"),
        ("dense.bias",   "classifier.dense.bias",      "width"),
        ("out.weight",   "classifier.out_proj.weight", "labels width"),
        ("out.bias",     "classifier.out_proj.bias",   "labels"),
    )),
    "XLMRobertaForTokenClassification": ("token classification", (
        ("out.weight", "classifier.weight", "labels width"),
        ("out.bias",   "classifier.bias",   "labels"),
    )),
    "XLMRobertaForMultipleChoice": ("multiple choice", (
        ("out.weight", "classifier.weight", "labels width"),
        ("out.bias",   "classifier.bias",   "labels"),
    )),
    "XLMRobertaForQuestionAnswering": ("question answering", (
        ("out.weight", "qa_outputs.weight", "labels width"),
        ("out.bias",   "qa_outputs.bias",   "labels"),
    )),
}  # fmt: skip
NAMED = ("sequence classification", "token classification")
"""The tasks whose labels have names."""

TABLES = ("vocabulary", "positions")
"""First axes of the matrices whose rows are looked up; a quantized one has a scale for each row, of any other for each output."""

ENCODER_PREFIX = "roberta."
HEAD_PREFIX = "lm_head."


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a checkpoint."""

    name: str
    """Ours, such as `layers.0.query.weight`."""
    hf: str
    """Hugging Face's, with its prefix, such as `roberta.encoder.layer.0.attention.self.query.weight`."""
    axes: tuple[str, ...]

    def shape(self, config: Config, labels: int = 0) -> tuple[int, ...]:
        """Its size along each axis; `labels` is that of a fine-tuned head."""
        return tuple(sizes(config, labels)[axis] for axis in self.axes)


def sizes(config: Config, labels: int = 0) -> dict[str, int]:
    """The length of each axis."""
    return {
        "vocabulary": config.vocabulary,
        "positions": config.positions,
        "types": config.types,
        "width": config.width,
        "heads": config.attended,
        "inner": config.inner,
        "labels": labels,
    }


def encoder(config: Config) -> Iterator[Tensor]:
    """The encoder's tensors, in the order they are used."""
    for name, hf, axes in EMBEDDINGS:
        yield Tensor(f"embeddings.{name}", ENCODER_PREFIX + hf, tuple(axes.split()))
    for i in range(config.layers):
        for name, hf, axes in LAYER:
            yield Tensor(f"layers.{i}.{name}", f"{ENCODER_PREFIX}encoder.layer.{i}.{hf}", tuple(axes.split()))


def mlm_head(config: Config) -> Iterator[Tensor]:
    """The masked-language-model head's tensors. A tied head has no matrix of its own: it uses `embeddings.words.weight`."""
    for name, hf, axes in MLM_HEAD:
        if name != "words.weight" or not config.tied:
            yield Tensor(f"head.{name}", HEAD_PREFIX + hf, tuple(axes.split()))


def task_head(architecture: str) -> Iterator[Tensor]:
    """The tensors of a fine-tuned head, by Hugging Face's class."""
    for name, hf, axes in TASK_HEADS[architecture][1]:
        yield Tensor(f"task.{name}", hf, tuple(axes.split()))
