"""`from_sentencepiece` against SentencePiece itself."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Pieces

from xlmr.errors import BadCheckpoint
from xlmr.tokenizer import from_sentencepiece
from xlmr.tokenizer.sentencepiece import read

LINES = [
    "the children read a book",
    "утром дети идут в школу, а вечером читают книгу",
    "Das Mädchen — 42 Bücher…",
    " spaces   everywhere  ",
    "ＡＢＣ １２３",
    "☃ odd ☃☃",
]


def test_every_piece_and_score_is_sentencepieces(model, processor):
    pieces = read(model).pieces
    assert [piece for piece, _ in pieces[:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert [piece for piece, _ in pieces[4:-1]] == [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    assert [score for _, score in pieces[4:-1]] == [processor.get_score(i) for i in range(3, processor.get_piece_size())]
    assert pieces[-1][0] == "<mask>"


@pytest.mark.parametrize("line", LINES)
def test_the_file_alone_gives_sentencepieces_ids(model, true_ids, line):
    assert Pieces.from_str(from_sentencepiece(model)).encode(line).ids == true_ids(line)


def test_transformers_loads_what_is_written(model, true_ids, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(from_sentencepiece(model), encoding="utf-8")
    theirs = transformers.XLMRobertaTokenizer.from_pretrained(tmp_path)
    for line in LINES:
        assert theirs(line)["input_ids"] == true_ids(line)
    assert theirs.mask_token_id == len(theirs) - 1 == len(read(model).pieces) - 1
    a, b = true_ids("the"), true_ids("book")
    assert theirs("the", "book")["input_ids"] == [*a, 2, *b[1:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "bpe"}, "model_type is 2"),
        ({"byte_fallback": True, "vocab_size": 500}, "is of type 6"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix is 1"),
        ({"add_dummy_prefix": False}, "add_dummy_prefix is 0"),
        ({"user_defined_symbols": "<mask>"}, "is of type 4"),
        ({"unk_id": 2, "bos_id": 0, "eos_id": 1}, "its first pieces are"),
    ],
)
def test_a_model_of_another_layout_is_refused(train_model, options, message):
    with pytest.raises(BadCheckpoint, match=message):
        from_sentencepiece(train_model(**options))


def test_more_pieces_than_any_vocabulary_has_are_not_read(model, monkeypatch):
    monkeypatch.setattr("xlmr.tokenizer.sentencepiece.MOST_PIECES", 100)
    with pytest.raises(BadCheckpoint, match="has more than 100 pieces"):
        read(model)


@given(st.data())
def test_a_cut_file_is_refused_or_read_never_a_crash(model, data):
    cut = data.draw(st.integers(0, len(model) - 1))
    with contextlib.suppress(BadCheckpoint):
        json.loads(from_sentencepiece(model[:cut]))


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(BadCheckpoint):
        from_sentencepiece(noise)


def test_a_text_file_is_refused_with_its_reason():
    with pytest.raises(BadCheckpoint, match=r"is it a \.model file"):
        from_sentencepiece(b"version https://git-lfs.github.com/spec/v1")
