"""README.md and docs/ tell what is so: their examples run, their links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REFRESH = runpy.run_path(str(ROOT / "docs" / "refresh.py"))
PAGES = [*REFRESH["PAGES"], ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PROOF = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


def by_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", REFRESH["PAGES"], ids=by_name)
def test_examples_print_what_the_page_shows(page):
    text = page.read_text(encoding="utf-8")
    assert REFRESH["refreshed"](text) == text, "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_tests_that_a_page_names_are_there(page):
    named = PROOF.findall(page.read_text(encoding="utf-8"))
    assert [(file, test) for file, test in named if f"def {test}" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_a_wrong_output_is_seen():
    page = "```python\nprint('a', 0.5)\n```\n\n```text\n{}\n```\n"
    refreshed = REFRESH["refreshed"]
    assert refreshed(page.format("b 0.5")) == refreshed(page.format("a 0.6")) == page.format("a 0.5")
    assert refreshed(page.format("a 0.51")) == page.format("a 0.51")


def test_commands_and_their_errors_are_seen():
    assert REFRESH["run_sh"]("echo one; echo two >&2") == "one\ntwo\n"


def test_numbers_stand_between_their_marks(monkeypatch):
    page = "a\n<!-- numbers: one -->\nold\n<!-- end -->\n<!-- numbers: two -->\n<!-- end -->\n<!-- numbers: three -->\nkept\n<!-- end -->\n"
    made = {"one": lambda: "| 1.0 |\n", "two": lambda: "| 2 |\n", "three": lambda: None}
    monkeypatch.setitem(REFRESH["refreshed"].__globals__, "TABLES", made)
    once = REFRESH["refreshed"](page)
    assert once == page.replace("\nold\n", "\n\n| 1.0 |\n\n").replace("two -->\n", "two -->\n\n| 2 |\n\n")
    assert REFRESH["refreshed"](once) == once
