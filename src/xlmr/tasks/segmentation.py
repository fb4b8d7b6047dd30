"""The words of a text, in every language: where Unicode's rules or a dictionary put their boundaries.

Boundaries are those of ICU, Unicode's own library: the rules of UAX #29, "Unicode Text Segmentation", and dictionaries for what is
written without spaces: Chinese and Japanese, Thai, Lao, Khmer and Burmese. A sign is a word of its own; white space is none.
"""

from __future__ import annotations

from collections.abc import Iterator

from icu4py.breakers import WordBreaker

from xlmr.tokenizer.vocabulary import MASK

ANY_LANGUAGE = "root"  # the dictionary is chosen by the script, whatever the language


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
