"""The proof that an exported model answers as the checkpoint does: asked through its files, in a process that does not know xlmr."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import checkpoint, runtimes
from xlmr.checkpoint import Checkpoint
from xlmr.config import Config
from xlmr.errors import BadExport
from xlmr.export import answers
from xlmr.export.answers import ENCODER, MASKS, Task
from xlmr.heads import classes
from xlmr.runtimes import Runtime

REPORT = "parity.json"
TOLERANCE = {"float32": (1e-4, 0.0, 0.0), "float16": (1e-4, 2e-2, 1e-2)}
"""By the type of weights and arithmetic: how far a number may be from ours, what share of the largest more, and on average what share of
the average. Rounding to float16 costs 0.2 % and 0.15 % (the model inside; random ones of 2 to 24 layers): more is no rounding."""
RAGGED = (7, 3, 30, 4)
"""Tokens of the texts of a batch; besides it there is one of the shortest text, and one of the longest."""
BLIND, UNSEEN = 7, 3
"""Tokens of a text that is asked twice, with another token at a place that the mask hides."""
SHOWN = 400
"""Characters of what a program complains about."""
PROGRAMS = Path(__file__).with_name("programs")

Batch = tuple[np.ndarray, np.ndarray]
"""Ids and mask, int64 `[batch, sequence]`."""


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
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the report says of it besides."""
    report: str = REPORT
    """The name that the report has until all went well."""


@dataclass(slots=True)
class Difference:
    """Of one output, over all texts, padding left out."""

    artefact: str
    """The name of what was asked."""
    task: str
    output: str
    allowed: float = 0.0
    """Of `largest`."""
    allowed_mean: float = 0.0
    largest: float = 0.0
    mean: float = 0.0
    numbers: int = 0
    """How many were compared."""


@dataclass(slots=True)
class Size:
    """Of a task's numbers, without their signs, over all texts, padding left out."""

    largest: float = 0.0
    mean: float = 0.0
    numbers: int = 0


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


def prove(made: Made, of: Checkpoint, tolerance: float | None = None) -> Parity:
    """Ask what was exported, and hold the answers against the checkpoint's own, on our ONNX runtime, a batch at a time.

    Raises BadExport where an answer is further off than `tolerance`, or else `TOLERANCE`, allows, where it depends on tokens that the mask
    hides, or where a program fails.
    """
    batches, blind = questions(of.config), blinded(of.config)
    tasks = {task.name: task for one in made.asked for task in one.tasks}
    with tempfile.TemporaryDirectory(dir=made.folder, prefix=".asked.") as temporary, ExitStack() as opened:
        every = []
        for number, one in enumerate(made.asked):
            path = ask(one, [*((ids, real(ids, of.config)) for ids in batches), blind], Path(temporary) / str(number))
            every.append((one, opened.enter_context(np.load(path))))
        differences = [
            found for task in tasks.values() for found in _compare(task, [pair for pair in every if task in pair[0].tasks], batches, of)
        ]
        for one, given in every:
            for task in one.tasks:
                _check_mask(one, task, given, len(batches), tolerance)
    for apart in differences:
        if tolerance is not None:
            apart.allowed = apart.allowed_mean = tolerance
        for how, off, allowed in (("up to", apart.largest, apart.allowed), ("on average", apart.mean, apart.allowed_mean)):
            if not off <= allowed:
                raise BadExport(
                    f"{apart.task}: {apart.output} of the exported {apart.artefact} is {how} {off:.1e} off the checkpoint's; "
                    f"wanted {allowed:.1e} at most. Nothing was exported; --tolerance allows more"
                )
    return Parity(tuple(tuple(real(ids, of.config).sum(1).tolist()) for ids in batches), tuple(differences))


def questions(config: Config) -> list[np.ndarray]:
    """Batches of ids, drawn alike every time, padded to the right."""
    dice = np.random.default_rng(0)
    return [np.stack([*_rows(lengths, config, dice)]) for lengths in ((1,), [min(of, config.longest) for of in RAGGED], (config.longest,))]


def blinded(config: Config) -> Batch:
    """A text twice, unlike at a place that the mask hides: the answers elsewhere are alike."""
    length = min(BLIND, config.longest)
    (ids,) = _rows((length,), config, np.random.default_rng(1))
    both, mask = np.stack([ids, ids]), np.ones((2, length), np.int64)
    if length > UNSEEN + 1:
        both[1, UNSEEN] = next(i for i in range(config.vocabulary) if i not in (config.pad_id, ids[UNSEEN]))
        mask[:, UNSEEN] = 0
    return both, mask


def real(ids: np.ndarray, config: Config) -> np.ndarray:
    """The mask of a batch: 0 at padding, else 1."""
    mask: np.ndarray = (ids != config.pad_id).astype(np.int64)
    return mask


def _rows(lengths: Sequence[int], config: Config, dice: np.random.Generator) -> Iterator[np.ndarray]:
    others = np.setdiff1d(np.arange(config.vocabulary), [config.pad_id])
    for length in lengths:
        ids = np.full(max(lengths), config.pad_id)
        ids[:length] = dice.choice(others, length)
        ids[0], ids[length - 1] = config.bos_id, config.eos_id if length > 1 else config.bos_id
        yield ids


def expected(of: Checkpoint, runtime: Runtime, task: Task, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The checkpoint's own answers, float32 `[batch, …]`; zeros at padding."""
    if task == MASKS:
        logits = np.zeros((*ids.shape, of.config.vocabulary), np.float32)
        places = np.argwhere(ids != of.config.pad_id)
        logits[tuple(places.T)] = runtime.mlm_logits(ids, places)
        return {"logits": logits}
    (states,) = runtime.hidden_states(ids)
    if task == ENCODER:
        return {"last_hidden_state": states}
    weights = {name.removeprefix("task."): array for name, array in checkpoint.head_weights(of).items()}
    if task.name == "text-classification":
        return {"logits": classes.logits(weights, states[:, 0])}
    found = classes.linear(weights, states)
    return {"logits": found} if task.name == "token-classification" else {"start_logits": found[..., 0], "end_logits": found[..., 1]}


def ask(asked: Asked, batches: Sequence[Batch], folder: Path) -> Path:
    """The file of what a program answers, in a new folder: `TASK.NAME.N` of task, output and batch. Raises BadExport where it fails."""
    folder.mkdir()
    questions, answered = (folder / f"{name}.npz" for name in ("questions", "answers"))
    held: dict[str, Any] = {f"{name}.{i}": of for i, batch in enumerate(batches) for name, of in zip(("ids", "mask"), batch, strict=True)}
    np.savez(questions, **held)
    paths = (PROGRAMS / f"{asked.program}.py", asked.path, questions, answered)
    command = [sys.executable, "-P", "-B", *map(str, paths), *(task.name for task in asked.tasks)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=_environment())
    if done.returncode or not answered.exists():
        last = done.stderr.strip().rpartition("\n")[2][-SHOWN:] or f"it ended with {done.returncode}"
        raise BadExport(f"{asked.name}: the exported model does not run ({last}). Nothing was exported")
    return answered


Answers = tuple[Asked, Mapping[str, np.ndarray]]


def _compare(task: Task, every: Sequence[Answers], batches: Sequence[np.ndarray], of: Checkpoint) -> list[Difference]:
    """All that were asked for a task against the checkpoint, which answers each batch once. Raises BadExport for a missing answer."""
    runtime, shapes = runtimes.start(of), answers.shapes(task, of)
    differences = {(one.name, output): Difference(one.name, task.name, output) for one, _ in every for output in task.outputs}
    size = Size()
    for number, ids in enumerate(batches):
        wanted = expected(of, runtime, task, ids)
        for output, ours in wanted.items():
            chosen = [*zip(*np.nonzero(ids != of.config.pad_id), strict=True)] if "sequence" in shapes[output] else range(len(ids))
            _add(size, (ours[place] for place in chosen))
            for one, given in every:
                theirs = _found(one, given, f"{task.name}.{output}.{number}", ours.shape)
                _add(differences[one.name, output], (theirs[place].astype(np.float64) - ours[place] for place in chosen))
    for one, _ in every:
        least, share, share_of_mean = TOLERANCE[one.dtype]
        for output in task.outputs:
            found = differences[one.name, output]
            found.allowed, found.allowed_mean = least + share * size.largest, least + share_of_mean * size.mean
    return [*differences.values()]


def _found(one: Asked, given: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Raises BadExport where it is missing, or of another shape."""
    found = given.get(name)
    if found is None or shape not in (None, found.shape):
        told = "nothing" if found is None else f"an array of the shape {found.shape}"
        raise BadExport(
            f"the exported {one.name} gives {told} for {name}, wanted {f'the shape {shape}' if shape else 'some'}. Nothing was exported"
        )
    return found


def _add(to: Difference | Size, rows: Iterable[np.ndarray]) -> None:
    """Numbers that are not finite count as endlessly large."""
    for row in rows:
        found = np.nan_to_num(np.abs(np.atleast_1d(row).astype(np.float64)), nan=np.inf, posinf=np.inf)
        to.largest = max(to.largest, float(found.max()))
        to.mean += (float(found.mean()) - to.mean) * found.size / (to.numbers + found.size)
        to.numbers += found.size


def _check_mask(one: Asked, task: Task, given: Mapping[str, np.ndarray], number: int, tolerance: float | None) -> None:
    """Raises BadExport where a token that the mask hides changes what is answered elsewhere."""
    for output in task.outputs:
        first, second = _found(one, given, f"{task.name}.{output}.{number}")
        if output != "logits" or task.name != "text-classification":
            first, second = (np.delete(of, UNSEEN, 0) for of in (first, second))
        least, share, _ = TOLERANCE[one.dtype]
        off = float(np.abs(first.astype(np.float64) - second).max(initial=0))
        if not off <= (least + share * float(np.abs(first).max(initial=0)) if tolerance is None else tolerance):
            raise BadExport(
                f"{task.name}: {output} of the exported {one.name} depends on tokens that attention_mask hides. Nothing is left"
            )


def _environment() -> dict[str, str]:
    """Of a program: on the processor, where float32 is computed in float32; of remarks on the machine only errors."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
