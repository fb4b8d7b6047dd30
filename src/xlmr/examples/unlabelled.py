"""Texts without labels: of `FILE` and `LANG=FILE`, each with its language where the source says which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xlmr import texts
from xlmr.errors import BadLine
from xlmr.examples import sources
from xlmr.examples.sources import LANGUAGE, Source

TEXT = "text"


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """A text and its language."""

    language: str
    """Its code; `und` where the source does not say."""
    text: str


def read_unlabelled(source: str) -> Iterator[Unlabelled]:
    """The texts of `FILE` or `LANG=FILE`: one on each line, or a column `text` of `.tsv`, `.csv`, `.parquet` or `.jsonl`, beside which
    `lang` may say the language; also behind `.gz` and `.xz`. Blank ones are left out.

    Raises BadInput where the file cannot be read or has no texts; BadLine, with file and line, where a line cannot be read.
    """
    of = sources.source(source)
    return of.some(_texts(of), f"a text on each line, or a column {TEXT!r}")


def _texts(of: Source) -> Iterator[Unlabelled]:
    if of.language is None and LANGUAGE in (texts.fields(of.path) or ()):
        for number, (language, text) in texts.rows(of.path, LANGUAGE, TEXT):
            if text.strip():
                yield Unlabelled(of.language_of(number, language), text)
        return
    for line in texts.read(of.path):
        if isinstance(line.text, BadLine):
            raise BadLine(f"{of.at(line.number)}: {line.text}")
        if line.text.strip():
            yield Unlabelled(of.language_of(line.number, None), line.text)
