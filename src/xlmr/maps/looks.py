"""How languages look: each a colour and a shape that no other has together, and a label where it is by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

# On white and on nearly black alike, each has a contrast of at least 3 : 1, as WCAG 2.2 (1.4.11) wants of graphics.
COLOURS = ("#d93a3a", "#1a7fd1", "#2f9440", "#b3620d", "#9a4fd6", "#0f8f8f", "#d0408f", "#857a00", "#5468e0", "#8f5f45", "#688014")
"""Eleven, and nine shapes: without a common divisor, so 99 languages differ, and any that follow each other differ in both."""
LABELLED = 0.6
"""Of a text's neighbours, those in its language, where the label of the language may stand."""
TRIED = 200
"""Places tried for a label."""
UNKNOWN = "#7d7d7d"
"""Of `und`, which is a ring."""


def _star(points: int, inner: float, size: float, turn: float = 0.0) -> str:
    """A polygon whose corners lie on two circles by turns."""
    radii = (size, size * inner)
    corners = [(radii[i % 2] * sin(turn + pi * i / points), -radii[i % 2] * cos(turn + pi * i / points)) for i in range(2 * points)]
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in corners) + "Z"


def _disc(size: float) -> str:
    return f"M{-size} 0a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0Z"


_PLUS = "M-1.4-4.4H1.4V-1.4H4.4V1.4H1.4V4.4H-1.4V1.4H-4.4V-1.4H-1.4Z"
SHAPES: Mapping[str, str] = {
    "disc": _disc(3.6),
    "square": "M-3.2-3.2H3.2V3.2H-3.2Z",
    "up": _star(3, 0.5, 4.8),
    "plus": _PLUS,
    "diamond": _star(2, 1, 4.4),
    "star": _star(5, 0.42, 5.2),
    "down": _star(3, 0.5, 4.8, pi),
    "cross": _star(4, 0.32, 5.2, pi / 4),
    "bar": "M-4.8-1.7H4.8V1.7H-4.8Z",
    "ring": _disc(4.2) + _disc(2.0).replace(" 0 1 0 ", " 0 1 1 "),
}
"""Paths about the origin, some eight units wide; the last belongs to `und`."""


@dataclass(frozen=True, slots=True)
class Look:
    """Of one language."""

    colour: str
    shape: str
    """Of `SHAPES`."""


def looks(codes: Iterable[str]) -> dict[str, Look]:
    """A look for each language, by its code. Up to eleven differ in colour alone."""
    *shapes, ring = SHAPES
    known = [code for code in codes if code != "und"]
    found = {code: Look(COLOURS[i % len(COLOURS)], shapes[i % len(shapes)]) for i, code in enumerate(known)}
    return found | {"und": Look(UNKNOWN, ring)}


def labels(
    languages: Mapping[str, list[int]], places: np.ndarray, own: np.ndarray, sizes: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Where each language's label has its middle: at a text whose neighbours are of the language as well, and where no other label is.

    `own` is the share of each text's neighbours in its language, `sizes` are widths and heights of labels. A language that is among others
    everywhere has no label, which would say that it has a place; nor has one whose label finds no room. Those that are most by
    themselves come first.
    """
    taken: list[tuple[float, float, float, float]] = []
    found: dict[str, tuple[float, float]] = {}
    for code in sorted(languages, key=lambda code: (-own[languages[code]].mean(), code)):
        width, height = sizes[code]
        for x, y in places[_tried(np.array(languages[code]), places, own)].tolist():
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                found[code] = (x, y)
                break
    return found


def _tried(dots: np.ndarray, places: np.ndarray, own: np.ndarray) -> list[int]:
    """The dots of a language that may bear its label, the likeliest first: the middle of those that are most among themselves."""
    best = dots[own[dots] >= max(LABELLED, own[dots].max() - 0.1)]
    if not len(best):
        return []
    far = np.square(places[best] - np.median(places[best], axis=0)).sum(1)
    found: list[int] = best[np.argsort(far, kind="stable")[:TRIED]].tolist()
    return found
