"""What may be chosen of an export, by target. Imports little, so that a command's help is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from xlmr.errors import BadInput

IN_PLACE = "in-place"
LAYOUTS = ("beside", "external", "single", IN_PLACE)
"""Of ONNX. `beside`: the graph points into `model.safetensors`; `external`: into `model.onnx.data`; `single`: one file; `in-place`: the
graph alone, into the folder of the model, whose weights it points into."""

DTYPES = ("float32", "float16")
CHOICES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dtype": {"Safetensors": DTYPES, "Onnx": DTYPES},
    "layout": {"Onnx": LAYOUTS},
    "server": {"Safetensors": ("tei",), "Onnx": ("triton", "tei"), "TensorFlow": ("tf-serving",)},
}
"""Of an option, by the class it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of every target."""

    task: str | None = None
    """Of `answers.TASKS`; None: what the model's head is for."""
    tolerance: float | None = None
    """How far an answer may be from the model's; None: as `parity.TOLERANCE` has it."""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            found = getattr(self, name, None)
            if found is not None and found not in allowed[type(self).__name__]:
                raise BadInput(f"{name} is {found!r}, wanted one of {', '.join(allowed[type(self).__name__])}")
        if self.tolerance is not None and not 0 < self.tolerance < inf:
            raise BadInput(f"tolerance is {self.tolerance}, wanted more than 0, and finite")


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
