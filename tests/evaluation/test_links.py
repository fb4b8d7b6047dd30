import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.evaluation.links import Example, Tally, diagonal, examples, known, measure, single_words


def test_known_are_translations_and_words_alike_that_stand_once_each():
    source, target = "on monday 5 cats saw 5 dogs , berlin".split(), "montag : katzen sahen in berlin , 5 hunde".split()
    found = known(source, target, {"monday": "montag", "cats": "katzen", "dogs": "hunde", "on": "in"})
    assert found == {"translated": {(1, 0), (3, 2), (6, 8), (0, 4)}, "alike": {(8, 5)}}


def test_sentences_of_which_nothing_is_known_are_left_out():
    found = examples([("Berlin is old.", "Berlin ist alt."), ("A cat.", "Eine Katze.")], {})
    assert [(example.source, example.known["alike"]) for example in found] == [("Berlin is old.", {(0, 0)})]


def test_a_lexicon_has_single_words_with_one_translation():
    english = {"a": "Monday", "b": "South Africa", "c": "Light", "d": "Light", "e": "Sun"}
    german = {"a": "Montag", "b": "Südafrika", "c": "Licht", "d": "leicht"}
    assert single_words(english, german) == {"monday": "montag"}


def test_a_link_is_found_wrong_or_left_open():
    tally = Tally()
    tally.add(frozenset({(0, 0), (1, 1), (2, 2)}), np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool))
    assert (tally.known, tally.found, tally.wrong) == (3, 1, 1)
    assert (tally.recall, tally.precision) == pytest.approx((1 / 3, 1 / 2))


def test_a_sentence_beside_itself_is_aligned_without_fault_and_by_the_guess_too(tiny):
    encoder = encoders.load(tiny, threads=1)
    links = {"translated": frozenset({(0, 0)}), "alike": frozenset({(1, 1), (3, 3)})}
    found = [Example("the cat drinks water", "the cat drinks water", links)]
    for tally in [*measure(encoder, found, [0, 2]).values(), *diagonal(found).values()]:
        assert (tally.recall, tally.precision) == (1, 1)
