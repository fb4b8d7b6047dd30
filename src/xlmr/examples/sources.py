"""Where examples come from: `LANG=FILE` or a file, and the language of each.

Fine-tuned models are asked in languages that XLM-R never saw as well, such as Wolof. So any tag of BCP 47 is a language here,
while a name that is neither in the table nor such a tag is a slip.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, TypeVar

from xlmr import languages
from xlmr.errors import BadInput, BadLine
from xlmr.limits import CHARACTERS

T = TypeVar("T")

UNDETERMINED = "und"
"""ISO 639's code where nobody says which language it is."""
LANGUAGE = "lang"
"""The column, or key, of a row's language."""
JSON_LINES = (".jsonl", ".ndjson")
"""Files with a JSON object on each line, by the end of their names."""
LONGEST = 100
"""Characters of a language's name."""
TAG = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{2,8})*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the language of all that it holds; None where its rows may say."""

    language: str | None
    path: Path

    def at(self, number: int) -> str:
        """The place of a line."""
        return f"{self.path}: line {number}"

    def language_of(self, number: int, name: object) -> str:
        """The language of a row that names one, or None. Raises BadLine where it is no language."""
        if self.language is not None:
            return self.language
        if name is None or name == "":
            return UNDETERMINED
        try:
            return code(text(name, LANGUAGE))
        except BadInput as error:
            raise BadLine(f"{self.at(number)}: {error}") from None

    def some(self, found: Iterator[T], wanted: str) -> Iterator[T]:
        """What was found. Raises BadInput after the last where there was none."""
        empty = True
        for example in found:
            empty = False
            yield example
        if empty:
            raise BadInput(f"{self.path}: holds no examples; wanted {wanted}")


def source(given: str) -> Source:
    """The file of `LANG=FILE` with its language, or of `FILE` alone. Raises BadInput for a language that is none."""
    name, path = parted(given)
    return Source(None if name is None else code(name), path)


def parted(given: str) -> tuple[str | None, Path]:
    """What stands before the `=` of `LANG=FILE`, and the file; None and the file of any other, such as a file whose name has a `=`."""
    name, equals, file = given.partition("=")
    # `os.path`, since Path raises where a name is longer than the system's.
    return (name, Path(file)) if equals and not os.path.exists(given) else (None, Path(given))


def code(name: str) -> str:
    """XLM-R's code of a language; that of BCP 47, in small letters, where XLM-R does not know it. Raises BadInput for any other name."""
    if len(name) > LONGEST:
        raise BadInput(f"language {shorten(name)} is not known; wanted a code such as en, no, zh or zh-Hant")
    try:
        return languages.find(name).code
    except BadInput:
        if not TAG.fullmatch(name.strip()):
            raise
        return name.strip().lower().replace("_", "-")


def text(value: object, name: str) -> str:
    """A value that is a text with something in it. Raises BadInput for any other, where it is too long to be answered, or no Unicode."""
    if not isinstance(value, str):
        found = "nothing" if value is None else shorten(value)
        raise BadInput(f"found {found} as {name!r}, wanted a text")
    if not value.strip():
        raise BadInput(f"{name!r} is empty, wanted a text")
    if len(value) > CHARACTERS:
        raise BadInput(f"{name!r} has {len(value):,} characters; at most {CHARACTERS:,} are read")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # JSON's escapes can write one; no file of ours could hold it
        half = f"U+{ord(value[error.start]):04X}, a half of a surrogate pair without the other"
        raise BadInput(f"character {error.start} of {name!r} is {half}; wanted a text") from None
    return value


def name(value: object, of: str) -> str:
    """A label: a text, or a number or a truth as JSON writes it, without the space around it. Raises BadInput for any other."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return text(value, of).strip()


def names(value: object, of: str) -> tuple[str, ...]:
    """Labels or words of a JSON list. Raises BadInput where it is none."""
    if not isinstance(value, list):
        raise BadInput(f"found {'nothing' if value is None else shorten(value)} as {of!r}, wanted a list")
    return tuple(name(part, of) for part in value)


def first_of(row: dict[str, Any], *keys: str) -> tuple[Any, str]:
    """The value of the first key that a row has, and the key; None and the first where it has none."""
    return next(((row[key], key) for key in keys if key in row), (None, keys[0]))
