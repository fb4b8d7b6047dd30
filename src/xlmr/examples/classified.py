"""Texts with their labels: of tables and of JSON lines with `text` and `label`, a text to compare it with, a language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import Any

from xlmr import texts
from xlmr.errors import BadInput, BadLine
from xlmr.examples import sources
from xlmr.examples.sources import JSON_LINES, LANGUAGE, Source

TEXT, PAIR = "text", "text_pair"
LABEL = ("label", "category")
"""Columns of the one label; the second is SIB-200's."""
LABELS = "labels"
"""The column of several."""
BETWEEN = "|"
"""What parts several labels in a cell of a table."""
WANTED = f"rows with {TEXT!r} and {LABEL[0]!r} or {LABEL[1]!r}"


@dataclass(frozen=True, slots=True)
class Classified:
    """A text, or a pair of texts, and what it is labelled as."""

    language: str
    """Its code; `und` where the source does not say."""
    text: str
    pair: str | None
    labels: tuple[str, ...]
    """One; of multi-label data any number, each once. A number that a regression learns stands here as the file writes it."""
    where: str
    """`FILE: line N`."""


def read_classified(source: str, *, multi: bool = False) -> Iterator[Classified]:
    """The labelled texts of `FILE` or `LANG=FILE`: `.tsv`, `.csv`, `.parquet`, `.jsonl`, also behind `.gz` and `.xz`.

    Rows have `text`, `label` (or `category`), and where there are such columns `text_pair` and `lang`. With `multi` they have `labels`:
    in `.jsonl` a list, in a table with `|` between them; or the one `label`.

    Raises BadInput where the file cannot be read, lacks a column or has no rows; BadLine, with file and line, where a row lacks something.
    """
    of = sources.source(source)
    rows = texts.objects(of.path) if texts.kind_of(of.path) in JSON_LINES else _table(of, multi)
    return of.some((_example(of, number, row, multi) for number, row in rows), WANTED)


def _table(of: Source, multi: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of the columns that are wanted. One that must be there and is not is told by whoever reads it."""
    there = texts.fields(of.path) or frozenset()
    labels = next((name for name in ((LABELS, *LABEL) if multi else LABEL) if name in there), LABEL[0])
    if labels not in there and LABELS in there:
        raise BadInput(f"{of.path}: has {LABELS!r}, several labels for a text, and no {LABEL[0]!r}; read it as multi-label data")
    columns = [TEXT, labels, *(name for name in (PAIR, LANGUAGE) if name in there)]
    for number, cells in texts.rows(of.path, *columns):
        row: dict[str, Any] = dict(zip(columns, cells, strict=True))
        if labels == LABELS:
            row[labels] = [part for part in row[labels].split(BETWEEN) if part.strip()]
        yield number, row


def _example(of: Source, number: int, row: dict[str, Any], multi: bool) -> Classified:
    language = of.language_of(number, row.get(LANGUAGE))
    try:
        pair = row.get(PAIR)
        pair = None if pair is None else sources.text(pair, PAIR)
        return Classified(language, sources.text(row.get(TEXT), TEXT), pair, READ[multi](row), of.at(number))
    except BadInput as error:
        raise BadLine(f"{of.at(number)}: {error}") from None


def _one(row: dict[str, Any]) -> tuple[str, ...]:
    value, name = sources.first_of(row, *LABEL)
    if value is None and LABELS in row:
        raise BadInput(f"has {LABELS!r}, several labels for a text, and no {LABEL[0]!r}; read it as multi-label data")
    return (sources.name(value, name),)


def _several(row: dict[str, Any]) -> tuple[str, ...]:
    if LABELS not in row:
        return _one(row)
    found = sources.names(row[LABELS], LABELS)
    twice = next((label for label, count in Counter(found).items() if count > 1), None)
    if twice is not None:
        raise BadInput(f"{LABELS!r} names {shorten(twice)} twice")
    return found


READ: dict[bool, Callable[[dict[str, Any]], tuple[str, ...]]] = {False: _one, True: _several}
