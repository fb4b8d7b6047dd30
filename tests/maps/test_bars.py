from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import HOSTILE

from xlmr.errors import BadInput
from xlmr.languages import FAMILIES, FAMILY_TABLE, LANGUAGES
from xlmr.maps import bars
from xlmr.maps.bars import LONGEST, OTHER, Bar

NAME = "{http://www.w3.org/2000/svg}"


def parsed(of, by="family", title="a title", caption="a caption", mean=0.5) -> ElementTree.Element:
    return ElementTree.fromstring(bars.drawn(title, caption, bars.grouped(of, by), mean))


def rows(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {row.get("data-language"): row for row in root.findall(f".//{NAME}g[@data-language]")}


def test_groups_are_families_or_scripts_in_a_fixed_order():
    of = [Bar(code, 0.5) for code in ("wo", "zh", "de", "xx", "af", "ru", "ko")]
    by_family = {name: [bar.code for bar in group] for name, group in bars.grouped(of, "family").items()}
    assert by_family == {"Germanic": ["af", "de"], "Slavic": ["ru"], "Niger-Congo": ["wo"], "Sino-Tibetan": ["zh"], OTHER: ["ko", "xx"]}
    assert [*by_family][-1] == OTHER
    by_script = {name: [bar.code for bar in group] for name, group in bars.grouped(reversed(of), "script").items()}
    assert by_script == {"Cyrl": ["ru"], "Hang": ["ko"], "Hans": ["zh"], "Latn": ["af", "de"], OTHER: ["wo", "xx"]}
    with pytest.raises(BadInput, match="grouped by 'size', wanted one of family, script"):
        bars.grouped(of, "size")


def test_every_language_has_one_family():
    assert {*LANGUAGES} <= {*FAMILIES}
    assert len(FAMILIES) == sum(len(codes.split()) for _, codes in FAMILY_TABLE)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=90), st.sampled_from(bars.GROUPINGS), st.floats(0, 1))
def test_bars_are_as_long_as_their_scores_and_all_lies_within(values, by, mean):
    codes = [*LANGUAGES][: len(values)]
    root = parsed([Bar(code, value, (0.0, value)) for code, value in zip(codes, values, strict=True)], by, mean=mean)
    drawn = rows(root)
    for code, value in zip(codes, values, strict=True):
        behind, bar = drawn[code].findall(f"{NAME}rect")
        assert float(bar.get("width")) == pytest.approx(LONGEST * value, abs=0.06)
        assert float(behind.get("width")) == LONGEST
    _, _, width, height = map(float, root.get("viewBox").split())
    for column in root.findall(f"{NAME}g"):
        x, y = map(float, column.get("transform")[len("translate(") : -1].split())
        assert x + bars.COLUMN <= width
        for row in column.findall(f"{NAME}g"):
            assert y + float(row.get("transform")[len("translate(0 ") : -1]) + bars.ROW <= height


def test_no_number_and_no_interval_are_shown_as_such():
    drawn = rows(parsed([Bar("de", float("nan"), (float("nan"), 1.0)), Bar("fr", -0.25), Bar("en", 0.5, (0.4, 0.6), own=True)]))
    assert [len(drawn[code].findall(f"{NAME}rect")) for code in ("de", "fr", "en")] == [1, 2, 2]
    assert [drawn[code].find(f"{NAME}path") is not None for code in ("de", "fr", "en")] == [False, False, True]
    assert [drawn[code].findall(f"{NAME}text")[-1].text for code in ("de", "fr", "en")] == ["–", "-0.250", "0.500"]
    assert drawn["fr"].findall(f"{NAME}rect")[1].get("width") == "0"
    assert drawn["en"].find(f"{NAME}title").text == "English: 0.500 (0.400 to 0.600)"
    assert "own" in drawn["en"].find(f"{NAME}text").get("class")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_is_more_than_text(hostile):
    root = parsed([Bar("de", 0.5)], title=hostile)
    assert {part.tag.removeprefix(NAME) for part in root.iter()} <= {"svg", "title", "desc", "style", "rect", "text", "g", "path", "line"}


def test_the_same_bars_give_the_same_file_whatever_their_order():
    of = [Bar(code, 0.3) for code in LANGUAGES]
    assert bars.drawn("t", "c", bars.grouped(of, "script"), 0.3) == bars.drawn("t", "c", bars.grouped(of[::-1], "script"), 0.3)
