"""A shallower model, made of some of a model's layers and taught by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from xlmr.compression import refitting
from xlmr.compression.parts import Parts, Step
from xlmr.compression.recovering import Recovery, recover
from xlmr.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Distil(Recovery):
    """How a model is distilled."""

    layers: int
    """Of the student."""
    data: tuple[str, ...]
    """`FILE` or `LANG=FILE`, to be taught by."""

    def __post_init__(self) -> None:
        Recovery.__post_init__(self)
        if self.layers < 1:
            raise BadInput(f"layers is {self.layers}, wanted 1 or more")
        if not self.steps:
            raise BadInput("steps is 0, so nothing would be taught; to leave layers out without teaching: xlmr compress prune --layers N")


def distil(parts: Parts, new: Path, options: Distil, step: Step) -> dict[str, Any]:
    """Write a student of fewer layers, taught by the model, into an empty folder; gives facts.

    Raises BadInput where it would not have fewer, and what `recover` raises.
    """
    many = parts.config.layers
    if options.layers >= many:
        raise BadInput(f"{parts.source.folder}: has {many} layers, and the student would have {options.layers}; wanted fewer")
    kept = taken(options.layers, many)
    found = recover(shallower(parts, kept), parts.source, options.data, options, step)
    step("fitting attachments again")
    fitted = refitting.write(found.parts, parts.source, new, found.heldout)
    return {"layers": kept, "of": many, **found.facts, "attachments": fitted, "notes": refitting.notes(fitted)}


def taken(few: int, many: int) -> list[int]:
    """Which of the teacher's layers, counted from 0, the student begins with: the first, the last, and others evenly between them, of two
    that are as near the lower.

    Of 12 six are 0, 2, 4, 7, 9, 11, those that DistilBERT was begun with (Sanh et al. 2019, and the script they published).
    """
    return [ceil(at - 0.5) for at in np.linspace(0, many - 1, few)]


def shallower(parts: Parts, kept: Sequence[int]) -> Parts:
    """Parts with some of the layers, numbered anew."""
    return replace(parts, config=replace(parts.config, layers=len(kept)), weights=Layers(parts.weights, kept))


class Layers(Mapping[str, np.ndarray]):
    """Weights of which some layers are left, each read when it is asked for."""

    def __init__(self, of: Mapping[str, np.ndarray], kept: Sequence[int]) -> None:
        """`kept` are numbers of layers, in their new order."""
        self._of = of
        places = {str(layer): place for place, layer in enumerate(kept)}
        self._names = dict[str, str]()
        for name in of:
            begin, _, rest = name.removeprefix("layers.").partition(".")
            if not name.startswith("layers."):
                self._names[name] = name
            elif begin in places:
                self._names[f"layers.{places[begin]}.{rest}"] = name

    def __getitem__(self, name: str) -> np.ndarray:
        return self._of[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
