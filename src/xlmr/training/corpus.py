"""Text files to lines, and lines to one array of tokens with a table of where each line lies."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from xlmr.errors import BadRecipe
from xlmr.evaluation.benchmarks import Line as Line
from xlmr.training.disk import writing
from xlmr.training.recipes import Data

PROSE = "prose"
OPENED: Mapping[str, Callable[..., Any]] = {"": open, ".xz": lzma.open, ".gz": gzip.open}
"""How a text file may be packed; of two copies the first is read."""
ARRAYS = ("tokens", "starts", "language", "group", "phrase")
TEXT = re.compile(r"([^.]+)\.(?:txt|tsv)(?:\.xz|\.gz)?")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Lines as tokens. The lines of a parallel group lie together."""

    tokens: np.ndarray
    """uint16 or uint32 `[tokens]`, without `<s>` and `</s>`."""
    starts: np.ndarray
    """int64 `[lines + 1]`: line i is `tokens[starts[i]:starts[i + 1]]`."""
    language: np.ndarray
    """uint8 `[lines]`, an index into `languages`."""
    group: np.ndarray
    """int32 `[lines]`: the same for all translations of a text, -1 for lines that have none."""
    phrase: np.ndarray
    """bool `[lines]`: a word or short phrase, no running text."""
    languages: tuple[str, ...]

    def line(self, i: int) -> np.ndarray:
        """The tokens of a line."""
        return self.tokens[self.starts[i] : self.starts[i + 1]]


def read(data: Data) -> Iterator[Line]:
    """Every line of the data folder, in a fixed order."""
    folder = Path(data.folder)
    if not folder.is_dir():
        raise BadRecipe(f"data folder {folder} not found; see docs/pretraining.md for what it holds")
    sets = [name for name in data.parallel if (folder / "parallel" / name).is_dir()]
    for language in found_languages(folder, sets):
        if not data.languages or language in data.languages:
            yield from _prose(folder, language, data.filler_below)
            for name in sets:
                yield from _parallel(folder / "parallel" / name / f"{language}.tsv", language, name, data.cap)


def found_languages(folder: Path, sets: Sequence[str]) -> list[str]:
    """Codes of the files there are."""
    places = [folder, folder / "filler", *(folder / "parallel" / name for name in sets)]
    return sorted({found[1] for place in places if place.is_dir() for path in place.iterdir() if (found := TEXT.fullmatch(path.name))})


def key(text: str) -> str:
    """What two copies of a text have in common: its letters and digits."""
    return "".join(filter(str.isalnum, text)).casefold()


def split(lines: Iterable[Line], data: Data) -> tuple[list[Line], list[Line]]:
    """Training and held-out lines. No text of the second occurs in the first, under whatever source or id."""
    lines = list(lines)
    running: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        running[line.language] += line.source == PROSE
    heldout: list[Line] = []
    for line in lines:
        if line.id:
            keep = draw(line.source + line.id) % data.heldout_ids == 0 and line.source not in data.phrases
        else:
            keep = draw(line.text) % max(20, running[line.language] // data.heldout_lines) == 0
        if keep:
            heldout.append(line)
    secret = {key(line.text) for line in heldout}
    return [line for line in lines if key(line.text) not in secret], heldout


def encode(lines: Iterable[Line], tokenize: Callable[[list[str]], list[list[int]]], size: int, phrases: Sequence[str]) -> Corpus:
    """Lines as a corpus. `tokenize` gives ids without special tokens; `size` is the vocabulary's."""
    ordered = sorted(lines, key=lambda line: (line.source != PROSE, line.source, line.id, line.language))
    languages = tuple(sorted({line.language for line in ordered}))
    index = {language: i for i, language in enumerate(languages)}
    groups: dict[tuple[str, str], int] = {}
    pieces = [np.asarray(ids, np.uint16 if size <= 65_536 else np.uint32) for ids in _batched(tokenize, ordered)]
    return Corpus(
        tokens=np.concatenate(pieces),
        starts=np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        language=np.asarray([index[line.language] for line in ordered], np.uint8),
        group=np.asarray([groups.setdefault((line.source, line.id), len(groups)) if line.id else -1 for line in ordered], np.int32),
        phrase=np.asarray([line.source in phrases for line in ordered], bool),
        languages=languages,
    )


def save(corpus: Corpus, path: Path) -> None:
    """One safetensors file; it appears whole. Raises OSError where the disk refuses."""
    partial = path.with_suffix(".partial")
    with writing(path, "make room, and begin again"):
        save_file({name: getattr(corpus, name) for name in ARRAYS}, partial, metadata={"languages": json.dumps(corpus.languages)})
        partial.replace(path)


def load(path: Path) -> Corpus:
    """A corpus that `save` wrote. Raises BadRecipe where it is cut short, or its parts contradict each other."""
    try:
        with safe_open(path, "np") as opened:
            languages = tuple(json.loads(opened.metadata()["languages"]))
        loaded = Corpus(**load_file(path), languages=languages)
        _check(loaded)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        advice = f"remove {path.parent} and begin a new run, in another output folder if this one has a state"
        raise BadRecipe(f"{path}: not readable as the text of a run ({error}); {advice}") from None
    return loaded


def _check(corpus: Corpus) -> None:
    """Raises ValueError where the parts cannot be of one corpus."""
    lines, starts = len(corpus.language), corpus.starts
    if not len(starts) - 1 == lines == len(corpus.group) == len(corpus.phrase):
        raise ValueError(f"found {len(starts) - 1} lines, of {lines} the language")
    if starts[0] != 0 or starts[-1] != len(corpus.tokens) or (np.diff(starts) < 0).any():
        raise ValueError(f"its lines are not {len(corpus.tokens)} tokens one after another")
    if lines and corpus.language.max() >= len(corpus.languages):
        raise ValueError(f"found language {corpus.language.max()} of {len(corpus.languages)}")


def digest(corpus: Corpus) -> str:
    """What tells this corpus from another."""
    of = hashlib.blake2b(json.dumps(corpus.languages).encode(), digest_size=16)
    for array in (corpus.tokens, corpus.starts, corpus.language, corpus.group, corpus.phrase):
        of.update(np.ascontiguousarray(array).data)
    return of.hexdigest()


def _batched(tokenize: Callable[[list[str]], list[list[int]]], lines: Sequence[Line], size: int = 20_000) -> Iterator[list[int]]:
    for i in range(0, len(lines), size):
        yield from tokenize([line.text for line in lines[i : i + size]])


def _prose(folder: Path, language: str, filler_below: int) -> Iterator[Line]:
    size = 0
    for text in _texts(folder / f"{language}.txt"):
        size += len(text.encode())
        yield Line(language, PROSE, "", text)
    if size < filler_below:
        for text in _texts(folder / "filler" / f"{language}.txt"):
            yield Line(language, PROSE, "", text)


def _parallel(path: Path, language: str, source: str, cap: int) -> Iterator[Line]:
    rows = [_row(path, number, row) for number, row in enumerate(_texts(path), 1)]
    # The same ids in every language: the `cap` that hash lowest of those this language has.
    limit = sorted(draw(id) for id, _ in rows)[cap] if len(rows) > cap else None
    for id, text in rows:
        if limit is None or draw(id) < limit:
            yield Line(language, source, id, text)


def _row(path: Path, number: int, row: str) -> tuple[str, str]:
    id, tab, text = row.partition("\t")
    if not tab:
        raise BadRecipe(f"{path}, line {number} of those that are not empty: found {row[:40]!r}, wanted id, tab, text")
    return id, text


def _texts(path: Path) -> Iterator[str]:
    """The lines of a file that are not empty, as it is or packed; none where there is no such file."""
    for packed, opened in OPENED.items():
        where = path.with_name(path.name + packed)
        if where.exists():
            try:
                with opened(where, "rt", encoding="utf-8", newline="\n") as lines:
                    yield from (text for line in lines if (text := line.rstrip("\n")))
            except (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError) as error:
                raise BadRecipe(f"{where}: not readable as UTF-8 text{f', packed as {packed}' * bool(packed)} ({error})") from None
            return


def draw(text: str) -> int:
    """A number that depends on the text alone, the same on every machine and run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
