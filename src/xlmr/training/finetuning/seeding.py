"""One fine-tuning with several seeds: how much of a score is luck."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from xlmr.checkpoint.folder import CONFIG
from xlmr.errors import BadInput, BadRecipe
from xlmr.training import states
from xlmr.training.finetuning import runs
from xlmr.training.finetuning import settings as choices
from xlmr.training.finetuning.runs import REPORT, RUN, Tuned
from xlmr.training.finetuning.settings import Settings


@dataclass(frozen=True, slots=True)
class Seeded:
    """The same run with several seeds."""

    runs: Mapping[int, Tuned]
    """By seed."""

    @property
    def best(self) -> Tuned:
        """By the mean on the development data; without them the first."""
        return max(self.runs.values(), key=lambda of: of.mean if of.mean is not None else float("-inf"))

    @property
    def spread(self) -> tuple[float, float] | None:
        """Mean and standard deviation of the runs' means; None without development data."""
        means = [of.mean for of in self.runs.values() if of.mean is not None]
        return (mean(means), stdev(means) if len(means) > 1 else 0.0) if means else None


def run(
    model: Mapping[str, Any], train: Sequence[str], dev: Sequence[str], output: Path, settings: Settings, seeds: Sequence[int], *,
    resume: bool = False,
) -> Seeded:  # fmt: skip
    """`runs.run` for each seed, one after another, in `output/seed-N`. With `resume` those that have ended are not run again.

    Raises BadInput where a seed comes twice, BadRecipe where one that has ended was of other settings or files, and as `runs.run`.
    """
    if len({*seeds}) < len(seeds):
        raise BadInput(f"the seeds are {', '.join(map(str, seeds))}; wanted each once")
    for seed in seeds:
        choices.check(replace(settings, seed=seed))  # the last one's fault would else be told after the others' hours
    folders = {seed: output / f"seed-{seed}" for seed in seeds}
    ended = {seed for seed, folder in folders.items() if resume and (folder / CONFIG).exists() and (folder / REPORT).exists()}
    for seed in ended:
        _check_same(folders[seed], {**asdict(replace(settings, seed=seed)), "train": [*train], "dev": [*dev]})
    for seed in folders.keys() - ended:
        runs.check_output(folders[seed], resume=resume)
    made = {}
    for seed, folder in folders.items():
        started = resume and states.find(folder / RUN / "state") is not None  # one killed before its first state begins anew
        made[seed] = read(folder) if seed in ended else runs.run(model, train, dev, folder, replace(settings, seed=seed), resume=started)
    return Seeded(made)


def _check_same(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Raises BadRecipe where a run that has ended was of other settings or files: what they scored would be no spread of luck."""
    report = _report(folder)
    held = {**report["settings"], **report["data"]}
    other = [f"{name} {held.get(name)}, now {of}" for name, of in wanted.items() if held.get(name) != of]
    if other:
        raise BadRecipe(f"{folder}: has ended with other settings ({'; '.join(other)}); resume with its own, or choose another folder")


def _report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return found


def read(folder: Path) -> Tuned:
    """What a run that has ended has made, by its report."""
    raw = _report(folder)
    scores = {code: nan if of is None else of for code, of in raw["languages"].items()}
    average = mean(scores.values()) if scores else None
    return Tuned(folder, raw["metric"], scores, average, raw["step"], raw["steps"], raw["seconds"], tuple(raw["dropped"]))
