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
from xlmr.export.answers import ENCODER, MASKS, Task
from xlmr.heads import classes

TOLERANCE = {"float32": (1e-4, 0.0), "float16": (1e-4, 2e-2)}
"""By the type of weights and arithmetic: how far a number may be from ours, and what share of the largest more."""
RAGGED = (7, 3, 30, 4)
"""Tokens of the texts of a batch; besides it there is one of the shortest text, and one of the longest."""
SHOWN = 400
"""Characters of what a program complains about."""
PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Asked:
    """A file or folder that was exported, and how it is asked."""

    program: str
    """Of `export.programs`."""
    path: Path
    """What the program is given."""
    name: str
    """What that is called in the report."""
    tasks: tuple[Task, ...]
    dtype: str = "float32"
    """A key of `TOLERANCE`."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and is to be asked."""

    folder: Path
    asked: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one output, over all texts, padding left out."""

    artefact: str
    """The name of what was asked."""
    task: str
    output: str
    largest: float
    mean: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Parity:
    """What was found."""

    lengths: tuple[tuple[int, ...], ...]
    """Tokens of the texts of each batch."""
    differences: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """Of all outputs."""
        return max(of.largest for of in self.differences)

    def as_json(self) -> dict[str, Any]:
        """As `parity.json` has it."""
        return asdict(self)


def prove(asked: Sequence[Asked], of: Checkpoint) -> Parity:
    """Ask what was exported, and hold the answers against the checkpoint's own, on our ONNX runtime.

    Raises BadExport where an answer is further off than `TOLERANCE` allows, or a program fails.
    """
    batches = questions(of.config)
    tasks = {task.name: task for one in asked for task in one.tasks}
    wanted = {name: [expected(of, task, ids) for ids in batches] for name, task in tasks.items()}
    differences = []
    for one in asked:
        found = ask(one, batches, of.config.pad_id)
        for task in one.tasks:
            differences += [_difference(one, task, output, batches, of.config.pad_id, found, wanted[task.name]) for output in task.outputs]
    for apart in differences:
        if not apart.largest <= apart.allowed:
            raise BadExport(
                f"{apart.task}: {apart.output} of the exported {apart.artefact} is up to {apart.largest:.1e} off the checkpoint's; "
                f"wanted {apart.allowed:.1e} at most. Nothing was exported"
            )
    lengths = tuple(tuple((ids != of.config.pad_id).sum(1).tolist()) for ids in batches)
    return Parity(lengths, tuple(differences))


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
    if task == MASKS:
        logits = np.zeros((*ids.shape, of.config.vocabulary), np.float32)
        logits[real] = runtime.mlm_logits(ids, np.argwhere(real))
        return {"logits": logits}
    (states,) = runtime.hidden_states(ids)
    if task == ENCODER:
        return {"last_hidden_state": states}
    weights = {name.removeprefix("task."): array for name, array in checkpoint.head_weights(of).items()}
    if task.name == "text-classification":
        return {"logits": classes.logits(weights, states[:, 0])}
    found = classes.linear(weights, states)
    return {"logits": found} if task.name == "token-classification" else {"start_logits": found[..., 0], "end_logits": found[..., 1]}


def ask(asked: Asked, batches: Sequence[np.ndarray], pad_id: int) -> Mapping[str, np.ndarray]:
    """What a program answers: `TASK.NAME.N` of each task, output and batch. Raises BadExport where it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        questions, answers = (Path(temporary) / f"{name}.npz" for name in ("questions", "answers"))
        held = {f"ids.{i}": ids for i, ids in enumerate(batches)} | {
            f"mask.{i}": (ids != pad_id).astype(np.int64) for i, ids in enumerate(batches)
        }
        np.savez(questions, **held)
        paths = (PROGRAMS / f"{asked.program}.py", asked.path, questions, answers)
        command = [sys.executable, "-P", *map(str, paths), *(task.name for task in asked.tasks)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=_quiet())
        if done.returncode or not answers.exists():
            why = done.stderr.strip()[-SHOWN:] or f"it ended with {done.returncode}"
            raise BadExport(f"{asked.name}: the exported model does not run ({why}). Nothing was exported")
        with np.load(answers) as found:
            return dict(found)


def _difference(
    asked: Asked, task: Task, output: str, batches: Sequence[np.ndarray], pad_id: int, found: Mapping[str, np.ndarray],
    wanted: Sequence[Mapping[str, np.ndarray]],
) -> Difference:  # fmt: skip
    """Raises BadExport where an answer is missing or of another shape."""
    apart, largest = [], 0.0
    for i, ids in enumerate(batches):
        theirs, ours = found.get(f"{task.name}.{output}.{i}"), wanted[i][output]
        if theirs is None or theirs.shape != ours.shape:
            shape = "nothing" if theirs is None else f"an array of the shape {theirs.shape}"
            raise BadExport(f"the exported {asked.name} gives {shape} for {output}, wanted the shape {ours.shape}. Nothing was exported")
        real = ids != pad_id
        off = np.abs(theirs.astype(np.float32) - ours)
        apart.append((off[real] if off.shape[:2] == ids.shape else off).ravel())
        largest = max(largest, float(np.abs(ours).max()))
    every, (least, share) = np.concatenate(apart), TOLERANCE[asked.dtype]
    return Difference(asked.name, task.name, output, float(every.max()), float(every.mean()), least + share * largest)


def _quiet() -> dict[str, str]:
    """The environment of a program: of TensorFlow's and JAX's remarks on the machine only errors."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
