"""The picture as a page: one file, of which no text becomes a part, and that asks nobody for anything."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import HOSTILE, drawing

from xlmr.maps import Dot, Map, html, svg


class Page(HTMLParser):
    """The elements of a page, and what its scripts and styles hold."""

    def __init__(self, of: Map) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.held: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._inside = ""
        self.feed(html.drawn(of).decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in self.held:
            self.held[tag].append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in self.held:
            self.held[self._inside][-1] += data
        else:
            self.text += data

    @property
    def data(self) -> dict:
        return json.loads(self.held["script"][0])


PLAIN = Page(drawing([Dot("a", "de"), Dot("b", "fr", 0.5)]))


@given(st.lists(st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE), min_size=2, max_size=5))
def test_any_text_is_in_the_data_and_changes_nothing_else(texts):
    page = Page(drawing([Dot(text, "de", group=0) for text in texts]))
    assert [dot[5] for dot in page.data["dots"]] == [svg.shown(text, html.TEXT) for text in texts]
    other = Page(drawing([Dot("a", "de", group=0) for _ in texts]))
    assert (page.tags, page.text, page.held["style"], page.held["script"][1]) == (
        other.tags, other.text, other.held["style"], other.held["script"][1],
    )  # fmt: skip


@given(st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE))
def test_no_character_of_the_data_means_anything_to_html(text):
    assert not set(html.data(drawing([Dot(text, "de")]), svg.fitted(drawing([Dot(text, "de")]).places)[0])) & set("<>&'\u2028\u2029\n")


def test_the_page_allows_its_own_script_and_style_and_nothing_else():
    (policy,) = [attributes["content"] for tag, attributes in PLAIN.tags if "http-equiv" in attributes]
    hashes = [f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in (*PLAIN.held["style"], PLAIN.held["script"][1])]
    assert policy == f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; base-uri 'none'; form-action 'none'"
    attributes = [attribute for _, of in PLAIN.tags for attribute in of]
    assert not [name for name in attributes if name.startswith("on") or name == "style"]  # the policy would refuse them


def test_the_page_points_nowhere():
    links = [of[name] for _, of in PLAIN.tags for name in ("src", "href", "action", "data") if of.get(name)]
    assert all(re.fullmatch(r"#\w+", link) for link in links)
    page = html.drawn(drawing([Dot("a", "de")])).decode().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.|@import|url\(|fetch\(|XMLHttp|innerHTML|insertAdjacent|eval\(", page)


def test_the_data_say_where_each_text_is_and_in_which_language():
    of = drawing([Dot("Haus", "de", 0.98765, 0), Dot("maison", "fr", None, 0), Dot("12", "und", 1.0)])
    found = Page(of).data
    assert found["languages"] == [["de", "German"], ["fr", "French"], ["und", "not known"]]
    assert [dot[2:] for dot in found["dots"]] == [[0, 0.988, 0, "Haus"], [1, None, 0, "maison"], [2, 1.0, None, "12"]]
    assert [dot[:2] for dot in found["dots"]] == svg.fitted(of.places)[0].round(1).tolist()


def test_every_language_has_its_button_and_translations_their_switch():
    page = Page(drawing([Dot("a", "de", group=0), Dot("b", "zh-Hant", group=0)]))
    assert [of["data-language"] for tag, of in page.tags if tag == "button" and "data-language" in of] == ["de", "zh-Hant"]
    assert [of for tag, of in page.tags if tag == "input"] == [{"type": "checkbox", "id": "lines", "checked": None}]
    hidden = Page(drawing([Dot("a", "de", group=0), Dot("b", "fr", group=0)], lines=False))
    assert [of for tag, of in hidden.tags if tag == "input"] == [{"type": "checkbox", "id": "lines"}]
    assert [of["class"] for _, of in hidden.tags if "lines" in (of.get("class") or "")] == ["lines off"]
    assert "input" not in [tag for tag, _ in PLAIN.tags]


def test_the_script_finds_in_the_page_what_it_asks_for():
    page = Page(drawing([Dot("a", "de", group=0), Dot("b", "fr", group=0)]))
    ids = {of["id"] for _, of in page.tags if "id" in of}
    assert {*re.findall(r'getElementById\("(\w+)"\)', page.held["script"][1])} <= ids
    classes = {name for _, of in page.tags for name in (of.get("class") or "").split()}
    assert {*re.findall(r'querySelector(?:All)?\("\.(\w+)', page.held["script"][1])} <= classes


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed, which reads the page's script")
def test_the_script_is_a_script():
    script = PLAIN.held["script"][1]
    assert subprocess.run(["node", "--check", "-"], input=script.encode(), capture_output=True, check=False).stderr == b""
    assert subprocess.run(["node", "--check", "-"], input=b"(" + script.encode(), capture_output=True, check=False).returncode
