import numpy as np
import pytest

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.heads.pairing import METHODS
from xlmr.tasks.alignment import align, best_layer
from xlmr.tasks.embeddings import embed

SOURCE, TARGET = "the cat drinks water, isn't it?", "кошка пьёт 水"


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


@pytest.mark.parametrize("layer", [None, 0, 1, -1])
def test_a_text_is_aligned_with_itself_word_by_word(encoder, layer):
    found = align(encoder, SOURCE, SOURCE, layer=layer)
    assert [(pair.source, pair.target) for pair in found.pairs] == [(i, i) for i in range(len(found.words[0]))]
    assert [pair.score for pair in found.pairs] == pytest.approx([1] * len(found.pairs), abs=1e-5)
    assert [place.text for place in found.words[1]] == ["the", "cat", "drinks", "water", ",", "isn't", "it", "?"]


@pytest.mark.parametrize("method", METHODS)
def test_pairs_are_made_of_the_cosines_of_word_vectors(encoder, method):
    found = align(encoder, SOURCE, TARGET, layer=2, method=method)
    ours, theirs = (embed(encoder, text, level="word").vectors for text in (SOURCE, TARGET))
    cosines = (ours / np.linalg.norm(ours, axis=1)[:, None]) @ (theirs / np.linalg.norm(theirs, axis=1)[:, None]).T
    assert [(pair.source, pair.target) for pair in found.pairs] == [tuple(pair) for pair in np.argwhere(METHODS[method](cosines)).tolist()]
    assert [pair.score for pair in found.pairs] == pytest.approx([cosines[pair.source, pair.target] for pair in found.pairs], abs=1e-5)


def test_a_text_without_words_has_no_pairs(encoder):
    found = align(encoder, "", TARGET)
    assert (found.pairs, found.words[0]) == ((), ())
    assert len(found.words[1]) == 3


def test_the_layer_is_two_thirds_up_but_in_small_models():
    assert [best_layer(layers) for layers in (1, 4, 6, 12, 24)] == [0, 0, 4, 8, 16]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "argmax"}, "method is 'argmax', wanted one of mutual, itermax"),
        ({"layer": 5}, "layer 5 was asked for; wanted 0"),
        ({"target": "x" * 100_001}, "text 2: the text has 100,001 characters"),
        ({"source": 7}, "text 1: found a int, wanted a text"),
    ],
)
def test_what_cannot_be_aligned_says_why(encoder, options, message):
    with pytest.raises(BadInput, match=message):
        align(encoder, **{"source": SOURCE, "target": TARGET} | options)
