"""Sentences in words with a tag for each: of CoNLL files, a word on a line, and of JSON lines.

There is no one CoNLL format. Read are: columns between tabs, of which the first is the word and the last the tag; the same between
single spaces, as CoNLL-2003 has them; and CoNLL-U, `.conllu`, of which the form and the part of speech are taken. A blank line ends a
sentence. Tags stay as they are: whether they are IOB2 is for whoever learns them to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xlmr import texts
from xlmr.errors import BadInput, BadLine
from xlmr.examples import classified, sources
from xlmr.examples.sources import JSON_LINES, LANGUAGE, Source
from xlmr.limits import CHARACTERS, WORDS

WANTED = "a word, a tab and its tag on each line, and a blank line after a sentence"
DOCUMENT = "-DOCSTART-"
"""CoNLL-2003's line between documents; it is no word."""
CONLLU = ".conllu"
UNIVERSAL = 10
"""Columns of CoNLL-U: ID, FORM, LEMMA, UPOS, …"""
KEYS = ("words", "tokens")
TAGS = "tags"

Row = tuple[int, str, str]
"""A line's number, its word and its tag."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence in words, with the tag of each. A word may hold spaces."""

    language: str
    words: tuple[str, ...]
    tags: tuple[str, ...]
    where: str
    """Of the first word."""


def read_tagged(source: str) -> Iterator[Tagged]:
    """The tagged sentences of `FILE` or `LANG=FILE`, CoNLL, or `.jsonl` with `words` (or `tokens`), `tags` and perhaps `lang`.

    Lines that begin with `#`, before a sentence and without a tab, are comments; but `#tag O` is a word.

    Raises BadInput where the file cannot be read or has no sentences; BadLine, with file and line, where a line has other columns than
    those before it, a word or tag is missing, or a sentence does not end.
    """
    of = sources.source(source)
    read = _objects if texts.kind_of(of.path) in JSON_LINES else _sentences
    return of.some(read(of), WANTED)


def _sentences(of: Source) -> Iterator[Tagged]:
    language = of.language or sources.UNDETERMINED
    held: list[Row] = []
    for row in _rows(of):
        if row is not None:
            held.append(row)
            _bounded(of.at(held[0][0]), len(held), 0)
        elif held:
            yield _tagged(of, language, held)
            held = []


def _rows(of: Source) -> Iterator[Row | None]:
    """The words of a file; None after each sentence, or more than once."""
    columns = _Columns(of)
    begins = True
    for line in texts.lines(of.path):
        if isinstance(line.text, BadLine):
            raise BadLine(f"{of.at(line.number)}: {line.text}")
        if not line.text.strip() or line.text.startswith(DOCUMENT):
            begins = True
            yield None
        elif not (begins and _comment(line.text)):
            begins = False
            if (row := columns.row(line.number, line.text)) is not None:
                yield row
    yield None


class _Columns:
    """How the lines of one file are parted, which the first word says."""

    def __init__(self, of: Source) -> None:
        self._of = of
        self._universal = texts.kind_of(of.path) == CONLLU
        self._between, self._count = "\t", UNIVERSAL if self._universal else 0

    def row(self, number: int, line: str) -> Row | None:
        """A line's word and tag; None where CoNLL-U counts no word: the range of a contraction, an empty node."""
        if not self._count:
            self._between = "\t" if "\t" in line else " "
            self._count = max(2, line.rstrip(" ").count(self._between) + 1)
            self._refuse_table(number, line.split(self._between))
        cells = line.rstrip(" ").split(self._between)
        if len(cells) != self._count:
            found = f"found {len(cells)} column{'s' * (len(cells) != 1)} between {NAMES[self._between]}"
            raise BadLine(f"{self._of.at(number)}: {found}, wanted {self._count}: {self._wanted}")
        word, tag = (cells[1], cells[3]) if self._universal else (cells[0], cells[-1])
        if not word or not tag.strip():
            raise BadLine(f"{self._of.at(number)}: the {'tag' if word else 'word'} is empty; wanted {self._wanted}")
        return None if self._universal and not cells[0].isdecimal() else (number, word, tag.strip())

    def _refuse_table(self, number: int, cells: list[str]) -> None:
        """A table of labelled texts is columns between tabs as well: its texts would be words, and all of it one sentence."""
        if classified.TEXT in cells and {*classified.LABEL, classified.LABELS} & {*cells}:
            found = f"found the columns {', '.join(cells)}, which are those of labelled texts"
            raise BadLine(f"{self._of.at(number)}: {found}; wanted {WANTED}, or read it as classification data")

    @property
    def _wanted(self) -> str:
        return "those of CoNLL-U" if self._universal else "the word first and its tag last, as in the lines before"


def _comment(line: str) -> bool:
    """Of a line before a sentence: `# text = …`, but neither `#` and a tab nor `#tag O`."""
    return line.startswith("#") and "\t" not in line and (line.startswith("# ") or " " not in line)


def _objects(of: Source) -> Iterator[Tagged]:
    for number, row in texts.objects(of.path):
        language = of.language_of(number, row.get(LANGUAGE))
        try:
            words, tags = _lists(row)
        except BadInput as error:
            raise BadLine(f"{of.at(number)}: {error}") from None
        yield _tagged(of, language, [(number, word, tag) for word, tag in zip(words, tags, strict=True)])


def _lists(row: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    value, key = sources.first_of(row, *KEYS)
    words, tags = sources.names(value, key), sources.names(row.get(TAGS), TAGS)
    if len(words) != len(tags) or not words:
        raise BadInput(f"found {len(words):,} {key} and {len(tags):,} tags, wanted as many of each")
    return words, tags


def _tagged(of: Source, language: str, rows: list[Row]) -> Tagged:
    where = of.at(rows[0][0])
    _bounded(where, len(rows), sum(len(word) + 1 for _, word, _ in rows))
    return Tagged(language, tuple(word for _, word, _ in rows), tuple(tag for _, _, tag in rows), where)


def _bounded(where: str, words: int, characters: int) -> None:
    if words > WORDS or characters > CHARACTERS:
        raise BadLine(f"{where}: the sentence that begins here has more than {WORDS:,} words or {CHARACTERS:,} characters; end it earlier")


NAMES = {"\t": "tabs", " ": "spaces"}
