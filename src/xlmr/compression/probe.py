"""The texts on which a model is compared with what was made of it: everyday sentences in many languages, or texts of one's own.

`probe.tsv` was written for this: four sentences, the same in each of 48 languages, in 22 scripts. They train and fit nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

from xlmr.errors import BadInput

Texts = Mapping[str, tuple[str, ...]]
"""By language."""

FILE = Path(__file__).with_name("probe.tsv")
OWN = 20
"""Texts of each language that are taken where texts are given and nothing is said of how many."""


def builtin(count: int | None = None) -> Texts:
    """The sentences that come with this, at most `count` of each language."""
    return {language: texts[:count] for language, texts in _builtin().items()}


@cache
def _builtin() -> Texts:
    return read(FILE)


def read(path: Path) -> Texts:
    """A file of `lang` and `text` that comes with this."""
    rows = path.read_text(encoding="utf-8").splitlines()[1:]
    return gathered((language, text) for language, _, text in (row.partition("\t") for row in rows))


def gathered(labelled: Iterable[tuple[str, str]], count: int | None = OWN, use: str = "compare the models on") -> Texts:
    """Languages with texts as one table: the first `count` of each language, none of them blank. Raises BadInput where there is no text;
    `use` says what for."""
    found: dict[str, list[str]] = {}
    for language, text in labelled:
        of = found.setdefault(language, [])
        if text.strip() and (count is None or len(of) < count):
            of.append(text)
    texts = {language: tuple(of) for language, of in found.items() if of}
    if not texts:
        raise BadInput(f"there are no texts to {use}; wanted files with texts, or none for the sentences that come with xlmr")
    return texts


def among(texts: Texts, languages: Collection[str]) -> Texts:
    """Those in some languages; all of them where none is in these."""
    return {language: of for language, of in texts.items() if language in languages} or texts
