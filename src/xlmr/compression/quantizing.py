"""Quantization: weights stored in fewer bits, and what is computed with them in fewer bits too, where a processor is faster so.

In `dynamic` and `static` matrices are int8 with a scale for each output, and what they are multiplied with becomes 8 bits on the way: by
a scale of each token's own, so that an answer depends on its own text alone, or by one that was calibrated. In `weight-only` a scale serves
32 inputs, and arithmetic stays float32. Tables of embeddings have 8 bits and a scale for each row in all three, and the tied MLM head is
the same bytes.

Matrices are rounded so that what they compute changes least (`rounding`), and those that lose most stay in float16 (`sensitivity`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint, tensors, tokenizer
from xlmr.checkpoint import Checkpoint, packing
from xlmr.checkpoint.folder import QUANTIZED
from xlmr.checkpoint.integers import BLOCK, Quantized, Rounding
from xlmr.checkpoint.packing import Plan
from xlmr.compression import calibration, chain, comparison, parts, probe, ranges, sensitivity
from xlmr.compression.inputs import Inputs
from xlmr.compression.parts import Parts, Step
from xlmr.compression.probe import Texts
from xlmr.compression.rounding import rounding
from xlmr.errors import BadInput
from xlmr.tensors import TABLES

DYNAMIC, STATIC, WEIGHT_ONLY, FLOAT16 = MODES = ("dynamic", "static", "weight-only", "fp16")
BITS = (8, 4)
ROUNDINGS = ("gptq", "nearest")
CALIBRATION = "percentile"
KEPT = 2
"""Matrices that stay in float16 where nothing is said: of a small model a hundredth of all, and most of what it loses."""


@dataclass(frozen=True, slots=True)
class Quantize:
    """How it is done."""

    mode: str = DYNAMIC
    """Of `MODES`."""
    bits: int = 8
    """Of `BITS`; 4 with `weight-only` alone. Tables have 8."""
    keep_worst: int | None = None
    """How many of the matrices that lose most stay in float16. None: `KEPT`, and none of `fp16`."""
    agreement: float | None = None
    """With `keep_worst` None: keep as many as it takes to answer so much alike (`Comparison.agreement`), asked `asked`; twice as many at a
    time."""
    asked: Texts | None = None
    """None: `probe.builtin`."""
    rounding: str = "gptq"
    """Of `ROUNDINGS`."""
    calibration: str = CALIBRATION
    """How fixed scales are found: a key of `ranges.CALIBRATIONS`. For `static` alone."""
    calibrate: Texts | None = None
    """To calibrate on; None: `calibration.builtin`, of a model for some languages alone theirs."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mode", self.mode, MODES), ("bits", self.bits, BITS), ("rounding", self.rounding, ROUNDINGS),
            ("calibration", self.calibration, tuple(ranges.CALIBRATIONS)),
        ):  # fmt: skip
            if value not in known:
                raise BadInput(f"{name} {value!r} is not known; wanted one of {', '.join(map(str, known))}")
        if self.bits == 4 and self.mode != WEIGHT_ONLY:
            raise BadInput(f"4 bits are for mode {WEIGHT_ONLY} alone; {self.mode} was asked for")
        if self.keep_worst is not None and self.keep_worst < 0:
            raise BadInput(f"keep_worst is {self.keep_worst}, wanted 0 or more")
        if self.calibrate is not None and not any(self.calibrate.values()):
            raise BadInput("there are no texts to calibrate on; wanted some in a language at least, or None for those that come with xlmr")
        if self.mode == FLOAT16 and (self.keep_worst or self.calibrate is not None):
            raise BadInput(f"mode {FLOAT16} keeps no matrices and calibrates nothing; leave out keep_worst and calibrate")
        if self.mode != STATIC and self.calibration != CALIBRATION:
            raise BadInput(f"calibration {self.calibration} is of the fixed scales of mode {STATIC}; {self.mode} was asked for")

    @property
    def idle(self) -> tuple[str, ...]:
        """Options that have no part in the mode, so that no card names them."""
        if self.mode == FLOAT16:
            return "bits", "keep_worst", "agreement", "rounding", "calibration"
        return () if self.mode == STATIC else ("calibration",)


def quantize(parts_: Parts, new: Path, options: Quantize, step: Step) -> dict[str, Any]:
    """Write the model with weights in fewer bits.

    Raises BadInput where it was quantized so already, or the texts to calibrate on are none; BadCheckpoint where a number is not finite, or
    too large for the integers' scales.
    """
    chain.refuse_again(parts_, "quantize", mode=options.mode)
    if options.mode == FLOAT16:
        _refuse_halves(parts_)
        step("writing weights in float16")
        parts.put(replace(parts_, dtype="float16"), new)
        return {"dtype": "float16"}
    return _integers(parts_, new, options, step)


def _refuse_halves(of: Parts) -> None:
    task = of.source.task
    if all(held.dtype == "float16" for held in (*of.source.stored.values(), *(task.stored.values() if task else ()))):
        raise BadInput(f"{of.source.folder}: all of its weights are float16 already, so nothing would change; wanted another mode")


def _integers(of: Parts, new: Path, options: Quantize, step: Step) -> dict[str, Any]:
    pieces = tokenizer.open(of.source.folder)
    texts = options.calibrate or probe.among(calibration.builtin(), chain.languages(chain.read(of.source.folder)))
    inputs = Inputs(of.source, pieces, texts)
    plans = _plans(of, options, inputs)
    linear = [name for name, plan in plans.items() if plan.layout != "rows"]
    parts.describe(of, new)
    lost: Mapping[str, float] = {}
    kept: list[str] = []
    step(f"quantizing {len(plans)} matrices for what they read in {inputs.tokens:,} tokens")
    if options.keep_worst == 0:
        packing.write(new / QUANTIZED, of.config, of.weights, plans, of.head)
    else:
        with _aside(of, new) as whole:
            packing.write(whole / QUANTIZED, of.config, of.weights, plans, of.head)
            made = checkpoint.open(whole)
            lost = sensitivity.scan(of.source, made, linear, pieces, texts, step)
            kept = _kept(of.source, made, [*lost], options, step)
            found = {name: replace(plan, rounding=packing.again(_held(made, name))) for name, plan in plans.items() if name not in kept}
            packing.write(new / QUANTIZED, of.config, of.weights, found, of.head)
    parts.attach(of, new)
    return {
        "dtype": f"int{options.bits}",
        "matrices": len(plans),
        "kept": kept,
        "lost": dict(lost),
        "calibration": {"tokens": inputs.tokens, "languages": [*texts]},
    }


def _kept(of: Checkpoint, made: Checkpoint, worst: list[str], options: Quantize, step: Step) -> list[str]:
    """Which of the matrices, the worst first, are to stay floats."""
    count = KEPT if options.keep_worst is None else options.keep_worst
    if options.keep_worst is not None or options.agreement is None:
        return worst[:count]
    texts = probe.among(options.asked or probe.builtin(), chain.languages(chain.read(of.folder)))
    while (found := comparison.alike(of, _mixed(of, made, worst[:count]), texts)) < options.agreement and count < len(worst):
        step(f"with {count} matrices kept {found:.4f} agree")
        count *= 2
    return worst[:count]


def _mixed(of: Checkpoint, made: Checkpoint, kept: list[str]) -> Checkpoint:
    """The quantized model with some matrices as they were."""
    return replace(of, stored={**made.stored, **{name: of.stored[name] for name in kept}})


def _plans(of: Parts, options: Quantize, inputs: Inputs) -> dict[str, Plan]:
    """How each matrix is to be stored."""
    rounder = Rounder(inputs) if options.rounding == "gptq" else None
    plans = {}
    for tensor in (*tensors.encoder(of.config), *tensors.mlm_head(of.config)):
        name, shape = tensor.name, tensor.shape(of.config)
        if name not in of.weights or len(tensor.axes) < 2 or tensor.axes[0] == "types":
            continue
        layer = name.removesuffix(".weight")
        found = partial(rounder.round, layer) if rounder and rounder.knows(of.source, layer) else None
        if tensor.axes[0] in TABLES:
            plans[name] = Plan("rows", rounding=found)
        elif options.mode == WEIGHT_ONLY:
            if shape[1] % BLOCK == 0:
                plans[name] = Plan("blocks", options.bits, rounding=found)
        else:
            fixed = partial(_scale, inputs, layer, options.calibration) if options.mode == STATIC else None
            plans[name] = Plan("columns", input=fixed, rounding=found)
    return plans


class Rounder:
    """Roundings for what the layers read; those that read the same share the work."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._last: tuple[np.ndarray, Rounding] | None = None

    def knows(self, of: Checkpoint, layer: str) -> bool:
        """Whether it is told what a matrix reads: a table is read row by row, unless the MLM head reads it too."""
        if layer == "embeddings.words":
            return of.has_mlm_head and of.config.tied
        return layer != "embeddings.positions"

    def round(self, layer: str, values: np.ndarray, scale: np.ndarray, most: int) -> np.ndarray:
        """As `integers.Rounding`."""
        read = self._inputs.of("head.words" if layer == "embeddings.words" else layer)
        if self._last is None or self._last[0] is not read:
            self._last = read, rounding(read)
        return self._last[1](values, scale, most)


def _scale(inputs: Inputs, layer: str, calibration: str) -> float:
    return ranges.scale(inputs.of(layer), calibration)


def _held(made: Checkpoint, name: str) -> Quantized:
    held = made.stored[name]
    assert isinstance(held, Quantized)
    return held


@contextmanager
def _aside(of: Parts, new: Path) -> Iterator[Path]:
    """A folder within for a model with all of its matrices quantized, which is asked and then removed."""
    aside = new / "whole"
    aside.mkdir()
    parts.describe(of, aside)
    yield aside
    shutil.rmtree(aside)
