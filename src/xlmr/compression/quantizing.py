"""Quantization: weights stored in fewer bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xlmr.compression import chain
from xlmr.compression.parts import Parts, Step, put
from xlmr.errors import BadInput

FLOAT16 = "fp16"
MODES = (FLOAT16,)


@dataclass(frozen=True, slots=True)
class Quantize:
    """How it is done."""

    mode: str = FLOAT16
    """Of `MODES`."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise BadInput(f"mode {self.mode!r} is not known; wanted one of {', '.join(MODES)}")


def quantize(parts: Parts, new: Path, options: Quantize, step: Step) -> dict[str, Any]:
    """Write the model with its weights in float16, rounded to the nearest.

    Raises BadInput where it was made so already, BadCheckpoint where a number is too large for it.
    """
    chain.refuse_again(parts, "quantize", mode=options.mode)
    step("writing weights in float16")
    put(replace(parts, dtype="float16"), new)
    return {"dtype": "float16"}
