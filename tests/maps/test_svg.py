"""The picture as SVG: XML whatever the texts are, and all that is drawn lies within."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import HOSTILE, drawing

from xlmr.languages import LANGUAGES
from xlmr.maps import Dot, Map, svg

NAME = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "title", "desc", "style", "defs", "path", "rect", "text", "g", "use"}


def parsed(of: Map) -> ElementTree.Element:
    return ElementTree.fromstring(svg.drawn(of))


@given(st.lists(st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE), min_size=1, max_size=5))
def test_any_text_is_the_title_of_its_dot_and_nothing_else(texts):
    root = parsed(drawing([Dot(text, "de") for text in texts]))
    assert {part.tag.removeprefix(NAME) for part in root.iter()} <= DRAWN
    assert [part.text for part in root.findall(f".//{NAME}use/{NAME}title")] == [
        f"de: \u2068{svg.shown(text, svg.TITLE)}\u2069" for text in texts
    ]
    assert not [name for part in root.iter() for name in part.attrib if name.lower().startswith("on")]


@given(st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE))
def test_what_is_shown_cannot_move_the_cursor_or_turn_the_text_around_it(text):
    shown = svg.shown(text, 50)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", shown)
    assert len(text) > 50 or len(shown) >= len(text)
    if text.isalpha() and text.isascii():
        assert shown == (text if len(text) <= 50 else text[:50] + "…")


def test_a_text_is_cut_between_its_characters():
    """Not amid what stands for one that cannot be seen."""
    assert svg.shown("ab\u202ecd", 2) == "ab…"
    assert svg.shown("ab\u202ecd", 3) == "ab\\u202e…"
    assert svg.shown("ab\u202e", 3) == "ab\\u202e"


def test_the_picture_says_what_it_is_and_who_is_in_it():
    dots = [Dot("Haus", "de", 0.98765), Dot("maison", "fr"), Dot("?", "und", 1.0), Dot("Baum", "de")]
    root = parsed(drawing(dots))
    assert [root.find(f"{NAME}{tag}").text for tag in ("title", "desc")] == ["A picture", 'What it shows. How <it> & "that" was made.']
    assert root.find(f".//{NAME}use/{NAME}title").text == "de 0.99: \u2068Haus\u2069"
    legend = [part.text for part in root.findall(f"./{NAME}g[@class='legend']/{NAME}text")]
    assert legend == ["de", "German", "2", "fr", "French", "1", "und", "not known", "1"]


@pytest.mark.parametrize("count", [1, 2, 40, 95])
def test_everything_lies_within_the_picture_and_no_legend_entry_on_another(count):
    codes = [*LANGUAGES, "und"][:count]
    root = parsed(drawing([Dot("a", code) for code in codes for _ in range(3)], seed=count))
    _, _, width, height = map(float, root.get("viewBox").split())
    left, top = map(float, re.findall(r"[\d.]+", root.find(f"./{NAME}g[@class='legend']").get("transform")))
    codes_at = root.findall(f"./{NAME}g[@class='legend']/{NAME}text[@class='code']")
    entries = [(left + float(part.get("x")), top + float(part.get("y"))) for part in codes_at]
    dots = [(float(part.get("x")), svg.HEAD + float(part.get("y"))) for part in root.findall(f".//{NAME}g[@class='language']/{NAME}use")]
    assert len(dots) == 3 * count
    assert all(0 < x < width - 5 and svg.HEAD < y < height for x, y in dots + entries)
    assert max(x for x, _ in dots) < left <= width - svg.COLUMN
    assert len({*entries}) == count
    assert all(abs(a[0] - b[0]) >= 200 or abs(a[1] - b[1]) >= 20 for a in entries for b in entries if a is not b and a != b)


def test_both_axes_have_one_scale_and_up_is_up():
    places = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    drawn, _ = svg.fitted(places)
    assert np.linalg.norm(drawn[1] - drawn[0]) / np.linalg.norm(drawn[2] - drawn[0]) == pytest.approx(4 / 3)
    assert drawn[2][1] < drawn[0][1]


def test_lines_join_translations_and_only_them():
    dots = [Dot("Haus", "de", group=0), Dot("Baum", "de"), Dot("maison", "fr", group=0)]
    of = drawing(dots)
    (path,) = parsed(of).findall(f".//{NAME}path[@class='lines']")
    ends = np.array(re.findall(r"M([\d.]+) ([\d.]+)", path.get("d")), float)
    places, _ = svg.fitted(of.places)
    np.testing.assert_allclose(ends, places[[0, 2]], atol=0.06)
    middles = np.array(re.findall(r"L([\d.]+) ([\d.]+)", path.get("d")), float)
    np.testing.assert_allclose(middles, np.tile(places[[0, 2]].mean(0), (2, 1)), atol=0.06)
    assert not parsed(drawing(dots, lines=False)).findall(f".//{NAME}path[@class='lines']")


def test_the_same_map_gives_the_same_bytes():
    dots = [Dot(f"{i}", code) for i, code in enumerate(["de", "fr", "und"] * 5)]
    assert svg.drawn(drawing(dots)) == svg.drawn(drawing(dots))
    assert svg.drawn(drawing(dots)) != svg.drawn(drawing(dots, seed=1))
