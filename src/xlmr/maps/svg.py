"""The picture as SVG: dots, lines between translations, labels, a legend and what it says of itself; light or dark as the reader's system.

Texts are what others wrote, so they come through `shown` and an XML library, never by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from xlmr.languages import LANGUAGES
from xlmr.maps import Map
from xlmr.maps.looks import SHAPES, Look, labels, looks
from xlmr.maps.nearness import own

SIDE, LOWEST, MARGIN = 1000.0, 560.0, 24.0
"""The picture's width, its least height, and what it leaves free within."""
ROW, COLUMN, GAP = 24.0, 224.0, 28.0
"""Of the legend."""
HEAD, LINE = 56.0, 19.0
LETTER = 8.0
"""The width of a label's letter, about."""
LETTERS = 7.0
"""The width of one below the picture, about."""
TITLE = 200
"""Characters of a text that are shown; a page shows more."""

# What XML has no place for, what moves the cursor, and what turns the direction of the text around it.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
STYLE = """
svg{color-scheme:light dark;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
svg{--back:#fff;--ink:#1c1c1c;--dim:#5c5c5c}
@media (prefers-color-scheme:dark){svg{--back:#141414;--ink:#ececec;--dim:#a5a5a5}}
.back{fill:var(--back)}text{fill:var(--ink);font-size:14px}.head{font-size:22px;font-weight:600}.caption,.count{fill:var(--dim)}
.count{text-anchor:end}.dots{fill-opacity:.85}.lines{fill:none;stroke:var(--dim);stroke-width:1}
.code{font-weight:600}
.labels text{text-anchor:middle;dominant-baseline:central;font-size:13px;font-weight:600}
.labels text{stroke:var(--back);stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
"""


def drawn(of: Map) -> bytes:
    """The file. The same map gives the same bytes."""
    places, height = fitted(of.places)
    languages = of.languages
    look = looks(languages)
    columns = -(-len(languages) // int(height // ROW))
    width = SIDE + GAP + columns * COLUMN
    caption = broken(of.caption, int((width - 2 * MARGIN) / LETTERS))
    total = HEAD + height + LINE * (len(caption) + 1.5)
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "lang": "en", "role": "img", "aria-labelledby": "title desc"})
    root.attrib |= {"viewBox": f"0 0 {width:g} {total:g}", **numbers(width=width, height=total)}
    text_in(root, "title", of.title, id="title")
    text_in(root, "desc", " ".join(of.caption), id="desc")
    text_in(root, "style", STYLE)
    root.append(shapes(size(of)))
    SubElement(root, "rect", {"class": "back"}, width="100%", height="100%")
    text_in(root, "text", of.title, {**numbers(x=MARGIN, y=36), "class": "head"})
    root.append(picture(of, places, look, f"translate(0 {HEAD:g})", titles=True))
    root.append(_legend(languages, look, columns, f"translate({SIDE + GAP:g} {HEAD + ROW / 2:g})"))
    for i, line in enumerate(caption):
        text_in(root, "text", line, {**numbers(x=MARGIN, y=HEAD + height + LINE * (i + 1)), "class": "caption"})
    return ElementTree.tostring(root, "unicode").encode() + b"\n"


def fitted(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Places in the picture, y downwards, and its height: both axes have one scale, and the picture is as high as it needs to be."""
    low, high = places.min(0), places.max(0)
    wide, tall = np.maximum(high - low, 1e-9)
    height = float(np.clip((SIDE - 2 * MARGIN) * tall / wide + 2 * MARGIN, LOWEST, SIDE))
    room = np.array([SIDE, height])
    scale = ((room - 2 * MARGIN) / (wide, tall)).min() if (high > low).any() else 1.0
    return (places - (low + high) / 2) * (scale, -scale) + room / 2, height


def picture(of: Map, places: np.ndarray, look: Mapping[str, Look], transform: str, *, titles: bool) -> Element:
    """Lines, dots by language and labels; each dot with its text as its title, or without."""
    root = Element("g", {"class": "picture"}, transform=transform)
    if of.lines or (of.translated and not titles):  # a page has a switch for them
        faint = f"{min(0.4, 8 / len(of.dots) ** 0.5):.2f}"
        SubElement(root, "path", {"class": "lines" if of.lines else "lines off", "stroke-opacity": faint}, d=lines(of, places))
    dots = SubElement(root, "g", {"class": "dots"})
    for code, dots_of in of.languages.items():
        group = SubElement(dots, "g", {"class": "language", "data-language": code}, fill=look[code].colour)
        for i in dots_of:
            x, y = places[i]
            dot = SubElement(group, "use", href=f"#{look[code].shape}", x=f"{x:.1f}", y=f"{y:.1f}")
            if titles:
                text_in(dot, "title", _title(of, i))
    texts = SubElement(root, "g", {"class": "labels"})
    sizes = {code: (LETTER * len(code) + 6, 16.0) for code in of.languages}
    above = places - (0, 6 + 6 * size(of))  # so that one still sees the dot
    for code, (x, y) in labels(of.languages, above, own(places, of.dots), sizes).items():
        text_in(texts, "text", code, {**numbers(x=x, y=y), "data-language": code})
    return root


def lines(of: Map, places: np.ndarray) -> str:
    """Of each group of translations, a line from every text to their middle; of two, that is the line between them."""
    groups: dict[int, list[int]] = {}
    for i, dot in enumerate(of.dots):
        if dot.group is not None:
            groups.setdefault(dot.group, []).append(i)
    drawn = []
    for members in groups.values():
        middle = places[members].mean(0)
        drawn += [f"M{places[i][0]:.1f} {places[i][1]:.1f}L{middle[0]:.1f} {middle[1]:.1f}" for i in members]
    return "".join(drawn)


def shapes(size: float = 1.0) -> Element:
    """The shapes of all dots, each under its name."""
    root = Element("defs")
    for name, path in SHAPES.items():
        SubElement(root, "path", id=name, d=path, transform=f"scale({size:.2f})")
    return root


def size(of: Map) -> float:
    """Of the dots: the fewer there are, the larger."""
    return float(np.clip((1_000 / len(of.dots)) ** 0.3, 0.8, 1.7))


def shown(text: str, most: int) -> str:
    """The beginning of a text as it may stand in a file that others open: what cannot be seen is written out."""
    seen = UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:most])
    return seen if len(text) <= most else seen + "…"


def named(code: str) -> str:
    """A language for people."""
    return LANGUAGES[code].name if code in LANGUAGES else "not known"


def _title(of: Map, i: int) -> str:
    dot = of.dots[i]
    sure = "" if dot.confidence is None else f" {dot.confidence:.2f}"
    return f"{dot.language}{sure}: \u2068{shown(dot.text, TITLE)}\u2069"


def _legend(languages: Mapping[str, Sequence[int]], look: Mapping[str, Look], columns: int, transform: str) -> Element:
    rows = -(-len(languages) // columns)
    root = Element("g", {"class": "legend"}, transform=transform)
    for i, (code, dots) in enumerate(languages.items()):
        x, y = COLUMN * (i // rows), ROW * (i % rows)
        SubElement(root, "path", d=SHAPES[look[code].shape], fill=look[code].colour, transform=f"translate({x:g} {y:g}) scale(1.2)")
        text_in(root, "text", code, {**numbers(x=x + 14, y=y + 5), "class": "code"})
        begin, letters = (46, 20) if len(code) <= 3 else (82, 12)
        text_in(root, "text", shown(named(code), letters), numbers(x=x + begin, y=y + 5))
        text_in(root, "text", f"{len(dots):,}", {**numbers(x=x + COLUMN - 28, y=y + 5), "class": "count"})
    return root


def broken(caption: Iterable[str], letters: int) -> list[str]:
    """Sentences in lines that fit."""
    return [line for said in caption for line in wrap(said, letters)]


def numbers(**of: float) -> dict[str, str]:
    """Attributes of one digit after the point, or none."""
    return {name: f"{value:.1f}".removesuffix(".0") for name, value in of.items()}


def text_in(parent: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None, **more: str) -> None:
    """Add an element that holds a text."""
    SubElement(parent, tag, {**(attributes or {}), **more}).text = text
