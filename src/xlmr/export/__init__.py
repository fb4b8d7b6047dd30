"""A checkpoint as files that other programs run: ONNX, PyTorch, TensorFlow, JAX, and safetensors under Hugging Face's names.

What was exported has been asked, through its own files and in a process that does not know xlmr, and answered as the checkpoint does
(`export.parity`); else nothing is there.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.replacing import check_made, replacing
from xlmr.errors import BadInput
from xlmr.export import answers, beside, parity, widening
from xlmr.export.options import IN_PLACE, TARGETS, Onnx, Options
from xlmr.export.parity import REPORT, Made, Parity

__all__ = ["Exported", "Options", "run"]

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"), "pytorch": ("torch",), "tensorflow": ("tensorflow", "tensorflow-cpu", "ai-edge-litert"),
    "jax": ("jax",), "safetensors": ("safetensors",),
}  # fmt: skip
"""Whose versions are written down."""
NOTES = {
    "tagging.safetensors": "how tags are decoded, and of a CRF the transitions, lie in tagging.safetensors: logits are emissions",
    "answering.safetensors": "from which score on there is an answer, and how long one may be, lies in answering.safetensors",
    "classifying.safetensors": "logits are those of the first head; the second, on calibrated vectors, is asked by xlmr alone, and other "
    "languages than the training data's are answered less well without it",
}
"""What is more than the outputs say, by the file that has it."""
WIDENED = "its weights are quantized: what was written has the floats that they stand for, and answers as these do, not as the integers"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made."""

    folder: Path
    files: Mapping[str, int]
    """Their sizes, in bytes."""
    parity: Parity
    seconds: Mapping[str, float]
    """That it took to `write` and to `prove`."""
    quantized: bool = False
    """Whether the model's weights are integers, and so not what was written."""

    @property
    def notes(self) -> list[str]:
        """What its user should know."""
        names = {name.rpartition("/")[2] for name in self.files}
        return [*([WIDENED] if self.quantized else []), *(note for name, note in NOTES.items() if name in names)]

    def as_json(self) -> dict[str, Any]:
        """As `xlmr export --json` prints it."""
        files, seconds = dict(self.files), dict(self.seconds)
        return {"folder": str(self.folder), "files": files, "seconds": seconds, "notes": self.notes, "parity": self.parity.as_json()}


class Target(Protocol):
    """A module of `export`."""

    def write(self, of: Checkpoint, folder: Path, options: Any) -> Made:
        """Write the model into an empty folder, and say what is to be asked. Raises BadInput before anything is written."""
        ...


Step = Callable[[str], object]
"""Is told what is done next."""


def run(
    target: str, source: str | PathLike[str] | None, output: str | PathLike[str] | None, options: Options | None = None, *,
    revision: str | None = None, force: bool = False, step: Step = lambda _: None,
) -> Exported:  # fmt: skip
    """Export a model to a folder, whole or not at all. `source` and `revision` are what `checkpoint.open` takes, `options` of the target's
    class in `options.TARGETS`. `output` is None for a graph in place, and only then. `force` replaces an export that is there.

    Raises BadInput for a target or task that is not known or a folder that would be lost, BadCheckpoint where the model is broken,
    BadExport where the exported model does not answer as the checkpoint does, MissingExtra where a framework is not installed, OSError
    where the disk refuses.
    """
    if target not in TARGETS:
        raise BadInput(f"target {target!r} is not known; wanted one of {', '.join(TARGETS)}")
    options, place = options or TARGETS[target](), None if output is None else Path(output)
    if (place is None) != (isinstance(options, Onnx) and options.layout == IN_PLACE):
        raise BadInput("an export goes into a new folder, --output, or, as a graph of ONNX, in place; wanted one of the two")
    maker = import_module(f"xlmr.export.{target}")
    opened = checkpoint.open(source, revision=revision)
    beside.check(opened, answers.find(opened, options.task))
    began, integers = time.perf_counter(), opened.quantized
    with _anew(maker, opened, place, options, force, step) if place else _in_place(maker, opened, options, force, step) as (made, of):
        written = time.perf_counter()
        step("asking what was written")
        found = parity.prove(made, of, options.tolerance)
        said = {"target": target, "source": fspath(source or checkpoint.SMALL), "revision": revision, "options": asdict(options)}
        report = {**said, "quantized": integers, "versions": versions(target), **made.facts, **found.as_json()}
        (made.folder / made.report).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    where = place or made.folder
    new = where.rglob("*") if place else [where / name for name in (REPORT, *(of.name for of in made.asked))]
    files = {path.relative_to(where).as_posix(): path.stat().st_size for path in sorted(new) if path.is_file()}
    seconds = {"write": written - began, "prove": time.perf_counter() - written}
    return Exported(where, files, found, seconds, integers)


def versions(target: str) -> dict[str, str]:
    """Of what wrote and answered, those that are installed."""
    known = {"python": platform.python_version()}
    for name in ("xlmr", "numpy", *PACKAGES[target]):
        with suppress(PackageNotFoundError):
            known[name] = version(name)
    return known


Writing = Iterator[tuple[Made, Checkpoint]]
"""What was written, and the model that it is held against."""


@contextmanager
def _anew(maker: Target, of: Checkpoint, output: Path, options: Options, force: bool, step: Step) -> Writing:
    """In a folder of its own."""
    place, check = output.resolve(), partial(check_output, model=of.folder, force=force)
    check(place)
    step("writing")
    with widening.widened(of, place) as floats, replacing(place, check) as new:
        yield maker.write(floats, new, options), floats


@contextmanager
def _in_place(maker: Any, of: Checkpoint, options: Options, force: bool, step: Step) -> Writing:
    """A graph, in the model's folder."""
    step("writing")
    with maker.in_place(of, options, force) as made:
        yield made, of


def check_output(folder: Path, *, model: Path, force: bool = False) -> None:
    """Raises BadInput where something would be lost: with `force` an earlier export may be replaced, and nothing else: not a model that has
    a report because its graph lies in place."""
    check_made(folder, REPORT, "an export", model=model, force=force)
    if force and _in_place_of(folder / REPORT):
        raise BadInput(f"{folder}: is a model whose graph was exported in place, and not an export; choose a folder of its own")


def _in_place_of(report: Path) -> bool:
    """Whether it tells of a graph in place: it lies in the model's own folder then."""
    try:
        return bool(json.loads(report.read_text(encoding="utf-8"))["options"]["layout"] == IN_PLACE)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False
