"""The order of pieces by their characters: words of a language come before those of others, and a language nobody knows is refused."""

from __future__ import annotations

import numpy as np
import pytest

from xlmr.compression import affinity
from xlmr.errors import BadInput

GERMAN = ["▁Schlüssel", "▁zwischen", "ungen", "▁möchte", "▁Straße", "lichkeit"]
FRENCH = ["▁aujourd", "▁bientôt", "eraient", "▁français", "▁voyage", "issement"]
OTHERS = ["▁không", "▁szczę", "kşam", "▁yağmur", "▁kuća", "▁ħafna"]
SCORE = -11.0


def ordered(names: tuple[str, ...], pieces: list[str]) -> np.ndarray:
    return affinity.order([(piece, SCORE) for piece in pieces], names)


@pytest.mark.parametrize(("name", "own", "others"), [("de", GERMAN, FRENCH), ("French", FRENCH, GERMAN)])
def test_pieces_of_a_language_come_before_those_of_others(name: str, own: list[str], others: list[str]) -> None:
    found = ordered((name,), [*own, *others, *OTHERS])
    assert np.median(found[: len(own)]) > np.median(found[len(own) :])
    assert len({*np.argsort(-found)[: len(own)].tolist()} & {*range(len(own))}) >= len(own) - 1


def test_a_piece_is_as_likely_as_in_the_language_where_it_is_likeliest() -> None:
    both, german, french = (ordered(names, [*GERMAN, *FRENCH, *OTHERS]) for names in (("de", "fr"), ("de",), ("fr",)))
    assert (both >= np.maximum(german, french) - 1e-4).all()


def test_a_common_piece_comes_before_a_rare_one() -> None:
    common, rare = affinity.order([("▁zwischen", -9.0), ("▁zwischen", -14.0)], ["de"])
    assert common - rare == pytest.approx(affinity.COMMON * 5, abs=1e-4)


def test_pieces_do_not_depend_on_those_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    together = ordered(("de",), [*GERMAN, "▁", "12", *FRENCH])
    monkeypatch.setattr(affinity, "BLOCK", 3)
    np.testing.assert_allclose(ordered(("de",), [*GERMAN, "▁", "12", *FRENCH]), together, atol=1e-5)


def test_digits_and_signs_are_of_every_language() -> None:
    np.testing.assert_allclose(ordered(("sw",), ["▁", "12", "!!"]), affinity.COMMON * SCORE + affinity.USUAL, rtol=1e-6)


def test_there_may_be_no_piece_to_order() -> None:
    assert affinity.order([], ["de"]).shape == (0,)


def test_a_language_in_a_writing_that_nothing_here_knows_is_refused() -> None:
    with pytest.raises(BadInput, match="which pieces are likely in hi_rom nothing here knows; name a corpus"):
        ordered(("hi_rom",), GERMAN)
