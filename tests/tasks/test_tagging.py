from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuners import NAMES, TAGGER, TOPICS

import xlmr
from xlmr.errors import BadInput
from xlmr.heads import crf, iob
from xlmr.heads.crf import Crf
from xlmr.tasks import contexts, segmentation, taggers
from xlmr.tasks.tagging import encode_words, tag_each

TEXTS = ["the cat drinks water.", "Das Haus, ist es groß?", "кошка пьёт", "", "我的家 水 书", "แมวน้ำ", "chat-chien’s \u200d !"]
WORDS = ["the", "catdog", "in", "Haus", ",", "水", "книга", "Sea"]
with_a_model = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def field(labels: int, seed: int = 0, scale: float = 2.0) -> Crf:
    dice = np.random.default_rng(seed)
    return Crf(*(scale * dice.standard_normal(shape, np.float32) for shape in ((labels, labels), labels, labels)))


@pytest.fixture(scope="module")
def model(tuned: Callable[..., Path]) -> xlmr.Model:
    """Tags with IOB2, and no field."""
    return xlmr.load(tuned(TAGGER, NAMES), threads=1)


@pytest.fixture(scope="module")
def linked(tuned: Callable[..., Path]) -> xlmr.Model:
    """Tags with IOB2 and a field, of the mean of a word's pieces."""
    return xlmr.load(tuned(TAGGER, NAMES, attachments={"tagging": taggers.pack("mean", field(len(NAMES)))}), threads=1)


def theirs(folder: Path, ids: list[int]) -> np.ndarray:
    """The logits of transformers, `[tokens, labels]`."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    of = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found: np.ndarray = of(torch.tensor([ids])).logits[0].numpy()
    return found


def test_tags_are_those_that_transformers_gives_the_first_piece(tuned: Callable[..., Path]) -> None:
    folder = tuned(TAGGER, TOPICS)
    model = xlmr.load(folder, threads=1)
    encoding, words = encode_words(model.tokenizer, WORDS)
    logits = theirs(folder, encoding.ids)[[1 + word.pieces[0] for word in words]]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    (found,) = model.tag_words([WORDS])
    assert [place.text for place in found.words] == WORDS
    assert found.tags == tuple(TOPICS[i] for i in shares.argmax(-1))
    np.testing.assert_allclose(found.scores, shares.max(-1), atol=2e-5)
    assert found.entities == ()
    assert max(len(word.pieces) for word in words) > 1


def test_tags_are_the_likeliest_sequence_of_the_mean_of_pieces_and_the_field(linked: xlmr.Model, tuned: Callable[..., Path]) -> None:
    attached = field(len(NAMES))
    encoding, words = encode_words(linked.tokenizer, WORDS[:4])
    logits = theirs(tuned(TAGGER, NAMES), encoding.ids)[1:-1]
    emissions = np.stack([np.mean(logits[word.pieces], axis=0) for word in words])  # the head is linear: of means it makes means
    allowed = [path for path in product(range(len(NAMES)), repeat=4) if iob.broken([NAMES[i] for i in path]) is None]
    weights = np.array([crf.score(attached, emissions, np.array(path)) for path in allowed])
    shares = np.exp(weights - weights.max()) / np.exp(weights - weights.max()).sum()
    best = allowed[int(weights.argmax())]
    (found,) = linked.tag_words([WORDS[:4]])
    assert found.tags == tuple(NAMES[i] for i in best)
    wanted = [sum(share for share, path in zip(shares, allowed, strict=True) if path[at] == best[at]) for at in range(4)]
    np.testing.assert_allclose(found.scores, wanted, atol=1e-4)


def test_a_head_that_transformers_saved_tags_here(tiny: Path, tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    torch.manual_seed(2)
    of = transformers.AutoModelForTokenClassification.from_pretrained(tiny, num_labels=3)
    torch.nn.init.normal_(of.classifier.weight)
    of.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    model = xlmr.load(tmp_path, threads=1)
    encoding, words = encode_words(model.tokenizer, WORDS)
    logits = theirs(tmp_path, encoding.ids)[[1 + word.pieces[0] for word in words]]
    (found,) = model.tag_words([WORDS])
    assert found.tags == tuple(f"LABEL_{i}" for i in logits.argmax(-1))
    assert len({*found.tags}) > 1


@with_a_model
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(TEXTS))
def test_every_word_has_a_tag_no_tag_breaks_iob2_and_entities_are_slices(model: xlmr.Model, linked: xlmr.Model, text: str) -> None:
    for of in (model, linked):
        found = of.tag(text)
        assert [(word.start, word.end) for word in found.words] == segmentation.words(text)
        assert len(found.tags) == len(found.scores) == len(found.words)
        assert iob.broken(found.tags) is None
        assert all(0 <= score <= 1.000001 for score in found.scores)
        assert len(found.entities) == sum(tag.startswith("B-") for tag in found.tags)
        assert all(text[entity.start : entity.end] == entity.text for entity in found.entities)


def test_an_entity_has_the_label_the_place_and_the_mean_score_of_its_words(linked: xlmr.Model) -> None:
    entities = [(of, found) for found in linked.tag(TEXTS) for of in found.entities]
    assert len(entities) > 3
    for entity, found in entities:
        held = [i for i, word in enumerate(found.words) if entity.start <= word.start and word.end <= entity.end]
        assert [found.tags[i] for i in held] == [f"B-{entity.label}", *[f"I-{entity.label}"] * (len(held) - 1)]
        assert entity.score == pytest.approx(np.mean([found.scores[i] for i in held]))


def test_an_answer_does_not_depend_on_its_neighbours(model: xlmr.Model) -> None:
    for text, found in zip(TEXTS, model.tag([*TEXTS, "the cat " * 200]), strict=False):
        alone = model.tag(text)
        assert alone.tags == found.tags
        np.testing.assert_allclose(alone.scores, found.scores, atol=1e-5)


def test_words_of_a_text_and_given_words_go_one_way(model: xlmr.Model) -> None:
    for text in ("the cat drinks water.", "das Haus (groß)", "我的家", ""):
        words = [text[slice(*place)] for place in segmentation.words(text)]
        assert segmentation.joined(words)[0] == text
        assert model.tag_words([words]) == [model.tag(text)]


def test_a_long_text_is_read_in_windows(model: xlmr.Model) -> None:
    words = "the cat sleeps in the house".split() * 60  # each is one piece
    (found,) = model.tag_words([words])
    first, *_, last = contexts.windows(len(words), model.config.longest - 2)
    (begin, end) = model.tag_words([words[: first.end], words[last.begin :]])
    assert len(found.tags) == len(words)
    near = 10  # of a sequence that goes on, the likeliest tags may be others at its end
    assert found.tags[: first.last - near] == begin.tags[: first.last - near]
    assert found.tags[last.first + near :] == end.tags[last.first - last.begin + near :]


def test_a_word_without_pieces_has_a_tag(model: xlmr.Model) -> None:
    (found,) = model.tag_words([["the", "\u200d", "cat", "\u00ad "]])
    assert [word.text for word in found.words] == ["the", "\u200d", "cat", "\u00ad "]
    _, words = encode_words(model.tokenizer, ["the", " ", "cat"])
    assert [len(word.pieces) for word in words] == [1, 0, 1]
    assert len(found.tags) == 4


@pytest.mark.parametrize(
    ("sentence", "complaint"),
    [
        (["a", ""], "word 2 is '', wanted a text that is not empty"),
        ("the cat", "found a str, wanted a sequence of words"),
        ([3], "word 1 is 3"),
        (["a" * 100_001], "the text has 100,001 characters"),
    ],
)
def test_what_are_no_words_is_told_with_the_sentence(model: xlmr.Model, sentence: Any, complaint: str) -> None:
    with pytest.raises(BadInput, match=f"text 2: {complaint}"):
        model.tag_words([["the"], sentence])


def test_what_cannot_be_tagged_harms_no_other(model: xlmr.Model) -> None:
    first, wrong, last = tag_each(model, ["the cat", "\ud800", "the cat"])
    assert first == last
    assert str(wrong).startswith("character 0 of the text is U+D800")
    with pytest.raises(BadInput, match="found a text, wanted sentences"):
        model.tag_words("the cat")
    assert model.tag_words([[]])[0].tags == ()
