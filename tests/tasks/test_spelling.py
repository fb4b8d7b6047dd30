import pytest

from xlmr.tasks.spelling import apart, begins_word, goes_on, needs_space


@pytest.mark.parametrize(
    ("before", "needed"),
    [
        ("", False),
        ("a", True),
        ("a ", False),
        ("7", True),
        (",", True),
        ("»", True),
        ("؟", True),
        ("।", True),
        ("«", False),
        ("l'", False),
        ("水", False),
        ("น", False),
    ],
)
def test_a_word_needs_a_space_where_it_would_meet_another(before, needed):
    assert needs_space(before) == needed


@pytest.mark.parametrize(
    ("before", "after", "one"),
    [("a", "b", True), ("a", " b", False), ("a", ",", False), ("(", "a", False), ("水", "书", False), ("a", "水", False), ("", "a", False),
     ("ि", "न", True), ("a", "", False)],
)  # fmt: skip
def test_a_word_goes_on_in_letters_of_scripts_with_spaces(before, after, one):
    assert goes_on(before, after) == one


@pytest.mark.parametrize(("char", "can"), [("a", True), ("7", True), ("ส", True), ("้", False), ("ि", False), ("'", False), ("☃", False)])
def test_a_word_begins_with_a_letter_or_a_digit(char, can):
    assert begins_word(char) == can


@pytest.mark.parametrize(
    ("before", "after", "space"),
    [
        ("the", "cat", True), ("cat", ".", False), (".", "The", True), ("cat", "...", False), ("cat", ".NET", True), ("(", "cat", False),
        ("cat", ")", False), (")", "cat", True), ("¿", "Dónde", False), ("l'", "eau", False), ("qu’", "il", False), ("it", "'s", False),
        ("do", "n't", False), ("'", "cat", True), ("水", "书", False), ("水", "cat", True), ("cat", "水", True), ("แมว", "น้ำ", False),
        ("水", "。", False), ("cat", "、", False), ("है", "।", False), ("고양이", "물", True), ("–", "cat", True), ("10 000", "%", False),
        ("مدينة", "؟", False), ("「", "cat", False), ("家", "」", False),
    ],
)  # fmt: skip
def test_a_space_is_written_between_two_words_where_a_writer_would(before, after, space):
    assert apart(before, after) == space
