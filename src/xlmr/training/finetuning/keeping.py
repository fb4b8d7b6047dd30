"""Which weights of a run are kept: the last, those that score best on the development set, or the mean of all that were measured.

The mean over a run needs no development set in the target languages, and steadies what a model does in languages it was not trained in
(Schmidt, Vulić and Glavaš 2023, "Free lunch: robust cross-lingual transfer via model checkpoint averaging"). What is kept lies in numbered
files, each made of the one before; two are there at any time, so that a run which was killed between a measurement and its state goes on
from the older one and keeps what it would have kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xlmr.errors import BadRecipe
from xlmr.training.finetuning import growth

BEST, LAST, MEAN = "best", "last", "mean"
KEEP = (BEST, LAST, MEAN)


@dataclass(slots=True)
class Kept:
    """How a run stands; part of its state."""

    measured: int = 0
    """How often it was measured."""
    best: float | None = None
    """The best score so far …"""
    since: int = 0
    """… and how often it was measured since."""
    file: int = 0
    """The number of the file that holds what is kept; 0: none."""
    step: int = 0
    """The step after which the best was measured; of `mean` and `last` the last step that was."""


class Keeper:
    """Keeps the weights that learn, in a folder of the run."""

    def __init__(self, folder: Path, keep: str, *, writes: bool = True) -> None:
        """`writes`: of several processes the first only."""
        self.folder, self.keep, self.writes = folder, keep, writes
        self.kept = Kept()

    def measure(self, learner: nn.Module, score: float, step: int) -> None:
        """Take note of the learner as it is, after so many steps, and of its score: the higher the better."""
        kept = self.kept
        better = kept.best is None or score > kept.best or (isnan(kept.best) and not isnan(score))
        kept.measured += 1
        kept.since = 0 if better else kept.since + 1
        kept.best = score if better else kept.best
        if better or self.keep != BEST:
            kept.step = step
        if self.keep == MEAN or (self.keep == BEST and better):
            self._write(learner)

    @torch.no_grad()
    def restore(self, learner: nn.Module) -> None:
        """Put into the learner what was kept; `last` is what it has. For the process that writes: others may not see its disk."""
        if self.kept.file:
            held = self._read()
            for name, parameter in growth.learning(learner):
                parameter.copy_(held[name])

    def _kept(self, learner: nn.Module) -> dict[str, Tensor]:
        now = _weights(learner)
        if self.keep == BEST or not self.kept.file:
            return now
        held = self._read()
        return {name: held[name] + (of - held[name]) / self.kept.measured for name, of in now.items()}

    def _read(self) -> Mapping[str, Tensor]:
        path = self._path(self.kept.file)
        if not path.exists():
            raise BadRecipe(f"{path} is missing: the run cannot go on exactly; begin a new one without --resume")
        found: dict[str, Tensor] = load_file(path)
        return found

    def _write(self, learner: nn.Module) -> None:
        path, before = self._path(self.kept.measured), self._path(self.kept.file)
        if self.writes:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            save_file(self._kept(learner), partial)
            partial.replace(path)
            for other in path.parent.glob("*.safetensors"):
                if other not in (path, before):
                    other.unlink()
        self.kept.file = self.kept.measured

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.safetensors"


def _weights(learner: nn.Module) -> dict[str, Tensor]:
    return {name: of.detach().float().cpu().clone() for name, of in growth.learning(learner)}
