"""What was done to a model before: the list of steps in `compression.json`, which a compressed folder hands on to what is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlmr import files
from xlmr.checkpoint.folder import HISTORY
from xlmr.compression.parts import Parts
from xlmr.errors import BadInput

FILE = HISTORY
STEPS = "steps"
LANGUAGES = "languages"
"""The fact of a method after which a model is for these alone."""
LARGEST = 1 << 24


def read(folder: Path) -> list[dict[str, Any]]:
    """The steps by which a folder's model was made, the first first: each with `method` and `options`. None where it has no such file.

    Raises BadCheckpoint where the file is broken.
    """
    path = folder / FILE
    if not path.exists():
        return []
    held = files.typed(files.read_object(path, LARGEST, folder).get(STEPS), list, f"{path}: {STEPS}")
    for number, step in enumerate(held, start=1):
        where = f"{path}: step {number}"
        files.typed(files.typed(step, dict, where).get("method"), str, f"{where}: method")
        files.typed(step.get("options"), dict, f"{where}: options")
    return held


def languages(steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Those for which alone a model is since the last step that said so; none where it is for all that it knew."""
    facts = [step.get("facts") for step in reversed(steps)]
    said = (of.get(LANGUAGES) for of in facts if isinstance(of, Mapping))
    return tuple(str(code) for code in next((of for of in said if isinstance(of, list | tuple) and of), ()))


def refuse_again(parts: Parts, method: str, **same: Any) -> None:
    """Raises BadInput where the model was made by that method before, with these values of its options: `refuse_again(parts, "quantize",
    mode="fp16")`. Without any, however it was used.
    """
    for step in read(parts.source.folder):
        if step["method"] == method and all(step["options"].get(name) == value for name, value in same.items()):
            said = "".join(f" with {name} {value}" for name, value in same.items())
            raise BadInput(
                f"{parts.source.folder}: was made by {method}{said} already, and once more changes nothing for the better; see {FILE}"
            )
