"""The state of a run on disk: weights and optimisers as safetensors, the rest as JSON; it appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from xlmr.errors import BadRecipe
from xlmr.training.disk import writing

FILES = ("model.safetensors", "optimisers.safetensors", "state.json")


def save(folder: Path, model: nn.Module, optimisers: Sequence[Optimizer], progress: Mapping[str, Any]) -> None:
    """Write the state beside the old one, then put it in its place. Raises OSError where the disk refuses: the old one stays."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(folder, f"{what_is_left(folder)} Two states must fit beside each other"):
            partial.mkdir(parents=True)
            save_file({name: of.contiguous() for name, of in model.state_dict().items()}, partial / FILES[0])
            save_file(_flatten(optimisers), partial / FILES[1])
            (partial / FILES[2]).write_text(json.dumps(progress), encoding="utf-8")
            for name in FILES:
                _flush(partial / name)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    replace(partial, folder)


def what_is_left(folder: Path) -> str:
    """What to do where a run can write no more."""
    return (
        "the last state is whole: make room, and go on with --resume."
        if find(folder)
        else "there is no state yet: make room, and begin anew."
    )


def replace(new: Path, old: Path) -> None:
    """Put a folder in another's place. Killed in between, the other lies beside as `NAME.old`, where `find` looks."""
    aside = old.with_name(old.name + ".old")
    if old.exists():
        shutil.rmtree(aside, ignore_errors=True)
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def find(folder: Path) -> Path | None:
    """Where the state lies, or None where there is none."""
    places = (folder, folder.with_name(folder.name + ".old"))
    return next((place for place in places if (place / FILES[2]).exists()), None)


def read_progress(folder: Path) -> dict[str, Any]:
    """The JSON part. Raises BadRecipe where a part of the state is missing or not readable."""
    for name in FILES:
        if not (folder / name).exists():
            raise BadRecipe(f"{folder / name} is missing: the run cannot go on exactly; begin a new one without --resume")
    try:
        progress: dict[str, Any] = json.loads((folder / FILES[2]).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRecipe(f"{folder / FILES[2]}: not readable ({error}); begin a new run without --resume") from None
    return progress


def load(folder: Path, model: nn.Module, optimisers: Sequence[Optimizer]) -> None:
    """Weights and optimisers as they were. Raises BadRecipe where anything is missing, or is of another model."""
    try:
        model.load_state_dict(load_file(folder / FILES[0]))
        _unflatten(load_file(folder / FILES[1]), optimisers)
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise BadRecipe(f"{folder}: the state does not fit the recipe's model ({error})") from None


def _flatten(optimisers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Every number an optimiser keeps, by `optimiser.parameter.name`."""
    flat: dict[str, Tensor] = {}
    for i, optimiser in enumerate(optimisers):
        for parameter, state in optimiser.state_dict()["state"].items():
            flat |= {f"{i}.{parameter}.{name}": torch.as_tensor(value).cpu().contiguous() for name, value in state.items()}
    return flat


def _unflatten(flat: Mapping[str, Tensor], optimisers: Sequence[Optimizer]) -> None:
    for i, optimiser in enumerate(optimisers):
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in flat.items():
            owner, parameter, name = key.split(".", 2)
            if int(owner) == i:
                states.setdefault(int(parameter), {})[name] = value
        expected = sum(len(group["params"]) for group in optimiser.param_groups)
        if not flat:
            continue  # no step has been taken yet
        if len(states) != expected:
            raise ValueError(f"optimiser {i} has {expected} parameters, the file {len(states)}")
        optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
