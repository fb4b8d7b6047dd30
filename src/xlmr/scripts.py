"""Scripts: which a character is written in, which a piece may be of.

Python carries no table of Unicode's Script property, but the names of characters, which the Unicode standard never changes, begin
with their script: `CYRILLIC SMALL LETTER ZHE`. Signs, digits and accents belong to every script.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache

from xlmr.errors import BadInput

# ISO 15924, and the words the names of its characters begin with: the scripts of XLM-R's languages and others that are in use.
TABLE = (
    ("Arab", "ARABIC"), ("Armn", "ARMENIAN"), ("Beng", "BENGALI"), ("Bopo", "BOPOMOFO"), ("Cyrl", "CYRILLIC"),
    ("Deva", "DEVANAGARI"), ("Ethi", "ETHIOPIC"), ("Geor", "GEORGIAN"), ("Grek", "GREEK OHM"), ("Gujr", "GUJARATI"),
    ("Guru", "GURMUKHI"), ("Hang", "HANGUL"), ("Hani", "CJK IDEOGRAPHIC HANGZHOU"), ("Hebr", "HEBREW"),
    ("Hira", "HIRAGANA HENTAIGANA"), ("Kana", "KATAKANA"), ("Khmr", "KHMER"), ("Knda", "KANNADA"), ("Laoo", "LAO"),
    ("Latn", "LATIN FEMININE MASCULINE KELVIN ANGSTROM"), ("Mlym", "MALAYALAM"), ("Mong", "MONGOLIAN"), ("Mymr", "MYANMAR"),
    ("Orya", "ORIYA"), ("Sinh", "SINHALA"), ("Taml", "TAMIL"), ("Telu", "TELUGU"), ("Thai", "THAI"), ("Tibt", "TIBETAN"),
    ("Adlm", "ADLAM"), ("Bali", "BALINESE"), ("Bamu", "BAMUM"), ("Batk", "BATAK"), ("Bugi", "BUGINESE"), ("Cakm", "CHAKMA"),
    ("Cans", "CANADIAN"), ("Cham", "CHAM"), ("Cher", "CHEROKEE"), ("Copt", "COPTIC"), ("Dsrt", "DESERET"), ("Glag", "GLAGOLITIC"),
    ("Goth", "GOTHIC"), ("Hmng", "PAHAWH"), ("Hmnp", "NYIAKENG"), ("Java", "JAVANESE"), ("Kali", "KAYAH"), ("Lepc", "LEPCHA"),
    ("Limb", "LIMBU"), ("Lisu", "LISU"), ("Mand", "MANDAIC"), ("Mtei", "MEETEI"), ("Newa", "NEWA"), ("Nkoo", "NKO"), ("Ogam", "OGHAM"),
    ("Olck", "OL"), ("Osge", "OSAGE"), ("Osma", "OSMANYA"), ("Plrd", "MIAO"), ("Rjng", "REJANG"), ("Rohg", "HANIFI"), ("Runr", "RUNIC"),
    ("Samr", "SAMARITAN"), ("Saur", "SAURASHTRA"), ("Shaw", "SHAVIAN"), ("Sund", "SUNDANESE"), ("Sylo", "SYLOTI"), ("Syrc", "SYRIAC"),
    ("Talu", "NEW"), ("Tfng", "TIFINAGH"), ("Tglg", "TAGALOG"), ("Thaa", "THAANA"), ("Vaii", "VAI"), ("Wcho", "WANCHO"), ("Yiii", "YI"),
)  # fmt: skip

TOGETHER = {
    "Hans": ("Hani",),
    "Hant": ("Hani", "Bopo"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}
"""Codes that stand for several scripts. Simplified and traditional characters are one script of Unicode's: no name tells them apart."""

NAMES = {word: code for code, words in TABLE for word in words.split()}
CODES = sorted({*NAMES.values(), *TOGETHER})
ANY = "Zyyy"
"""ISO 15924 for what belongs to every script."""
OTHER = "Zzzz"
"""… and for letters of a script that is not in the table."""
WIDTHS = ("FULLWIDTH ", "HALFWIDTH ", "MODIFIER LETTER ", "COMBINING ", "OLD ")


def find(name: str) -> str:
    """A code as ISO 15924 writes it, in whatever case it comes. Raises BadInput, with what comes close, where it is none of `CODES`."""
    code = name.strip().capitalize() if isinstance(name, str) else ""
    if code not in CODES:
        close = ", ".join(get_close_matches(code, CODES, n=3, cutoff=0.6))
        raise BadInput(f"script {name!r} is not known; " + (f"is it one of {close}?" if close else f"wanted one of {', '.join(CODES)}"))
    return code


def parts(codes: Iterable[str]) -> frozenset[str]:
    """The scripts that some codes stand for: of `Jpan` three."""
    return frozenset(part for code in codes for part in TOGETHER.get(code, (code,)))


@lru_cache(maxsize=1 << 16)
def of(char: str) -> str:
    """The script of a character; `Zyyy` for what belongs to every script, `Zzzz` for a letter of one that is not in the table."""
    name = unicodedata.name(char, "")
    for width in WIDTHS:
        name = name.removeprefix(width)
    first = name.partition(" ")[0]
    if unicodedata.category(char)[0] not in "LM":
        return ANY
    return NAMES.get(first) or (OTHER if unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lo") else ANY)


def main(text: str) -> str:
    """The script of most of a text's letters; `Zyyy` where it has none. `Jpan` where kana and Han stand together."""
    return most(counted(text))


def counted(text: str) -> Counter[str]:
    """How many letters a text has of each script."""
    counts = Counter[str]()
    for char, times in Counter(text).items():
        counts[of(char)] += times
    del counts[ANY]
    return counts


def most(counts: Mapping[str, int]) -> str:
    """The script of most letters, from the number of those of each; as `main`."""
    if not counts:
        return ANY
    first: str = max(sorted(counts), key=counts.__getitem__)
    return "Jpan" if first in parts(["Jpan"]) and {"Hira", "Kana"} & counts.keys() else first


def fits(text: str, allowed: frozenset[str]) -> bool:
    """Whether a text is in these scripts: it has a letter of one of them, and none of another."""
    found = {of(char) for char in text} - {ANY}
    return bool(found) and found <= allowed
