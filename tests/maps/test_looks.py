"""Languages look different from each other, on light and dark, and labels say where a language is."""

from itertools import pairwise

import numpy as np
import pytest

from xlmr.languages import LANGUAGES
from xlmr.maps.looks import COLOURS, SHAPES, UNKNOWN, labels, looks


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#141414"])
@pytest.mark.parametrize("colour", [*COLOURS, UNKNOWN])
def test_every_colour_is_seen_on_light_and_dark(colour, background):
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast(colour, background) >= 3


def test_no_two_languages_look_the_same():
    found = looks([*LANGUAGES, "und"])
    assert len({*found.values()}) == len(LANGUAGES) + 1
    assert {look.shape for look in found.values()} == {*SHAPES}
    assert [code for code, look in found.items() if look.shape == "ring"] == ["und"]


def test_a_few_languages_differ_in_colour_and_neighbours_in_the_legend_in_both():
    found = [*looks(LANGUAGES).values()]
    assert len({look.colour for look in found[: len(COLOURS)]}) == len(COLOURS)
    assert all(a.colour != b.colour and a.shape != b.shape for a, b in pairwise(found[:-1]))


def test_a_label_stands_where_its_language_is_by_itself():
    places = np.array([[x, 0.0] for x in (0, 1, 2, 500, 501, 502, 900)])
    languages = {"de": [0, 1, 2, 6], "fr": [3, 4, 5]}
    own = np.array([1, 1, 1, 1, 1, 1, 0.0])
    sizes = {"de": (20.0, 10.0), "fr": (20.0, 10.0)}
    assert labels(languages, places, own, sizes) == {"de": (1, 0), "fr": (501, 0)}


def test_a_language_among_others_has_no_label_and_no_label_lies_on_another():
    dice = np.random.default_rng(0)
    languages = {code: [*range(10 * i, 10 * i + 10)] for i, code in enumerate(("de", "fr", "ru", "sw"))}
    places = dice.uniform(0, 100, (40, 2))
    own = np.repeat([0.9, 0.8, 0.7, 0.2], 10)
    found = labels(languages, places, own, dict.fromkeys(languages, (30.0, 16.0)))
    assert [*found] == ["de", "fr", "ru"]
    assert all(abs(a[0] - b[0]) >= 30 or abs(a[1] - b[1]) >= 16 for a in found.values() for b in found.values() if a != b)
    crowded = labels(languages, np.zeros((40, 2)), own, dict.fromkeys(languages, (30.0, 16.0)))
    assert [*crowded] == ["de"]
