"""A score for each language as a picture: bars in groups, such as families, with their intervals and the mean of all; as SVG.

Groups and languages stand in an order of their own, not by score, so that the pictures of two models can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from xlmr.errors import BadInput
from xlmr.languages import FAMILIES, LANGUAGES
from xlmr.maps import svg
from xlmr.maps.looks import COLOURS

GROUPINGS = ("family", "script")
OTHER = "other"
"""The group of languages of which no group is known; the last."""

ROW, TITLE, GAP = 18.0, 26.0, 10.0
"""Heights: of a bar, of a group's title, between groups."""
LONGEST, THICK = 200.0, 12.0
"""Of a bar."""
LABEL, NAME, VALUE = 70.0, 150.0, 52.0
"""Widths beside the bars: of codes, of names, of numbers."""
COLUMN = LABEL + NAME + LONGEST + VALUE + 24
MARGIN, HEAD = 24.0, 58.0
LETTER = 12.0
"""The width of one of the title, about."""
ROWS = 40
"""Bars in a column, about."""
LETTERS = 21
"""Of a language's name."""
STYLE = """
.group{font-weight:600}.name,.value{fill:var(--dim)}.value{text-anchor:end}.whisker{stroke:var(--ink);stroke-width:1.2;fill:none}
.mean{stroke:var(--ink);stroke-width:1;stroke-dasharray:3 3}.own{text-decoration:underline}.behind{fill:var(--ink);fill-opacity:.07}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A language and its score."""

    code: str
    value: float
    """From 0 to 1; what lies outside is drawn at the edge, and what is no number is not drawn."""
    interval: tuple[float, float] | None = None
    own: bool = False
    """Whether it is the training language, which is marked."""


def grouped(bars: Iterable[Bar], by: str) -> dict[str, list[Bar]]:
    """Bars by `family` or `script` of their languages, in a fixed order, `other` last. Raises BadInput for any other grouping."""
    if by not in GROUPINGS:
        raise BadInput(f"bars are grouped by {by!r}, wanted one of {', '.join(GROUPINGS)}")
    group = _family if by == GROUPINGS[0] else _script
    found: dict[str, list[Bar]] = {}
    for bar in sorted(bars, key=lambda bar: bar.code):
        found.setdefault(group(bar.code), []).append(bar)
    order = [*dict.fromkeys(FAMILIES.values())] if by == GROUPINGS[0] else sorted(found)
    return {name: found[name] for name in [*(name for name in order if name != OTHER), OTHER] if name in found}


def drawn(title: str, caption: str, groups: Mapping[str, Sequence[Bar]], mean: float) -> bytes:
    """The file. The same groups give the same bytes."""
    columns = _columns(groups)
    width = len(columns) * COLUMN + 2 * MARGIN
    lines = svg.broken([caption], int((width - 2 * MARGIN) / svg.LETTERS))
    head = HEAD + len(lines) * svg.LINE
    height = head + max(sum(_height(groups[name]) for name in column) for column in columns) + MARGIN
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "lang": "en", "role": "img", "aria-labelledby": "title desc"})
    root.attrib |= {"viewBox": f"0 0 {width:g} {height:g}", **svg.numbers(width=width, height=height)}
    svg.text_in(root, "title", svg.shown(title, svg.TITLE), id="title")
    svg.text_in(root, "desc", caption, id="desc")
    svg.text_in(root, "style", svg.STYLE + STYLE)
    SubElement(root, "rect", {"class": "back"}, width="100%", height="100%")
    svg.text_in(root, "text", svg.shown(title, int((width - 2 * MARGIN) / LETTER)), {**svg.numbers(x=MARGIN, y=32), "class": "head"})
    for i, line in enumerate(lines):
        svg.text_in(root, "text", line, {**svg.numbers(x=MARGIN, y=HEAD - 6 + i * svg.LINE), "class": "caption"})
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(groups)}
    for i, column in enumerate(columns):
        place = SubElement(root, "g", transform=f"translate({MARGIN + i * COLUMN:g} {head:g})")
        _draw(place, {name: groups[name] for name in column}, colours, mean)
    return ElementTree.tostring(root, "unicode").encode() + b"\n"


def _draw(place: Element, groups: Mapping[str, Sequence[Bar]], colours: Mapping[str, str], mean: float) -> None:
    """One column."""
    y = 0.0
    for name, bars in groups.items():
        svg.text_in(place, "text", name, {**svg.numbers(x=0, y=y + TITLE - 9), "class": "group"})
        for i, bar in enumerate(bars):
            _bar(place, bar, y + TITLE + i * ROW, colours[name])
        y += _height(bars)
    if isfinite(mean):
        x = LABEL + NAME + LONGEST * _clipped(mean)
        SubElement(place, "line", {"class": "mean"}, **svg.numbers(x1=x, x2=x, y1=0, y2=y - GAP))


def _bar(place: Element, bar: Bar, y: float, colour: str) -> None:
    row = SubElement(place, "g", {"data-language": bar.code}, transform=f"translate(0 {y:g})")
    name = LANGUAGES[bar.code].name if bar.code in LANGUAGES else ""
    known = isfinite(bar.value)
    shown = f"{bar.value:.3f}" if known else "–"
    between = f" ({bar.interval[0]:.3f} to {bar.interval[1]:.3f})" if bar.interval else ""
    svg.text_in(row, "title", f"{svg.shown(name or bar.code, 40)}: {shown}{between}")
    svg.text_in(row, "text", svg.shown(bar.code, 7), {**svg.numbers(x=0, y=THICK - 1), "class": "code own" if bar.own else "code"})
    svg.text_in(row, "text", svg.shown(name, LETTERS), {**svg.numbers(x=LABEL, y=THICK - 1), "class": "name"})
    begin = LABEL + NAME
    SubElement(row, "rect", {"class": "behind"}, **svg.numbers(x=begin, y=0, width=LONGEST, height=THICK))
    if known:
        SubElement(row, "rect", {"fill": colour}, **svg.numbers(x=begin, y=0, width=LONGEST * _clipped(bar.value), height=THICK))
    if bar.interval and all(map(isfinite, bar.interval)):
        low, high = (begin + LONGEST * _clipped(of) for of in bar.interval)
        SubElement(row, "path", {"class": "whisker"}, d=f"M{low:.1f} 3V9M{low:.1f} 6H{high:.1f}M{high:.1f} 3V9")
    svg.text_in(row, "text", shown, {**svg.numbers(x=begin + LONGEST + VALUE, y=THICK - 1), "class": "value"})


def _columns(groups: Mapping[str, Sequence[Bar]]) -> list[list[str]]:
    """The groups' names in columns, in their order, none of them parted."""
    heights = {name: _height(bars) for name, bars in groups.items()}
    bars = sum(map(len, groups.values()))
    most = sum(heights.values()) / max(1, -(-bars // ROWS))
    columns: list[list[str]] = [[]]
    room = most
    for name, height in heights.items():
        if columns[-1] and room < height / 2:
            columns.append([])
            room += most
        columns[-1].append(name)
        room -= height
    return columns


def _height(bars: Sequence[Bar]) -> float:
    return TITLE + ROW * len(bars) + GAP


def _clipped(share: float) -> float:
    return min(1.0, max(0.0, share))


def _family(code: str) -> str:
    return FAMILIES.get(code, OTHER)


def _script(code: str) -> str:
    return LANGUAGES[code].scripts[0] if code in LANGUAGES else OTHER
