"""Parts of files of examples: a language, some of its examples, in an order that a seed draws. Fine-tuning reads them from files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xlmr.examples import Asked, Classified, Example, Tagged, read_asked, read_classified, read_tagged

BENCH = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench"
READERS: Mapping[str, Callable[[str], Iterator[Example]]] = {"classify": read_classified, "tag": read_tagged, "answer": read_asked}


@dataclass(frozen=True, slots=True)
class Part:
    """Examples of one file, shuffled by the run's seed: those from `first` on, `count` of them."""

    source: str
    """`FILE` or `LANG=FILE`, the file in the folder of data."""
    language: str | None = None
    """Of the file's languages this one; None: all."""
    first: int = 0
    count: int | None = None
    """None: all that are left."""


def source(given: str) -> str:
    """`FILE` or `LANG=FILE` with the whole path."""
    language, equals, file = given.rpartition("=")
    return f"{language}{equals}{BENCH / file}"


def read(task: str, parts: Sequence[Part], seed: int) -> list[Example]:
    """The parts' examples, one part after another. The order is the same in files that are translations of each other, line by line."""
    found: list[Example] = []
    for part in parts:
        examples = [of for of in READERS[task](source(part.source)) if part.language in (None, of.language)]
        order = np.random.default_rng(seed).permutation(len(examples))[part.first :][: part.count]
        found += [examples[i] for i in order]
    return found


def write(path: Path, examples: Sequence[Example]) -> None:
    """Examples as JSON lines, which `xlmr finetune` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row(of), ensure_ascii=False) + "\n" for of in examples), encoding="utf-8")
    partial.replace(path)


def row(of: Example) -> dict[str, Any]:
    """An example as a line holds it."""
    match of:
        case Classified():
            return {"lang": of.language, "text": of.text, "label": of.labels[0]}
        case Tagged():
            return {"lang": of.language, "words": of.words, "tags": of.tags}
        case Asked():
            answers = [{"text": text, "answer_start": start} for text, start in of.answers]
            return {"lang": of.language, "id": of.id, "question": of.question, "context": of.context, "answers": answers}
