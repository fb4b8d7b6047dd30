"""How words stand in a text: where one begins, and whether a space belongs before it."""

from __future__ import annotations

import re
import unicodedata

# Scripts written without spaces between words: Thai and Lao, Tibetan, Burmese, Khmer, Chinese and Japanese with their punctuation.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
CLOSING = ".,;:!?%)]}»…،؛؟।॥۔։"


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
