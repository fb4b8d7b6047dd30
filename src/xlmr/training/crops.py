"""Texts to learn languages from: of each class as many, cut and written as texts come, whole sentences and single words."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from random import Random

from xlmr.tasks.evidence import in_scripts, kind_of, written

WHOLE = 0.4
"""Share of the texts that stay whole."""
SIZES = (1, 2, 3, 4, 4, 4, 5, 6, 8)
"""Words of the others."""
UNSPACED = 3
"""Characters that stand for a word in a script without spaces."""
FIRST = 0.4
"""Share of the others that are beginnings."""
LOWER, UPPER, BARE = 0.08, 0.04, 0.1
"""Shares that are written in small letters, in capitals, without signs."""
LONGEST = 400
"""Characters."""
FITTING = 0.6
"""Share of a line's letters that must be in scripts of its language: what is left is not translated."""
PREFERRED = 0.6
"""Share of a class's texts that preferred sources may give."""
SIGNS = re.compile(r"[!-/:-@\[-`{-~¡«»¿‐-‧]+")

NONE: Mapping[str, int] = {}
CYRILLIC = "абвгдђежзијклљмнњопрстћуфхцчџш"
LATIN = "a b v g d đ e ž z i j k l lj m n nj o p r s t ć u f h c č dž š".split()
LETTERS = dict(zip(CYRILLIC, LATIN, strict=True))
POINTS = {chr(code): "" for code in range(0x0591, 0x05C8) if unicodedata.category(chr(code)) == "Mn"}
REWRITTEN: Mapping[str, tuple[str, dict[int, str]]] = {
    "sr": ("sr-Latn", str.maketrans(LETTERS | {letter.upper(): other.title() for letter, other in LETTERS.items()})),
    "yi": ("yi", str.maketrans(POINTS | {"װ": "וו", "ױ": "וי", "ײ": "יי"})),
}
"""Classes whose texts are also texts of another, or of the same, in other letters: Serbian is written alike in both of its alphabets, and
Yiddish mostly without the points that books have."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its class."""

    kind: str
    text: str


def draw(
    lines: Iterable[tuple[str, str, str]], caps: Mapping[str, int], count: int, seed: int, preferred: Mapping[str, int] = NONE
) -> list[Text]:
    """So many texts of each class from lines (language, source, text). A source gives a class as many lines as `caps` says, or none.

    Lines of `preferred` sources, each so often, come before all others, up to their share. Relatives that are translations of the same
    texts are then told apart by their words, not by what is written about.
    """
    dice = Random(seed)
    found = []
    for kind, sources in sorted(_classes(lines, caps).items()):
        found += [Text(kind, cropped(line, dice)) for line in _pooled(kind, sources, caps, count, preferred, dice)]
    return [text for text in found if any(map(str.isalpha, text.text))]


def _classes(lines: Iterable[tuple[str, str, str]], caps: Mapping[str, int]) -> dict[str, dict[str, list[str]]]:
    """The lines of each class, by source."""
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, source, text in lines:
        if source in caps:
            kind = kind_of(language, text)
            held[kind][source].append(text)
            if kind in REWRITTEN:
                other, letters = REWRITTEN[kind]
                held[other][source].append(text.translate(letters))
    return held


def _pooled(
    kind: str, sources: Mapping[str, Sequence[str]], caps: Mapping[str, int], count: int, preferred: Mapping[str, int], dice: Random
) -> Iterator[str]:
    """So many lines of a class, from each source no more than it may give, in some order; again and again where they are too few."""
    allowed = written(kind)
    first, rest = list[str](), list[str]()
    for source in sorted(sources):
        lines = dice.sample(sources[source], len(sources[source]))
        fitting = list(islice((text for text in lines if in_scripts(text, allowed) >= FITTING), caps[source]))
        pool = first if source in preferred else rest
        pool += fitting * preferred.get(source, 1)
    dice.shuffle(first)
    dice.shuffle(rest)
    return islice(chain(first[: round(PREFERRED * count)] if rest else (), cycle(rest or first)), count)


def cropped(text: str, dice: Random) -> str:
    """A text as it might be asked about: whole or a few words of it; now and then all small, all capital or without signs."""
    if dice.random() >= WHOLE:
        size, first = dice.choice(SIZES), dice.random() < FIRST
        words = text.split()
        if len(text) > 12 * len(words):  # no spaces between words
            size *= UNSPACED
            begin = 0 if first else dice.randrange(max(1, len(text) - size + 1))
            text = text[begin : begin + size]
        else:
            begin = 0 if first else dice.randrange(max(1, len(words) - size + 1))
            text = " ".join(words[begin : begin + size])
    style = dice.random()
    text = text.lower() if style < LOWER else text.upper() if style < LOWER + UPPER else text
    return (SIGNS.sub(" ", text) if dice.random() < BARE else text)[:LONGEST]
