"""The model card of a compressed model: what it was made of and how, what that cost, and what does not load where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlmr import config as configs
from xlmr import files
from xlmr.checkpoint.folder import CONFIG, WEIGHTS
from xlmr.compression import chain, table
from xlmr.compression.comparison import Comparison
from xlmr.errors import BadCheckpoint

FILE = "README.md"
LARGEST = 1 << 20
FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
"""What the hub reads of a card."""
DONE = {"quantize": "quantized", "prune": "pruned", "trim": "trimmed", "distil": "distilled"}


def write(new: Path, source: Path, name: str, step: Mapping[str, Any], found: Comparison, notes: Sequence[str]) -> None:
    """Write the card of the model in a new folder; below it stands that of the model it was made of, whose name is given."""
    old = earlier(source)
    front = FRONT.match(old)
    said = "\n".join(_lines(name, step, found, notes))
    below = old[front.end() :].strip() if front else old.strip()
    text = f"{front[0] if front else ''}{said}\n" + (f"\n---\n\nThe card of the model it was made of:\n\n{below}\n" if below else "")
    (new / FILE).write_text(text, encoding="utf-8")


def earlier(folder: Path) -> str:
    """The card in a folder; nothing where there is none, or none that can be read."""
    try:
        return files.read_bytes(folder / FILE, LARGEST, folder).decode(errors="replace").replace("\r\n", "\n")
    except BadCheckpoint:
        return ""


def loads(new: Path) -> list[str]:
    """What loads a model's folder, and what does not."""
    if (new / WEIGHTS).exists():
        if configs.read(new / CONFIG).head_dim is not None:
            return [f"its heads were pruned ({CONFIG}: head_dim): xlmr loads it; transformers does not know that key, and refuses it"]
        return [f"its weights are floats in {WEIGHTS}, by Hugging Face's names: xlmr loads it, and so does transformers"]
    return [f"its weights are quantized and not in {WEIGHTS}: xlmr loads it; transformers and what builds on it do not, and say so"]


def _lines(name: str, step: Mapping[str, Any], found: Comparison, notes: Sequence[str]) -> Iterator[str]:
    method = step["method"]
    yield f"# {name}, {DONE.get(method, method)}\n"
    yield f"Made of `{name}` by `xlmr compress {method}` with {described(step['options']) or 'no options'}.\n"
    yield "| | before | after | |"
    yield "|---|---:|---:|---:|"
    for row in table.rows(found):
        yield f"| {row.name} | {row.before} | {row.after} | {row.change} |"
    yield ""
    for sentence in (*table.sentences(found), table.memory_note(found)):
        yield f"- {sentence[0].upper()}{sentence[1:]}."
    yield ""
    for note in notes:
        yield f"- {note[0].upper()}{note[1:]}."
    yield f"\nThe same in numbers, by language, and every step before this one: `{chain.FILE}`."


def described(options: Mapping[str, Any]) -> str:
    """Options for people: those that were chosen."""
    return ", ".join(
        f"{name} {_shown(value)}" for name, value in options.items() if not (value is None or value is False or value in ([], ""))
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
