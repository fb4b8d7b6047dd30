"""The proof that an exported model answers as the checkpoint does: asked through its files, in a process that does not know xlmr."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint, runtimes
from xlmr.checkpoint import Checkpoint
from xlmr.config import Config
from xlmr.errors import BadExport
from xlmr.export.answers import Task
from xlmr.heads import classes

TOLERANCE = {"float32": 1e-4, "float16": 2e-2}
"""By the type of the arithmetic: how far a number may be from ours."""
RAGGED = (7, 3, 30, 4)
"""Tokens of the texts of a batch; besides it there is one of the shortest text, and one of the longest."""
SHOWN = 400
"""Characters of what a program complains about."""
PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one output, over all texts, padding left out."""

    largest: float
    mean: float


@dataclass(frozen=True, slots=True)
class Parity:
    """What was found."""

    task: str
    tolerance: float
    lengths: tuple[tuple[int, ...], ...]
    """Tokens of the texts of each batch."""
    outputs: Mapping[str, Difference]

    def as_json(self) -> dict[str, Any]:
        """As `parity.json` has it."""
        return asdict(self)


def prove(folder: Path, program: str, of: Checkpoint, task: Task, tolerance: float) -> Parity:
    """Ask the files in a folder, by a program of `programs`, and hold the answers against the checkpoint's own, on our ONNX runtime.

    Raises BadExport where one is further off than `tolerance`, or the program fails.
    """
    batches = questions(of.config)
    found = ask(folder, program, batches, of.config.pad_id)
    wanted = [expected(of, task, ids) for ids in batches]
    outputs = {name: _difference(name, batches, found, wanted, of.config.pad_id) for name in task.outputs}
    lengths = tuple(tuple((ids != of.config.pad_id).sum(1).tolist()) for ids in batches)
    for name, one in outputs.items():
        if not one.largest <= tolerance:
            raise BadExport(
                f"{task.name}: {name} of the exported model is up to {one.largest:.1e} off the checkpoint's; wanted {tolerance:g} at most. "
                "Nothing was exported"
            )
    return Parity(task.name, tolerance, lengths, outputs)


def questions(config: Config) -> list[np.ndarray]:
    """Batches of ids, drawn alike every time, padded to the right."""
    dice = np.random.default_rng(0)
    return [np.stack([*_rows(lengths, config, dice)]) for lengths in ((1,), [min(of, config.longest) for of in RAGGED], (config.longest,))]


def _rows(lengths: Sequence[int], config: Config, dice: np.random.Generator) -> Iterator[np.ndarray]:
    others = np.setdiff1d(np.arange(config.vocabulary), [config.pad_id])
    for length in lengths:
        ids = np.full(max(lengths), config.pad_id)
        ids[:length] = dice.choice(others, length)
        ids[0], ids[length - 1] = config.bos_id, config.eos_id if length > 1 else config.bos_id
        yield ids


def expected(of: Checkpoint, task: Task, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The checkpoint's own answers, float32 `[batch, …]`; zeros at padding."""
    runtime, real = runtimes.start(of), ids != of.config.pad_id
    if task.name == "fill-mask":
        logits = np.zeros((*ids.shape, of.config.vocabulary), np.float32)
        logits[real] = runtime.mlm_logits(ids, np.argwhere(real))
        return {"logits": logits}
    (states,) = runtime.hidden_states(ids)
    if task.name == "feature-extraction":
        return {"last_hidden_state": states}
    weights = {name.removeprefix("task."): array for name, array in checkpoint.head_weights(of).items()}
    if task.name == "text-classification":
        return {"logits": classes.logits(weights, states[:, 0])}
    found = classes.linear(weights, states)
    return {"logits": found} if task.name == "token-classification" else {"start_logits": found[..., 0], "end_logits": found[..., 1]}


def ask(folder: Path, program: str, batches: Sequence[np.ndarray], pad_id: int) -> Mapping[str, np.ndarray]:
    """What a program answers: `NAME.N` of each output and batch. Raises BadExport where it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        asked, answered = (Path(temporary) / f"{name}.npz" for name in ("questions", "answers"))
        held = {f"ids.{i}": ids for i, ids in enumerate(batches)} | {
            f"mask.{i}": (ids != pad_id).astype(np.int64) for i, ids in enumerate(batches)
        }
        np.savez(asked, **held)  # type: ignore[arg-type]  # NumPy's stubs take no names
        command = [sys.executable, "-P", str(PROGRAMS / f"{program}.py"), str(folder), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=_quiet())
        if done.returncode or not answered.exists():
            raise BadExport(f"{folder}: the exported model does not run ({done.stderr.strip()[-SHOWN:]}). Nothing was exported")
        with np.load(answered) as found:
            return dict(found)


def _difference(
    name: str, batches: Sequence[np.ndarray], found: Mapping[str, np.ndarray], wanted: Sequence[Mapping[str, np.ndarray]], pad_id: int
) -> Difference:
    """Raises BadExport where an answer is missing or of another shape."""
    apart = []
    for i, ids in enumerate(batches):
        theirs, ours = found.get(f"{name}.{i}"), wanted[i][name]
        if theirs is None or theirs.shape != ours.shape:
            shape = "nothing" if theirs is None else f"an array of the shape {theirs.shape}"
            raise BadExport(f"the exported model gives {shape} for {name}, wanted the shape {ours.shape}. Nothing was exported")
        off = np.abs(theirs.astype(np.float32) - ours)
        apart.append((off[ids != pad_id] if off.shape[:2] == ids.shape else off).ravel())
    every = np.concatenate(apart)
    return Difference(float(every.max()), float(every.mean()))


def _quiet() -> dict[str, str]:
    """The environment of a program: of TensorFlow's and JAX's remarks on the machine only errors."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
