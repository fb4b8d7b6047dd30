import gc
import weakref

import numpy as np
import pytest

from xlmr import tokenizer
from xlmr.tasks import lexicon
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.vocabulary import Vocabulary


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


@pytest.mark.parametrize("word", ["x", "水x", "cat", "книга", "big cat", "es", "reads", "n'est"])
def test_right_after_something_a_word_has_the_pieces_that_the_tokenizer_gives_it_there(pieces, word):
    after_a_sign = pieces.encode(f"({word}").ids
    assert [pieces.piece(i) for i in after_a_sign[1:3]] == ["▁", "("]
    assert lexicon.of(pieces).joined(tuple(pieces.encode(word).ids[1:-1])) == tuple(after_a_sign[3:-1])


def test_a_word_that_the_vocabulary_can_only_spell_with_its_space_keeps_it():
    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁ж", "a", "<mask>"]
    found = lexicon.Lexicon(Vocabulary([(name, -1.0) for name in names]), frozenset({0, 1, 2, 3, 7}))
    assert found.joined((5,)) == (5,)
    assert found.joined((5, 6)) == (5, 6)
    assert found.joined((4,)) == (4,)


def test_a_lexicon_is_made_once_and_goes_with_its_tokenizer(tiny):
    one = tokenizer.open(tiny)
    assert lexicon.of(one) is lexicon.of(one)
    held = weakref.ref(lexicon.of(one))
    del one
    gc.collect()
    assert held() is None
