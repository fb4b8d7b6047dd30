"""What may be chosen of an export, by target. Imports nothing, so that a command's help is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IN_PLACE = "in-place"
LAYOUTS = ("beside", "external", "single", IN_PLACE)
"""Of ONNX. `beside`: the graph points into `model.safetensors`; `external`: into `model.onnx.data`; `single`: one file; `in-place`: the
graph alone, into the folder of the model, whose weights it points into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of every target."""

    task: str | None = None
    """Of `answers.TASKS`; None: what the model's head is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Safetensors(Options):
    """Of `safetensors`."""

    dtype: str = "float32"
    """Of the weights: `float32` or `float16`."""
    server: str | None = None
    """`tei`: with the files by which sentence-transformers and Text Embeddings Inference make vectors of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onnx(Options):
    """Of `onnx`."""

    layout: str = "beside"
    """Of `LAYOUTS`."""
    dtype: str = "float32"
    """Of the weights and the arithmetic: `float32` or `float16`. In place the weights stay as they are, and this is the arithmetic's."""
    fused: bool = False
    """With ONNX Runtime's own operators (`com.microsoft`), which no other engine has."""
    server: str | None = None
    """`triton`: as a model of Triton's repository; `tei`: as for `safetensors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFlow(Options):
    """Of `tensorflow`. Without a task the SavedModel has a signature for each that the weights are good for."""

    tflite: bool = False
    """`model.tflite` too."""
    server: str | None = None
    """`tf-serving`: as version 1 of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jax(Options):
    """Of `jax`."""

    stablehlo: bool = False
    """`model.stablehlo` too, for any batch and length."""


TARGETS: Mapping[str, type[Options]] = {
    "onnx": Onnx, "pytorch": Options, "tensorflow": TensorFlow, "jax": Jax, "safetensors": Safetensors,
}  # fmt: skip
