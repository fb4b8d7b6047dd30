"""How good answers out of a context are: exactly right, or how many words they share, after the rules of two benchmarks.

SQuAD 1.1's (Rajpurkar et al. 2016, "SQuAD: 100,000+ questions for machine comprehension of text", section 6.1) are English, and used for
XQuAD in XTREME whatever the language: lower case, without ASCII punctuation and the articles a, an, the. MLQA's (Lewis et al. 2020, "MLQA:
evaluating cross-lingual extractive question answering", and its script) have for each language articles of its own, and take away all
punctuation of Unicode. Where a script has no spaces between words, each character is a word. MLQA has that for Chinese; here it holds
for Japanese, Thai, Lao, Khmer and Burmese too, with their characters.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping

SQUAD_ARTICLES = re.compile(r"\b(a|an|the)\b")
ARTICLES: Mapping[str, re.Pattern[str]] = {
    "en": SQUAD_ARTICLES,
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "ar": re.compile("ال"),  # wherever it stands, as in MLQA's script
}
"""MLQA's; a language without an entry loses nothing."""
HAN = "\u4e00-\u9fa5"
UNSPACED: Mapping[str, re.Pattern[str]] = {
    "zh": re.compile(f"[{HAN}]"),
    "ja": re.compile(f"[{HAN}\u3040-\u30ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "lo": re.compile("[\u0e80-\u0eff]"),
    "km": re.compile("[\u1780-\u17ff]"),
    "my": re.compile("[\u1000-\u109f]"),
}
"""Characters that are words by themselves."""


def words(text: str, language: str | None = None) -> list[str]:
    """What is compared of an answer: by MLQA's rules for `language`, such as `de` or `zh-Hant`; by SQuAD's where it is None."""
    text = text.lower()
    if language is None:
        return SQUAD_ARTICLES.sub(" ", "".join(c for c in text if c not in string.punctuation)).split()
    code = language.lower().partition("-")[0]
    text = "".join(c for c in text if not _punctuation(c))
    if code in ARTICLES:
        text = ARTICLES[code].sub(" ", text)
    if code in UNSPACED:
        text = UNSPACED[code].sub(r" \g<0> ", text)
    return text.split()


def exact(found: str, wanted: str, language: str | None = None) -> float:
    """1 where their words are the same in the same order, else 0."""
    return float(words(found, language) == words(wanted, language))


def f1(found: str, wanted: str, language: str | None = None) -> float:
    """The harmonic mean of precision and recall of the words; 0 where they share none, as where neither has any."""
    ours, theirs = words(found, language), words(wanted, language)
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def against(
    measure: Callable[[str, str, str | None], float], found: str | None, wanted: Collection[str], language: str | None = None
) -> float:
    """By `exact` or `f1`, against the nearest of the answers that are right.

    None is "no answer", which is right where none is wanted, as in SQuAD 2.0 (Rajpurkar, Jia and Liang 2018).
    """
    if not wanted:
        return float(not found)
    return max(measure(found or "", one, language) for one in wanted)


def _punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
