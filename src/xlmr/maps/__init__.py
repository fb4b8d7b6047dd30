"""Pictures by language: texts in the plane, whether languages cluster and translations meet; and bars of their scores.

`points.gather` finds vectors and languages of texts, a `placer` brings the vectors into the plane, `write` draws: SVG, or a page of HTML
in which one reads the text behind each dot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import IO

import numpy as np

from xlmr.errors import BadInput

METHODS: Mapping[str, str] = {"tsne": "t-SNE", "pca": "PCA"}
"""Ways into the plane: a module of this room, and how people call it."""
FORMATS = (".svg", ".html")
"""By the end of a file's name, the module that draws it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text of a file."""

    place: str
    """Its file and line, as a message names them."""
    text: str | BadInput
    language: str | None = None
    """Its code where the file says it."""
    name: str | None = None
    """What it shares with its translations."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A text of a picture."""

    text: str
    language: str
    """Its code; `und` where the model knows none."""
    confidence: float | None = None
    """Of the language, where the model found it; None where the file says it."""
    group: int | None = None
    """That of its translations; None where it has none."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How texts lie, in the space of the vectors or in the plane. A share is None where nothing can have it."""

    language: float | None
    """Of the nearest texts of each, those in its language."""
    translation: float | None
    """Of the texts with a translation in another language, those whose nearest text in another language is one."""


@dataclass(frozen=True, slots=True)
class Map:
    """All that is drawn."""

    dots: Sequence[Dot]
    places: np.ndarray
    """`[dots, 2]`"""
    title: str
    caption: Sequence[str]
    """Sentences below the picture: what it shows and how it was made."""
    lines: bool
    """Whether translations are joined; on a page, to begin with."""

    @property
    def translated(self) -> bool:
        """Whether there are translations."""
        return any(dot.group is not None for dot in self.dots)

    @property
    def languages(self) -> dict[str, list[int]]:
        """The dots of each language, by its code; `und` comes last."""
        found: dict[str, list[int]] = {}
        for i, dot in enumerate(self.dots):
            found.setdefault(dot.language, []).append(i)
        return {code: found[code] for code in sorted(found, key=lambda code: (code == "und", code))}


Placer = Callable[[np.ndarray, int], np.ndarray]
"""Vectors `[texts, size]` and a seed in, places `[texts, 2]` out."""


def placer(method: str) -> Placer:
    """A way into the plane. Raises BadInput where there is none of that name, MissingExtra where its packages are missing."""
    if method not in METHODS:
        raise BadInput(f"method is {method!r}, wanted one of {', '.join(METHODS)}")
    place: Placer = import_module(f"xlmr.maps.{method}").place
    return place


def write(file: IO[bytes], form: str, of: Map) -> None:
    """Draw a map in one of `FORMATS`."""
    file.write(import_module(f"xlmr.maps.{form.removeprefix('.')}").drawn(of))
