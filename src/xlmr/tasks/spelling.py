"""How words stand in a text: where one begins, and whether a space belongs before it."""

from __future__ import annotations

import re
import unicodedata

# Scripts written without spaces between words: Thai and Lao, Tibetan, Burmese, Khmer, Chinese and Japanese with their punctuation.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
CLOSING = ".,;:!?%)]}»…،؛؟।॥۔։"
ENDING = CLOSING + "”’٪።፣፤。、，；：！？"
"""Signs before which no space is written, beside all that close a bracket …"""
BEGINNING = "¿¡"
"""… and those after which none is, beside all that open one."""
APOSTROPHES = "'’"
CLITICS = frozenset(f"{before}{mark}{after}" for mark in APOSTROPHES
                    for before, after in (("n", "t"), *(("", of) for of in ("s", "d", "m", "ll", "re", "ve"))))  # fmt: skip
"""Parts of English words that are words of their own to those who count words."""


def in_word(char: str) -> bool:
    """Whether a character is of a word: a letter, a digit or a mark."""
    return unicodedata.category(char)[0] in "LMN"


def begins_word(char: str) -> bool:
    """Whether a word can begin with a character: a letter or a digit. A mark would go with what stands before the word."""
    return unicodedata.category(char)[0] in "LN"


def needs_space(before: str) -> bool:
    """Whether a word after this text needs a space: after a letter, digit, mark or closing sign, unless in a script without spaces."""
    last = before[-1:]
    return bool(last) and (in_word(last) or last in CLOSING) and not UNSPACED.match(last)


def goes_on(before: str, after: str) -> bool:
    """Whether the text after goes on with the word that the text before ends in; in scripts without spaces, each piece is a word."""
    meet = before[-1:], after[:1]
    return all(char and in_word(char) and not UNSPACED.match(char) for char in meet)


def apart(before: str, after: str) -> bool:
    """Whether a space is written between two words that follow each other; of quotation marks, see `segmentation.joined`."""
    last, first = before[-1:], after[:1]
    if UNSPACED.match(last) and UNSPACED.match(first):
        return False
    if _is_sign(after) and (first in ENDING or unicodedata.category(first) == "Pe"):
        return False
    if _is_sign(before) and (last in BEGINNING or unicodedata.category(last) == "Ps"):
        return False
    return after.lower() not in CLITICS and (_is_sign(before) or last not in APOSTROPHES)  # l'eau, it's


def _is_sign(word: str) -> bool:
    return not any(map(in_word, word))
