"""The picture as a page of its own, one file without a network: point at a dot to read its text, tap a language to see it alone.

Texts are what others wrote. They stand in one block of JSON in which no character means anything to HTML, the script puts them on the page
as text and nothing else, and the page's own policy forbids every other script and every connection.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from xlmr.maps import Map, svg
from xlmr.maps.looks import SHAPES, Look, looks

PLACES = re.compile(r"({{[A-Z]+}})")
TEXT = 600
"""Characters of a text that are shown."""
QUIET = {ord(char): f"\\u{ord(char):04x}" for char in "<>&'\u2028\u2029"}
"""What means something to HTML, or ends a line in a script, though not in JSON's strings."""


def drawn(of: Map) -> bytes:
    """The file. The same map gives the same bytes."""
    places, height = svg.fitted(of.places)
    look = looks(of.languages)
    style, script = _part("page.css"), _part("page.js")
    parts = {
        "TITLE": escape(of.title),
        "POLICY": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'",
        "STYLE": style,
        "SCRIPT": script,
        "CAPTION": "\n".join(f"<p>{escape(said)}</p>" for said in of.caption),
        "PICTURE": _picture(of, places, height, look),
        "LEGEND": "\n".join(_entry(code, len(own), look[code]) for code, own in of.languages.items()),
        "LINES": _switch(of),
        "DATA": data(of, places),
    }
    page = _part("page.html")
    return "".join(parts[piece[2:-2]] if piece.startswith("{{") else piece for piece in PLACES.split(page)).encode()


def data(of: Map, places: np.ndarray) -> str:
    """What the script reads, as JSON: languages, and of each dot place, language, confidence, group and text."""
    codes = [*of.languages]
    numbers = {code: i for i, code in enumerate(codes)}
    dots = [
        [
            round(float(x), 1),
            round(float(y), 1),
            numbers[dot.language],
            None if dot.confidence is None else round(dot.confidence, 3),
            dot.group,
            svg.shown(dot.text, TEXT),
        ]
        for dot, (x, y) in zip(of.dots, places, strict=True)
    ]
    held = {"languages": [[code, svg.named(code)] for code in codes], "dots": dots}
    return json.dumps(held, ensure_ascii=False, separators=(",", ":")).translate(QUIET)


def _picture(of: Map, places: np.ndarray, height: float, look: Mapping[str, Look]) -> str:
    root = Element("svg", id="picture", viewBox=f"0 0 {svg.SIDE:g} {height:g}", role="img")
    root.set("aria-label", of.title)
    root.append(svg.shapes(svg.size(of)))
    root.append(svg.picture(of, places, look, "translate(0 0)", titles=False))
    return ElementTree.tostring(root, "unicode", short_empty_elements=False)


def _entry(code: str, count: int, look: Look) -> str:
    """A language of the legend."""
    dot = f'<svg viewBox="-6 -6 12 12" aria-hidden="true"><path d="{SHAPES[look.shape]}" fill="{look.colour}"></path></svg>'
    name = f"<b>{escape(code)}</b><span>{escape(svg.named(code))}</span><i>{count:,}</i>"
    return f'<li><button type="button" data-language="{escape(code)}" aria-pressed="false">{dot}{name}</button></li>'


def _switch(of: Map) -> str:
    if not of.translated:
        return ""
    return f'<label><input type="checkbox" id="lines"{" checked" if of.lines else ""}> lines between translations</label>'


def _part(name: str) -> str:
    return (files("xlmr") / "maps" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
