"""Texts that keep their pieces are cut as before, whatever else goes; SentencePiece agrees."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from xlmr.errors import BadInput
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.trimming import characters, essential, renumbered, trim
from xlmr.tokenizer.vocabulary import FIRST, MASK, Vocabulary, dump, parse

PARTS = [
    " ",
    "  ",
    "the",
    " book",
    "livre",
    " école",
    " книгу",
    "早上",
    "孩子们",
    "，",
    " हैं",
    " 책을",
    "☃",
    "x",
    "!!!!!!!",
    "ea",
    "<mask>",
    "</s>",
]
written = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)
texts = st.one_of(written, st.text(max_size=30))


def made(*pieces: tuple[str, float]) -> Vocabulary:
    return Vocabulary([*((name, 0.0) for name in FIRST), *pieces, (MASK, 0.0)])


@given(texts, st.data())
@example("the book " * 2_000, None)  # so long that it is cut with SentencePiece's own arithmetic
@example("!" * 31, None)
@example("\x00☃\x00", None)
def test_a_text_that_keeps_its_pieces_is_cut_as_before(tokenizer, text, data):
    old = tokenizer.encode(text)
    others = set() if data is None else data.draw(st.sets(st.integers(0, tokenizer.size - 1)))
    vocabulary, ids = trim(tokenizer.vocabulary, essential(tokenizer.vocabulary) | set(old.ids) | others)
    new = Tokenizer(vocabulary).encode(text)
    assert [int(ids[i]) for i in new.ids] == old.ids
    assert new.offsets == old.offsets


@given(texts.filter(lambda text: MASK not in text), st.sets(st.integers(0, 150)))
def test_what_is_cut_otherwise_is_as_sentencepiece_cuts_it_with_fewer_pieces(model, tokenizer, text, others):
    protos = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    kept = essential(tokenizer.vocabulary) | others
    proto = protos.ModelProto.FromString(model)
    left = [piece for i, piece in enumerate(proto.pieces) if i < 3 or i + 1 in kept]
    del proto.pieces[:]
    proto.pieces.extend(left)
    theirs = SentencePieceProcessor(model_proto=proto.SerializeToString())
    vocabulary, _ = trim(tokenizer.vocabulary, kept)
    assert Tokenizer(vocabulary).encode(text).ids[1:-1] == [3 if i == 0 else i + 1 for i in theirs.encode(text)]


@given(st.sets(st.integers(4, 150)))
def test_ids_are_those_of_xlm_r_and_the_others_keep_their_order(tokenizer, others):
    vocabulary, ids = trim(tokenizer.vocabulary, essential(tokenizer.vocabulary) | others)
    names = [piece for piece, _ in vocabulary.pieces]
    assert (tuple(names[:4]), names[-1]) == (FIRST, MASK)
    assert ids.tolist() == sorted(ids.tolist())
    assert [tokenizer.piece(i) for i in ids] == names
    assert renumbered(ids, tokenizer.size)[ids].tolist() == [*range(len(ids))]
    assert (renumbered(ids, tokenizer.size) >= 0).sum() == len(ids)
    assert parse(dump(vocabulary)) == vocabulary


def test_a_mask_among_the_pieces_comes_last():
    whole = Vocabulary([*((name, 0.0) for name in FIRST), (MASK, 0.0), ("▁a", -1.0), ("b", -2.0), ("c", -3.0)])
    vocabulary, ids = trim(whole, {0, 1, 2, 3, 4, 5, 7})
    assert [piece for piece, _ in vocabulary.pieces][4:] == ["▁a", "c", MASK]
    assert ids.tolist() == [0, 1, 2, 3, 5, 7, 4]
    assert [int(ids[i]) for i in Tokenizer(vocabulary).encode("a<mask>").ids] == Tokenizer(whole).encode("a<mask>").ids


@pytest.mark.parametrize("lost", range(6))
def test_neither_a_special_piece_nor_that_before_each_word_can_go(lost):
    whole = made(("▁", -1.0), ("a", -2.0))
    special = [0, 1, 2, 3, 4, 6]
    with pytest.raises(BadInput, match=f"the piece '{whole.pieces[special[lost]][0]}' cannot be left out: every text"):
        trim(whole, set(range(7)) - {special[lost]})


def test_without_the_worst_piece_other_text_would_be_cut_otherwise():
    """`cd`, `e` score 38 less than nothing; the unknown and `de` 51, and 30 where the worst piece is gone."""
    worst, rest = ("W", -40.0), [("▁", -1.0), ("cd", -19.0), ("e", -18.0), ("de", -1.0)]
    whole, without = Tokenizer(made(*rest, worst)), Tokenizer(made(*rest))
    assert whole.encode("cde").ids[1:-1] == [4, 5, 6]
    assert without.encode("cde").ids[1:-1] == [4, 3, 7]
    with pytest.raises(BadInput, match="'W' cannot be left out: how other text is cut"):
        trim(whole.vocabulary, set(range(10)) - {8})


def test_one_of_the_pieces_that_are_too_long_to_look_for_stays():
    whole = made(("▁", -1.0), ("a", -2.0), ("x" * 65, -3.0), ("y" * 70, -4.0), ("b", -5.0))
    assert essential(whole) == {0, 1, 2, 3, 4, 6, 8, 9}


def test_an_id_beyond_the_vocabulary_is_refused():
    with pytest.raises(BadInput, match="the piece 99 is wanted, and there are 7"):
        trim(made(("▁", -1.0), ("a", -2.0)), {*range(7), 99})


def test_pieces_of_one_character_are_found_with_their_space_and_without():
    whole = made(("▁", -1.0), ("a", -2.0), ("▁b", -2.0), ("▁cd", -2.0), ("早", -3.0))
    assert characters(whole) == {4: "", 5: "a", 6: "b", 8: "早"}
