"""The one training loop: steps, schedule, precision, several processes, log, resumption.

What is learnt is the `Task`'s affair; the loop asks it for a step's parts and their losses. The state is saved by the clock, and
after every measurement.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from xlmr.checkpoint import Checkpoint
from xlmr.errors import BadRecipe
from xlmr.training import boards, states
from xlmr.training.boards import Board
from xlmr.training.disk import writing

KEPT = ("step", "seconds", "skipped", "lost", "sums", "summed")  # of the progress, in the state
SKIPS = 20  # steps whose gradient is not finite, one after another, before the run stops


class Task(Protocol):
    """What a run learns."""

    model: nn.Module

    def parts(self, step: int, process: int, processes: int) -> Iterator[Any]:
        """This process's parts of the step, to be worked one after another. Steps are asked in order."""
        ...

    def loss(self, part: Any, processes: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What to descend, such that the mean over processes of the sum over parts is the step's loss; and its addends to log."""
        ...

    def evaluate(self, step: int) -> dict[str, Any]:
        """Scores on held-out data after so many steps, for the log."""
        ...

    def enough(self) -> bool:
        """Whether the run may end here, before its plan; asked after each `evaluate`."""
        ...

    def state(self) -> dict[str, Any]:
        """All that `parts` needs to go on from here, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how fast, and where it is written down."""

    folder: Path
    identity: str
    """What must be the same for a run to be resumed."""
    steps: int
    size: int
    """Of a step in `unit`, for the progress bar and the log."""
    unit: str = "tokens"
    warmup: int
    decay: int
    """Last steps, in which the rate falls to 0."""
    clip: float
    log: int
    evaluate: int
    minutes: float
    seed: int
    trunk: bool = True
    """Whether the state before the decay is kept, from which a longer run can go on."""
    board: Path | None = None
    """Where TensorBoard's files go; None: into the folder."""

    def rate(self, step: int) -> float:
        """Share of the full rate: linear warm-up, constant, linear decay (Hägele et al. 2024)."""
        return min(1.0, (step + 1) / max(1, self.warmup), (self.steps - step) / max(1, self.decay))


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Steps in a row, up to now, whose gradient was not finite."""
    lost: int = 0
    """All such steps of the run."""
    sums: dict[str, float] = field(default_factory=dict)
    """Losses since the last line of the log, summed over `summed` steps."""
    summed: int = 0


def train(task: Task, optimisers: Sequence[Optimizer], plan: Plan, accelerator: Accelerator, *, resume: bool) -> None:
    """Run the plan to its end. Killed at any moment and resumed, it gives the same losses.

    Raises BadRecipe where there is a state and `resume` is False, where `resume` finds none or another recipe's,
    and where the gradient is not finite `SKIPS` times in a row.
    """
    model, *wrapped = accelerator.prepare(task.model, *optimisers)
    task.model = model
    full = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    progress = _resume(task, optimisers, plan, accelerator) if resume else _begin(plan)
    bar = tqdm(total=plan.steps * plan.size, initial=progress.step * plan.size, unit=f" {plan.unit}", unit_scale=True,
               disable=not accelerator.is_main_process, smoothing=0.02, mininterval=often())  # fmt: skip
    board = Board(plan.board or plan.folder / boards.NAME, progress.step) if accelerator.is_main_process else None
    saved = started = time.monotonic()
    while progress.step < plan.steps and not (progress.step and task.enough()):
        step = progress.step
        _set_rates(optimisers, full, plan.rate(step))
        torch.manual_seed(hash((plan.seed, step, accelerator.process_index)) & 0x7FFFFFFF)  # dropout's
        losses = _step(task, wrapped, plan, accelerator, step, progress)
        progress.step += 1
        progress.seconds += time.monotonic() - started
        started = time.monotonic()
        if not progress.skipped:
            for name, value in losses.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value
            progress.summed += 1
        bar.update(plan.size)
        last = progress.step == plan.steps
        if progress.step % plan.log == 0 or last:
            _log(plan, progress, accelerator, board, bar)
        measured = progress.step % plan.evaluate == 0 or last
        if measured and (heldout := task.evaluate(progress.step)):
            _write(plan, board, {"step": progress.step, "heldout": heldout})
        if (plan.trunk and progress.step == plan.steps - plan.decay) or measured or _due(accelerator, saved, plan.minutes):
            _save(task, optimisers, plan, accelerator, progress)
            saved = time.monotonic()
    bar.close()
    if board:
        board.close()


def speaks() -> bool:
    """Whether this is the process that tells what came of it: of several the first."""
    return bool(PartialState().is_main_process)


def say(accelerator: Accelerator, text: str) -> None:
    """A line on standard error, beside the progress bar, once for all processes."""
    if accelerator.is_main_process:
        tqdm.write(f"xlmr: {text}", file=sys.stderr)


def tell_unpacked(start: Checkpoint) -> None:
    """Say of a quantized model that it learns, and is saved, as floats."""
    if start.quantized:
        tqdm.write(
            f"{start.folder} is quantized: what learns is the floats that its integers stand for, and is saved as floats", sys.stderr
        )


def follow(losses: Iterator[float], title: str, steps: int) -> None:
    """To the end, with progress and the mean loss."""
    mean = None
    for loss in (bar := tqdm(losses, title, steps, mininterval=often())):
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        bar.set_postfix(loss=f"{mean:.3f}", refresh=False)


def often() -> float:
    """Seconds between two looks of a progress bar: on a terminal it moves, in a log file each is kept."""
    return 0.1 if sys.stderr.isatty() else 30.0


def _step(task: Task, optimisers: Sequence[Any], plan: Plan, accelerator: Accelerator, step: int, progress: Progress) -> dict[str, float]:
    """One update; gives the step's losses over all processes."""
    processes = accelerator.num_processes
    sums: dict[str, Any] = {}
    parts = list(task.parts(step, accelerator.process_index, processes))
    for i, part in enumerate(parts):
        waits = accelerator.no_sync(task.model) if i < len(parts) - 1 else nullcontext()
        with waits, accelerator.autocast():
            loss, addends = task.loss(part, processes)
            accelerator.backward(loss)
        for name, value in addends.items():
            sums[name] = sums.get(name, 0) + value.detach().float()
    norm = accelerator.clip_grad_norm_(task.model.parameters(), plan.clip)
    if math.isfinite(float(norm)):
        progress.skipped = 0
        for optimiser in optimisers:
            optimiser.step()
    else:
        progress.skipped += 1
        progress.lost += 1
        if progress.skipped >= SKIPS:
            raise BadRecipe(f"step {step}: the gradient was not finite {SKIPS} times in a row; lower the rate, or look at the data")
        say(
            accelerator,
            f"step {step}: the gradient is not finite, so it changes nothing ({progress.lost} such steps, {progress.skipped} in a row)",
        )
    for optimiser in optimisers:
        optimiser.zero_grad()
    return {name: float(accelerator.reduce(value, "mean")) for name, value in sums.items()}


def _set_rates(optimisers: Sequence[Optimizer], full: list[list[float]], share: float) -> None:
    for optimiser, rates in zip(optimisers, full, strict=True):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * share


def _due(accelerator: Accelerator, saved: float, minutes: float) -> bool:
    """Whether it is time to save: the main process's clock, so that all agree."""
    due = torch.tensor(float(time.monotonic() - saved > minutes * 60), device=accelerator.device)
    if accelerator.num_processes > 1:
        torch.distributed.broadcast(due, 0)
    return bool(due)


# -- what is written down --


def _begin(plan: Plan) -> Progress:
    if found := states.find(plan.folder / "state"):
        raise BadRecipe(f"{found} holds an earlier run: resume it (--resume), or choose another output folder")
    (plan.folder / "log.jsonl").unlink(missing_ok=True)
    return Progress()


def _resume(task: Task, optimisers: Sequence[Optimizer], plan: Plan, accelerator: Accelerator) -> Progress:
    """The state, or, where the plan has become longer, the state before the old plan's decay."""
    found = states.find(plan.folder / "state")
    if found is None:
        raise BadRecipe(f"{plan.folder / 'state'}: no run to resume; begin one without --resume")
    raw = states.read_progress(found)
    if raw["identity"] == plan.identity and raw["steps"] != plan.steps and raw["step"] > raw["steps"] - raw["decay"]:
        trunk = states.find(plan.folder / "trunk")
        if trunk is None:
            raise BadRecipe(f"{plan.folder / 'trunk'}: not there, so the run cannot be made longer; it holds the state before the decay")
        found, raw = trunk, states.read_progress(trunk)
    if raw["identity"] != plan.identity:
        raise BadRecipe(f"{found} is of another recipe, or of other data; resume it with its own, or choose another output folder")
    if raw["steps"] != plan.steps and raw["step"] > plan.steps - plan.decay:
        raise BadRecipe(f"{found} is at step {raw['step']}, and the shorter run's rate would fall from step {plan.steps - plan.decay} on; "
                        "wanted more tokens")  # fmt: skip
    states.load(found, accelerator.unwrap_model(task.model), optimisers)
    task.restore(raw["task"])
    progress = Progress(**{name: raw[name] for name in KEPT if name in raw})
    accelerator.wait_for_everyone()  # nothing is moved that another process reads
    if accelerator.is_main_process:
        _cut_log(plan.folder / "log.jsonl", progress.step)
        if plan.trunk and progress.step == plan.steps - plan.decay:  # in case the run was killed between state and trunk
            _keep_trunk(found, plan.folder / "trunk")
    return progress


def _save(task: Task, optimisers: Sequence[Optimizer], plan: Plan, accelerator: Accelerator, progress: Progress) -> None:
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        raw = {"identity": plan.identity, "steps": plan.steps, "decay": plan.decay, "task": task.state()}
        raw |= {name: getattr(progress, name) for name in KEPT}
        states.save(plan.folder / "state", accelerator.unwrap_model(task.model), optimisers, raw)
        if plan.trunk and progress.step == plan.steps - plan.decay:
            _keep_trunk(plan.folder / "state", plan.folder / "trunk")
    accelerator.wait_for_everyone()


def _keep_trunk(state: Path, trunk: Path) -> None:
    """A copy of the state, from which a longer plan can go on."""
    copy = trunk.with_name("trunk.partial")
    shutil.rmtree(copy, ignore_errors=True)
    try:
        with writing(trunk, "the state is whole: make room, and go on with --resume"):
            shutil.copytree(state, copy)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    states.replace(copy, trunk)


def _log(plan: Plan, progress: Progress, accelerator: Accelerator, board: Board | None, bar: Any) -> None:
    losses = {name: round(total / progress.summed, 6) for name, total in progress.sums.items() if progress.summed}
    progress.sums, progress.summed = {}, 0
    line = {"step": progress.step, plan.unit: progress.step * plan.size, **losses, "rate": plan.rate(progress.step - 1),
            "seconds": round(progress.seconds, 1)}  # fmt: skip
    if progress.lost:
        line["lost"] = progress.lost
    _write(plan, board, line)
    bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)


def _write(plan: Plan, board: Board | None, line: Mapping[str, Any]) -> None:
    """A line of the log; the process that has the board writes it."""
    if board:
        board.add(line)
        plan.folder.mkdir(parents=True, exist_ok=True)
        path = plan.folder / "log.jsonl"
        with writing(path, states.what_is_left(plan.folder / "state")), path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(finite(line), allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """The same, as JSON can say it: None for a number that is none, or is infinite."""
    if isinstance(value, Mapping):
        return {name: finite(of) for name, of in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cut_log(path: Path, step: int) -> None:
    """Drop lines later than the state, which the run will write again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    partial = path.with_suffix(".partial")  # killed here, the run keeps its log
    partial.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step), encoding="utf-8")
    partial.replace(path)
