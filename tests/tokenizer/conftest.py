"""A small SentencePiece model, trained here, and what SentencePiece itself makes of a text: the oracle."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pytest
import sentencepiece

from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.sentencepiece import read

TEXT = """the children walk to school in the morning and read a book in the evening
le matin les enfants vont à l'école et le soir ils lisent un livre
am Morgen gehen die Kinder zur Schule und am Abend lesen sie ein Buch
buổi sáng các em đi học và buổi tối các em đọc sách
утром дети идут в школу, а вечером читают книгу
早上孩子们去学校，晚上读书
아침에 아이들은 학교에 가고 저녁에 책을 읽는다
ガラスの本をよむ
बच्चे सुबह स्कूल जाते हैं और शाम को किताब पढ़ते हैं
"""


@pytest.fixture(scope="session")
def train_model() -> Callable[..., bytes]:
    """`train_model(more, **options)`: the bytes of a SentencePiece model of the text above, and of more lines."""

    def train(more: Sequence[str] = (), **options: object) -> bytes:
        model = io.BytesIO()
        lines = [*(line for line in TEXT.splitlines() for _ in range(3)), *more]
        wanted = {"vocab_size": 190, "hard_vocab_limit": False, "pad_id": -1, "normalization_rule_name": "nmt_nfkc"} | options
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **wanted)
        return model.getvalue()

    return train


@pytest.fixture(scope="session")
def model(train_model: Callable[..., bytes]) -> bytes:
    return train_model()


@pytest.fixture(scope="session")
def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=model)


@pytest.fixture(scope="session")
def true_ids(processor: sentencepiece.SentencePieceProcessor) -> Callable[[str], list[int]]:
    """SentencePiece's ids in XLM-R's numbering: one further, unknown is 3, `<s>` before and `</s>` after."""
    return lambda text: [0, *(3 if i == processor.unk_id() else i + 1 for i in processor.encode(text)), 2]


@pytest.fixture(scope="session")
def tokenizer(model: bytes) -> Tokenizer:
    return Tokenizer(read(model))
