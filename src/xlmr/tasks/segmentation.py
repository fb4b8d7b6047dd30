"""The words of a text, in every language: where Unicode's rules or a dictionary put their boundaries; and the text of given words.

Boundaries are those of ICU, Unicode's own library: the rules of UAX #29, "Unicode Text Segmentation", and dictionaries for what is
written without spaces: Chinese and Japanese, Thai, Lao, Khmer and Burmese. A sign is a word of its own; white space is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from icu4py.breakers import WordBreaker

from xlmr.tasks.spelling import apart
from xlmr.tokenizer.vocabulary import MASK

ANY_LANGUAGE = "root"  # the dictionary is chosen by the script, whatever the language

QUOTES: Mapping[str, str] = {'"': '"', "“": "”", "„": "“”", "«": "»", "‘": "’", "‚": "‘’"}
"""Marks that begin a quotation, and those that end it: which a mark does depends on the language, and on what is open."""


def words(text: str) -> list[tuple[int, int]]:
    """Start and end of each word, in order; a `<mask>` is one."""
    return [(start, end) for start, end in _segments(text) if not text[start:end].isspace()]


def _segments(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for i, part in enumerate(text.split(MASK)):
        # ICU counts places in halves of UTF-16, so the lengths of the segments are added up instead.
        for segment in [MASK] * bool(i) + [*WordBreaker(part, ANY_LANGUAGE)]:
            yield at, at + len(segment)
            at += len(segment)


def joined(words: Iterable[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text that some words make, and the start and end of each in it: as it would be written, as far as that can be told.

    Between two words stands a space, but not in scripts that are written without, nor before a sign that ends something, after one that
    begins something, or at an apostrophe. A word may hold spaces of its own, and is never changed.
    """
    parts, places = list[str](), list[tuple[int, int]]()
    at, before, quoted, begins = 0, "", "", True
    for word in words:
        ends = bool(quoted and word) and word in QUOTES[quoted]
        if not (begins or ends) and apart(before, word):
            parts.append(" ")
            at += 1
        parts.append(word)
        places.append((at, at := at + len(word)))
        begins = word in QUOTES and not ends
        quoted = word if begins else "" if ends else quoted
        before = word
    return "".join(parts), places
