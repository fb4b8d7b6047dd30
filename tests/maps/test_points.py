"""What a map says of itself."""

from xml.etree import ElementTree

import numpy as np
import pytest

from xlmr.maps import Dot, html, nearness, points, svg


def described(dots: list[Dot], **options: object):
    places = np.arange(2.0 * len(dots)).reshape(-1, 2)
    shares = {"by the vectors": nearness.shares(places, dots)}
    return points.described(dots, places, shares, **{"total": len(dots), "model": "small", "method": "pca"} | options)


@pytest.mark.parametrize(
    ("dots", "said"),
    [
        ([Dot("Haus", "de")], "1 text in 1 language. "),
        ([Dot("Haus", "de"), Dot("maison", "fr"), Dot("12", "und")], "3 texts in 2 languages. "),
        ([Dot("12", "und", 1.0)], "1 text in 0 languages; the model found the languages. "),
    ],
)
def test_texts_and_languages_are_counted(dots, said):
    assert described(dots).caption[0].startswith(said)
    assert described(dots, total=1_000).caption[0].startswith(f"{len(dots)} of 1,000 texts, drawn by chance, in ")


def test_a_model_may_have_any_name_that_a_folder_may_have():
    of = described([Dot("Haus", "de")], model="\udcff<b>\u202e\x00")
    shown = "Vectors: \\udcff<b>\\u202e\\u0000. "
    assert shown in ElementTree.fromstring(svg.drawn(of)).find("{http://www.w3.org/2000/svg}desc").text
    assert shown.replace("<b>", "&lt;b&gt;") in html.drawn(of).decode()
