"""The files that are measured on, read into plain values. Each may lie compressed, as `NAME.xz`, or not."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xlmr import languages
from xlmr.errors import BadInput

NTREX = "ntrex128"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; translations share source and id."""

    language: str
    source: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A sentence of SIB-200 and what it is about."""

    language: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence in words, with the part of speech of each."""

    words: list[str]
    tags: list[str]


Pairs = Mapping[str, tuple[list[str], list[str]]]
"""By language: its sentences, and the English of each."""


def heldout(path: Path) -> list[Line]:
    """The lines that a pretraining run kept back (its `heldout.jsonl`)."""
    rows = (json.loads(row) for row in rows_of(path))
    return [Line(row["language"].lower(), row["source"], row["id"], row["text"]) for row in rows]


def translations(lines: list[Line], source: str = NTREX) -> Pairs:
    """The lines of a parallel source against English, those of an id that English has."""
    english = {line.id: line.text for line in lines if (line.source, line.language) == (source, "en")}
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for line in lines:
        if line.source == source and line.language != "en" and line.id in english:
            ours, theirs = pairs.setdefault(line.language, ([], []))
            ours.append(line.text)
            theirs.append(english[line.id])
    return pairs


def tatoeba(folder: Path) -> Pairs:
    """LASER's first Tatoeba set, `tatoeba12.tsv`: language, pair, source, English."""
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for row in table(folder / "tatoeba12.tsv"):
        ours, theirs = pairs.setdefault(languages.find(row["lang"]).code.lower(), ([], []))
        ours.append(row["source"])
        theirs.append(row["english"])
    return pairs


def topics(path: Path) -> list[Topic]:
    """A part of SIB-200: sentences of FLORES-200 by topic."""
    return [Topic(row["lang"].lower(), row["text"], row["category"]) for row in table(path)]


def tagged(path: Path) -> list[Tagged]:
    """Sentences of a `.conll` file: form, tab, tag; a blank line between sentences."""
    sentences = "\n".join(rows_of(path)).strip("\n").split("\n\n")
    pairs = [[row.split("\t") for row in sentence.split("\n")] for sentence in sentences if sentence]
    return [Tagged([row[0] for row in rows], [row[1] for row in rows]) for rows in pairs]


def table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table with a header; cells hold no tabs and no quoting."""
    rows = rows_of(path)
    header = next(rows).split("\t")
    return (dict(zip(header, row.split("\t"), strict=True)) for row in rows)


def rows_of(path: Path) -> Iterator[str]:
    """The lines of a file, or of the file `NAME.xz` beside it. Raises BadInput where there is neither."""
    packed = path.with_name(path.name + ".xz")
    if not path.exists() and not packed.exists():
        raise BadInput(f"{path}: not found, nor {packed.name}; see docs/pretraining.md for what is measured on")
    with path.open("rb") if path.exists() else lzma.open(packed) as file:
        for row in file:
            yield row.decode().rstrip("\n")
