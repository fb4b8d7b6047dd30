import json
import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import encoder as encoders
from xlmr import tokenizer as tokenizers
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput, MissingExtra

WORDS = ["cat", "chien", "Stadt", "вода", "γάτα", "水", "집", "☃", ",", "<mask>"]


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


@dataclass
class Echo:
    """A runtime whose state for a token is its id, and that remembers what it was asked."""

    asked: list[np.ndarray] = field(default_factory=list)

    def hidden_states(self, ids, layers=(-1,)):
        self.asked.append(ids)
        return [np.repeat(ids[:, :, None], 2, axis=2).astype(np.float32) + 1000 * layer for layer in layers]

    def mlm_logits(self, ids, picks):
        self.asked.append(ids)
        return np.eye(500, dtype=np.float32)[ids[picks[:, 0], picks[:, 1]]]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=10).map(" ".join), max_size=8))
def test_every_text_gets_the_states_of_its_own_tokens(tiny, encoder, texts):
    echo = Encoder(encoder.config, encoder.tokenizer, Echo())
    for text, (low, high) in zip(texts, encoders.hidden_states(echo, texts, (0, 2)), strict=True):
        ids = np.array(encoder.tokenizer.encode(text).ids)
        assert low.tolist() == np.stack([ids, ids], 1).tolist()
        assert (high == low + 2000).all()


def test_states_do_not_depend_on_the_neighbours(encoder):
    texts = ["the cat drinks water", "水", "", "der Hund schläft in der Stadt und die Katze trinkt", "book"]
    together = list(encoders.hidden_states(encoder, texts, (0, 1, -1)))
    alone = [next(encoders.hidden_states(encoder, [text], (0, 1, -1))) for text in texts]
    for one, other in zip(together, alone, strict=True):
        for states, wanted in zip(one, other, strict=True):
            assert states.dtype == np.float32
            np.testing.assert_allclose(states, wanted, atol=1e-5)


def test_logits_are_those_of_the_picked_tokens(encoder):
    echo = Encoder(encoder.config, encoder.tokenizer, Echo())
    assert encoders.mlm_logits(echo, [[0, 7, 8, 2], [0, 9, 2]], [(0, 2), (1, 1), (0, 1)]).argmax(-1).tolist() == [8, 9, 7]
    assert echo.runtime.asked[0].tolist() == [[0, 7, 8, 2], [0, 9, 2, 1]]


def test_texts_are_not_read_further_than_a_window(encoder):
    read = []
    texts = (read.append(i) or "cat" for i in range(10_000))
    next(encoders.hidden_states(encoder, texts))
    assert len(read) <= 600


@pytest.mark.parametrize("length", [1, 2, 62, 63, 64, 65, 66, 200])
def test_a_text_may_have_as_many_tokens_as_the_model_takes(encoder, length):
    text = "x" * length  # one token each, and `▁`
    if length + 3 <= encoder.config.longest:
        assert len(encoders.encode(encoder, text).ids) == length + 3
    else:
        with pytest.raises(BadInput, match=r"more than 64 tokens .*split it"):
            encoders.encode(encoder, text)


def test_a_megabyte_is_refused_before_it_is_read(encoder, monkeypatch):
    monkeypatch.setattr(tokenizers.Tokenizer, "encode", None)
    monkeypatch.setattr(tokenizers, "check", None)
    with pytest.raises(BadInput, match="the text has 1,000,000 characters, and at most 100,000 are taken"):
        encoders.encode(encoder, "a" * 1_000_000)


@pytest.mark.parametrize(("text", "message"), [("a\ud800", "half of a surrogate pair"), (7, "found a int"), (None, "found a NoneType")])
def test_what_is_no_text_is_refused(encoder, text, message):
    with pytest.raises(BadInput, match=message):
        encoders.encode(encoder, text)


@pytest.mark.parametrize(("key", "ours", "theirs"), [("pad_token_id", 3, 1), ("bos_token_id", 5, 0), ("eos_token_id", 5, 2)])
def test_a_config_of_another_vocabulary_is_refused(tiny, tmp_path, key, ours, theirs):
    folder = shutil.copytree(tiny, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: ours}))
    with pytest.raises(BadCheckpoint, match=f"{key} is {ours} in config.json and {theirs} in tokenizer.json"):
        encoders.load(folder)


def test_a_vocabulary_of_another_size_is_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    del content["model"]["vocab"][100]
    content["added_tokens"] = content["added_tokens"][:4]
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadCheckpoint, match=r"vocab_size is 500 in config\.json and 499 in tokenizer\.json"):
        encoders.load(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "abacus"}, "runtime 'abacus' is not known; wanted one of onnx, torch"),
        *(
            ({"threads": threads}, f"threads is {threads!r}, wanted a whole number from 1 to 1,024")
            for threads in (0, 1025, "2", 2.5, True)
        ),
    ],
)
def test_wrong_options_are_refused(tiny, options, message):
    with pytest.raises(BadInput, match=message):
        encoders.load(tiny, **options)


def test_both_runtimes_give_the_same_states(tiny, encoder):
    try:
        other = encoders.load(tiny, runtime="torch", threads=1)
    except (MissingExtra, ModuleNotFoundError):
        pytest.skip("torch is not installed")
    texts = ["the cat drinks water", "水", "der Hund <mask>"]
    for ours, theirs in zip(encoders.hidden_states(encoder, texts), encoders.hidden_states(other, texts), strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-4)
