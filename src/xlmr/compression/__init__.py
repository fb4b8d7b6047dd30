"""A checkpoint made smaller or faster: quantized, pruned, trimmed to some languages, distilled. The result is a checkpoint again.

Each method is a function that writes a new folder (`Change`). `run` does what is the same for all of them: the folder appears whole or not
at all, what it cost is measured, printed and kept beside the model, and where that is more than was allowed nothing is left.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from xlmr import checkpoint
from xlmr.checkpoint.replacing import check_made, replacing
from xlmr.compression import card, chain, comparison
from xlmr.compression.comparison import Check, Comparison
from xlmr.compression.parts import Parts, Step, take
from xlmr.compression.recovering import PLACES
from xlmr.errors import BadCompression

__all__ = ["Change", "Check", "Comparison", "Compressed", "Step", "run"]

O = TypeVar("O")  # noqa: E741  # a method's options

Change = Callable[[Parts, Path, O, Step], dict[str, Any]]
"""A method: it writes a whole checkpoint into an empty folder, with options of its own, and gives facts about it, as JSON has them.

Two of them are read here: `languages`, where the model is for these alone from then on, and `notes`, what its user should know.
"""
UNTOLD = (*PLACES, "calibrate", "asked")
"""Options that are not written down: where a run lies, and texts of a user's own; nor are those that the method's options call `idle`."""
PACKAGES = ("xlmr", "numpy", "onnxruntime", "torch")
"""Whose versions are written down."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was made."""

    folder: Path
    method: str
    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    """What the method says of it."""
    comparison: Comparison
    files: Mapping[str, int]
    """Their sizes, in bytes."""
    steps: tuple[str, ...]
    """The methods by which it was made, the first first and this one last."""
    notes: tuple[str, ...]
    """What its user should know."""
    seconds: Mapping[str, float]
    """That it took to `compress` and to `compare`."""

    def as_json(self) -> dict[str, Any]:
        """As `xlmr compress --json` prints it."""
        return {
            "folder": str(self.folder),
            "method": self.method,
            "options": dict(self.options),
            "facts": dict(self.facts),
            "files": dict(self.files),
            "steps": list(self.steps),
            "notes": list(self.notes),
            "seconds": dict(self.seconds),
            "comparison": self.comparison.as_json(),
        }


def run(
    source: str | PathLike[str] | None, output: str | PathLike[str], change: Change[O], options: O, *, check: Check | None = None,
    revision: str | None = None, force: bool = False, step: Step = lambda _: None,
) -> Compressed:  # fmt: skip
    """Make a new checkpoint of one, whole or not at all, and measure what that cost. `source` and `revision` are what `checkpoint.open`
    takes, `change` and `options` a method's function and the dataclass it wants. `force` replaces a compressed model that is there.

    Raises BadInput for what the method cannot do or a folder that would be lost, BadCheckpoint where the model is broken, BadCompression
    where the answers agree less than `check.agreement`, MissingExtra where a package is not installed, OSError where the disk refuses.
    """
    check, place, method = check or Check(), Path(output), change.__name__
    opened = checkpoint.open(source, revision=revision)
    resolved = Path(os.path.realpath(place))
    may = partial(check_made, mark=chain.FILE, kind="a compressed model", model=opened.folder, force=force)
    may(resolved)
    earlier, examples = chain.read(opened.folder), comparison.prepare(opened, check)
    parts, name = take(opened), fspath(source or checkpoint.SMALL)
    with replacing(resolved, may) as new:
        began = time.perf_counter()
        facts = plain(change(parts, new, options, step))
        changed = time.perf_counter()
        found = comparison.compare(opened.folder, new, check, examples, languages=chain.languages([*earlier, {"facts": facts}]), step=step)
        refuse(found, check)
        compared = time.perf_counter()
        untold = {*UNTOLD, *getattr(options, "idle", ())}
        given = plain({name: value for name, value in asdict(options).items() if name not in untold})  # type: ignore[call-overload]  # a dataclass
        notes = (*facts.get("notes", ()), *card.loads(new))
        done = {"method": method, "options": given, "source": name, "revision": revision, "facts": facts, "versions": versions()}
        history = [*earlier, {**done, "notes": notes, "comparison": found.as_json()}]
        (new / chain.FILE).write_text(json.dumps({chain.STEPS: history}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        card.write(new, opened.folder, named(name), done, found, notes)
        files = {path.relative_to(new).as_posix(): path.stat().st_size for path in sorted(new.rglob("*")) if path.is_file()}
    took = {"compress": changed - began, "compare": compared - changed}
    return Compressed(place, method, given, facts, found, files, tuple(step["method"] for step in history), notes, took)


def named(source: str) -> str:
    """What a model is called in a card, which others may read: a folder by its own name, not by where it lies on this machine."""
    return Path(os.path.realpath(source)).name if Path(source).exists() else source


def refuse(found: Comparison, check: Check) -> None:
    """Raises BadCompression where the answers agree less than is wanted."""
    if check.agreement is not None and not found.agreement >= check.agreement:
        raise BadCompression(
            f"{found.measure}: {found.agreement:.4f} agree with those of the model it was made of, wanted {check.agreement:g} at least. "
            "Nothing was saved; do less to it, or allow less with --min-agreement"
        )


def plain(of: Any) -> Any:
    """A value as JSON has it: tuples are lists, and paths their names."""
    if isinstance(of, Mapping):
        return {name: plain(value) for name, value in of.items()}
    if isinstance(of, list | tuple):
        return [plain(value) for value in of]
    return fspath(of) if isinstance(of, PathLike) else of


def versions() -> dict[str, str]:
    """Of what may have had a part in it, as far as it is installed."""
    known = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            known[name] = version(name)
    return known
