import gc
import weakref

import numpy as np
import pytest

from xlmr import tokenizer
from xlmr.tasks import lexicon
from xlmr.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def pieces(tiny) -> Tokenizer:
    return tokenizer.open(tiny)


def written(pieces: Tokenizer, ids: np.ndarray) -> set[str]:
    return {pieces.piece(i) for i in ids.tolist()}


def test_every_piece_but_the_special_ones_has_a_role_or_is_no_part_of_a_word(pieces):
    roles = lexicon.of(pieces).roles()
    assert set(range(500)) - set(roles.every.tolist()) == {0, 1, 2, 3, 499}
    assert written(pieces, roles.lone) == {"▁"}
    assert {"▁cat", "▁книга"} <= written(pieces, roles.spaced)
    assert {"es", "x"} <= written(pieces, roles.joined)
    assert written(pieces, roles.unspaced) >= {"水", "本"}
    assert "'" in written(pieces, roles.inside) - written(pieces, roles.joined) - written(pieces, roles.closing)
    for name in ("spaced", "joined", "unspaced", "inside"):
        ids = getattr(roles, name)
        assert np.array_equal(ids, np.unique(ids))
        assert not written(pieces, ids) & {",", ".", "。", "▁"}


def test_right_after_something_a_word_has_no_space_before_it_where_the_vocabulary_can(pieces):
    found = lexicon.of(pieces)
    ids = {pieces.piece(i): i for i in range(500)}
    assert found.joined((ids["▁"], ids["x"])) == (ids["x"],)
    assert found.joined((ids["▁水"], ids["x"])) == (ids["水"], ids["x"])
    assert found.joined((ids["▁cat"],)) == (ids["▁cat"],)


def test_a_lexicon_is_made_once_and_goes_with_its_tokenizer(tiny):
    one = tokenizer.open(tiny)
    assert lexicon.of(one) is lexicon.of(one)
    held = weakref.ref(lexicon.of(one))
    del one
    gc.collect()
    assert held() is None
