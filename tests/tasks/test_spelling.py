import pytest

from xlmr.tasks.spelling import begins_word, goes_on, needs_space


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
