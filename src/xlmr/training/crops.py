"""Texts to learn languages from: of each class as many, cut and written as texts come, whole sentences and single words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
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
SIGNS = re.compile(r"[!-/:-@\[-`{-~¡«»¿‐-‧]+")


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its class."""

    kind: str
    text: str


def draw(lines: Iterable[tuple[str, str, str]], caps: Mapping[str, int], count: int, seed: int) -> list[Text]:
    """So many texts of each class from lines (language, source, text). A source gives a class as many lines as `caps` says, or none."""
    dice = Random(seed)
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, source, text in lines:
        if source in caps:
            held[kind_of(language, text)][source].append(text)
    found = []
    for kind in sorted(held):
        lines_of = list(_pooled(kind, held[kind], caps, dice))
        found += [Text(kind, cropped(lines_of[i % len(lines_of)], dice)) for i in range(count if lines_of else 0)]
    return [text for text in found if any(map(str.isalpha, text.text))]


def _pooled(kind: str, sources: Mapping[str, Sequence[str]], caps: Mapping[str, int], dice: Random) -> Iterator[str]:
    """A class's lines, from each source no more than it may give, in some order."""
    allowed, pool = written(kind), list[str]()
    for source in sorted(sources):
        lines = dice.sample(sources[source], len(sources[source]))
        pool += islice((text for text in lines if in_scripts(text, allowed) >= FITTING), caps[source])
    dice.shuffle(pool)
    return iter(pool)


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
