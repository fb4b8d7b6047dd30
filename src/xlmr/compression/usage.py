"""Which pieces texts use, and which texts a trimmed vocabulary cuts as the whole one does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlmr import texts
from xlmr.errors import BadInput, BadLine
from xlmr.examples.sources import LANGUAGE, Source, code
from xlmr.texts import FIELD
from xlmr.tokenizer import Tokenizer


@dataclass(slots=True)
class Coverage:
    """How texts are cut before and after."""

    texts: int = 0
    same: int = 0
    """Texts of exactly the pieces that they had."""
    pieces: int = 0
    """Of the texts, before."""
    kept: int = 0
    """Of these, those that are still in the vocabulary."""
    unknown: int = 0
    """Of these, `<unk>`."""
    pieces_after: int = 0
    unknown_after: int = 0

    @property
    def newly_unknown(self) -> bool:
        """Whether more of it is unknown than before."""
        return self.unknown_after * self.pieces > self.unknown * self.pieces_after

    def as_json(self) -> dict[str, Any]:
        """Numbers and shares."""
        return {
            "texts": self.texts,
            "same": share(self.same, self.texts),
            "pieces_kept": share(self.kept, self.pieces),
            "unknown_before": share(self.unknown, self.pieces),
            "unknown_after": share(self.unknown_after, self.pieces_after),
            "longer": share(self.pieces_after, self.pieces),
        }


def share(part: int, whole: int) -> float:
    """A part of a whole; 1 of nothing."""
    return round(part / whole, 6) if whole else 1.0


def read(sources: Sequence[Source], among: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """The texts of some files, none of them blank, each with its language, or the file's name where nothing says a language.

    Of a file with a column `lang` only rows in the languages `among` are read, where some are given. Raises BadInput where a file cannot be
    read, or not twice, BadLine where a line cannot.
    """
    for source in sources:
        if source.path.exists() and not source.path.is_file():
            raise BadInput(f"{source.path}: is no file; a corpus is read twice, so it cannot be a pipe or a folder")
        yield from _labelled(source, among) if _names_languages(source) else _plain(source)


def count(tokenizer: Tokenizer, found: Iterable[tuple[str, str]]) -> np.ndarray:
    """How often each piece is used: int64 `[vocabulary]`. Raises BadInput where there is no text."""
    counts, held, any_text = np.zeros(tokenizer.size, np.int64), list[int](), False
    for _, text in found:
        any_text = True
        held += tokenizer.encode(text).ids
        if len(held) > tokenizer.size:
            counts += np.bincount(held, minlength=tokenizer.size)
            held.clear()
    if not any_text:
        raise BadInput("the corpus has no text in it; which pieces it uses cannot be told")
    return counts + np.bincount(held, minlength=tokenizer.size)


def cover(before: Tokenizer, after: Tokenizer, renumbered: np.ndarray, found: Iterable[tuple[str, str]]) -> dict[str, Coverage]:
    """How texts are cut by both, by what `read` calls them; `renumbered` says the new id of each old one, -1 of those that are gone."""
    covered: dict[str, Coverage] = {}
    for name, text in found:
        of = covered.setdefault(name, Coverage())
        old, new = (np.array(tokenizer.encode(text).ids[1:-1], np.int64) for tokenizer in (before, after))
        mapped = renumbered[old]
        of.texts += 1
        of.same += np.array_equal(mapped, new)
        of.pieces += len(old)
        of.kept += int((mapped >= 0).sum())
        of.unknown += int((old == before.unk_id).sum())
        of.pieces_after += len(new)
        of.unknown_after += int((new == after.unk_id).sum())
    return covered


def _names_languages(source: Source) -> bool:
    fields = texts.fields(source.path) if source.language is None else None
    return fields is not None and LANGUAGE in fields


def _plain(source: Source) -> Iterator[tuple[str, str]]:
    for line in texts.read(source.path):
        if isinstance(line.text, BadLine):
            raise BadLine(f"{source.at(line.number)}: {line.text}")
        if line.text.strip():
            yield source.language or source.path.name, line.text


def _labelled(source: Source, among: Collection[str]) -> Iterator[tuple[str, str]]:
    for number, (name, text) in texts.rows(source.path, LANGUAGE, FIELD):
        try:
            language = code(name)
        except BadInput as error:
            raise BadLine(f"{source.at(number)}: {error}") from None
        if text.strip() and (not among or language in among):
            yield language, text
