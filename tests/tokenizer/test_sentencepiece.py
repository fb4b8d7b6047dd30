"""`from_sentencepiece` against SentencePiece itself and its own protobuf classes."""

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from xlmr.errors import BadCheckpoint
from xlmr.tokenizer import from_sentencepiece
from xlmr.tokenizer.sentencepiece import read

sentencepiece = pytest.importorskip("sentencepiece", reason="SentencePiece comes with the extra `train`")

TEXT = """the children walk to school in the morning and read a book in the evening
le matin les enfants vont à l'école et le soir ils lisent un livre
am Morgen gehen die Kinder zur Schule und am Abend lesen sie ein Buch
утром дети идут в школу, а вечером читают книгу
早上孩子们去学校，晚上读书
बच्चे सुबह स्कूल जाते हैं और शाम को किताब पढ़ते हैं
"""


def train(**options) -> bytes:
    model = io.BytesIO()
    lines = [line for line in TEXT.splitlines() for _ in range(3)]
    wanted = {"vocab_size": 110, "hard_vocab_limit": False, "pad_id": -1, "normalization_rule_name": "nmt_nfkc"} | options
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **wanted)
    return model.getvalue()


@pytest.fixture(scope="module")
def model() -> bytes:
    return train()


@pytest.fixture(scope="module")
def theirs(model):
    return sentencepiece.SentencePieceProcessor(model_proto=model)


@pytest.fixture(scope="module")
def ours(model) -> Tokenizer:
    return Tokenizer.from_str(from_sentencepiece(model))


def ids_of(theirs, text: str) -> list[int]:
    """SentencePiece's ids in XLM-R's numbering: one further, and unknown is 3."""
    return [3 if i == theirs.unk_id() else i + 1 for i in theirs.encode(text)]


def test_every_piece_and_score_is_sentencepieces(model, theirs):
    vocabulary = read(model)
    assert [piece for piece, _ in vocabulary.pieces[:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert [piece for piece, _ in vocabulary.pieces[4:-1]] == [theirs.id_to_piece(i) for i in range(3, theirs.get_piece_size())]
    assert [score for _, score in vocabulary.pieces[4:-1]] == [theirs.get_score(i) for i in range(3, theirs.get_piece_size())]
    assert vocabulary.pieces[-1][0] == "<mask>"


@pytest.mark.parametrize(
    "line", [*TEXT.splitlines(), "Das Mädchen — 42 Bücher…", " spaces   everywhere  ", "ＡＢＣ １２３", "☃ odd ☃☃"]
)
def test_the_file_gives_sentencepieces_ids(ours, theirs, line):
    assert ours.encode(line).ids == [0, *ids_of(theirs, line), 2]


def test_transformers_loads_what_is_written(model, ours, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(from_sentencepiece(model), encoding="utf-8")
    theirs = transformers.XLMRobertaTokenizer.from_pretrained(tmp_path)
    line = "les enfants <mask> un livre"
    assert theirs(line)["input_ids"] == ours.encode(line).ids
    assert theirs.mask_token_id == len(theirs) - 1
    assert theirs("a", "b")["input_ids"] == ours.encode("a", "b").ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "bpe"}, "model_type is 2"),
        ({"byte_fallback": True, "vocab_size": 400}, "is of type 6"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix is 1"),
        ({"add_dummy_prefix": False}, "add_dummy_prefix is 0"),
        ({"user_defined_symbols": "<mask>"}, "is of type 4"),
        ({"unk_id": 2, "bos_id": 0, "eos_id": 1}, "its first pieces are"),
    ],
)
def test_a_model_of_another_layout_is_refused(options, message):
    with pytest.raises(BadCheckpoint, match=message):
        from_sentencepiece(train(**options))


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
    with pytest.raises(BadCheckpoint, match=r"SentencePiece model"):
        from_sentencepiece(b"version https://git-lfs.github.com/spec/v1")
