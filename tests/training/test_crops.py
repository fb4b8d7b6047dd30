from collections import Counter
from random import Random

import pytest
from speakers import sentences

from xlmr.errors import BadInput
from xlmr.tasks.evidence import in_scripts, kind_of, written
from xlmr.training import crops

LINES = [(language, "tests", text) for language, text in sentences()]


def test_each_class_gives_as_many_and_the_same_ones_again():
    found = crops.draw(LINES, {"tests": 99}, 50, seed=3)
    assert found == crops.draw(LINES, {"tests": 99}, 50, seed=3) != crops.draw(LINES, {"tests": 99}, 50, seed=4)
    counts = Counter(text.kind for text in found)
    assert {*counts} == {"de", "el", "en", "fi", "fr", "ja", "ru", "sr", "sr-Latn", "zh"}
    assert set(counts.values()) == {50}


def test_a_source_gives_no_more_lines_than_it_may_and_others_none():
    lines = [("en", "a", f"line number {letter * 3}") for letter in "abcdefghij"] + [("en", "b", "other")]
    found = crops.draw(lines, {"a": 3}, 60, seed=1)
    assert len({word.lower() for text in found for word in text.text.split()} - {"line", "number"}) == 3
    assert not any("other" in text.text for text in found)


def test_preferred_sources_come_first_up_to_their_share_each_line_so_often():
    lines = [("en", source, f"{source}{letter} " * 3) for source in ("news", "help") for letter in "abcdefghijklmnopqrst"]
    caps = {"news": 20, "help": 20}
    found = [crops.draw(lines, caps, count, 1, {"news": 2}) for count in (100, 50)]
    news = [Counter(text.text.split()[0].lower()[:5] for text in texts if text.text.lower().startswith("news")) for texts in found]
    assert {*news[0].values()} == {2}
    assert len(news[0]) == 20
    assert news[1].total() == round(50 * crops.PREFERRED)
    only = crops.draw(lines[:20], caps, 100, 1, {"news": 2})
    assert len(only) == 100


def test_serbian_serves_in_both_of_its_alphabets():
    found = crops.draw([("sr", "a", "Љубав и Џез")], {"a": 9}, 40, seed=1)
    assert {text.kind for text in found} == {"sr", "sr-Latn"}
    assert "Ljubav i Džez" in {text.text for text in found}
    assert crops.draw([("sr", "a", "Ljubav")], {"a": 9}, 4, seed=1)[0].kind == "sr-Latn"


def test_yiddish_is_learnt_with_points_and_without():
    found = {text.text for text in crops.draw([("yi", "a", "װאָס טוט ער?")], {"a": 9}, 40, seed=1)}
    assert found >= {"װאָס טוט ער?", "וואס טוט ער?"}


def test_what_is_not_translated_is_left_out():
    lines = [("ru", "a", "Старая женщина"), ("ru", "a", "Not translated at all")]
    assert {in_scripts(text.text, {"Latn"}) for text in crops.draw(lines, {"a": 9}, 30, seed=1)} == {0.0}


def test_texts_are_whole_or_some_of_their_words():
    text = "one two three four five six seven eight nine ten"
    found = [crops.cropped(text, Random(i)) for i in range(300)]
    assert text in found
    assert all(part.lower() in text for part in found)
    assert {1, 4, 8} <= {len(part.split()) for part in found} <= {*range(1, 9), 10}
    assert any(part.isupper() for part in found)


def test_a_text_without_spaces_is_cut_by_characters():
    text = "彼女は鍵がどこにあるか知りません"
    found = {crops.cropped(text, Random(i)) for i in range(100)}
    assert all(part in text for part in found)
    assert 3 in {len(part) for part in found}


def test_serbian_has_two_classes_and_other_languages_one():
    assert (kind_of("sr", "кључ"), kind_of("srp", "ključ"), kind_of("nb", "nøkkel")) == ("sr", "sr-Latn", "no")
    assert (written("sr"), written("sr-Latn"), written("ja")) == ({"Cyrl"}, {"Latn"}, {"Hani", "Hira", "Kana"})
    with pytest.raises(BadInput, match="'xx' is not known"):
        kind_of("xx", "a")
