"""Words and their tags: which tokens a word's state is made of, and what is learnt of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.examples import Tagged
from xlmr.heads import crf, iob, pieces
from xlmr.runtimes.torch import load
from xlmr.tasks import taggers, tagging
from xlmr.training.finetuning import lessons, tags
from xlmr.training.finetuning.lessons import Learner, Lengths
from xlmr.training.finetuning.tags import Tagging

LABELS = ("O", "B-X", "I-X")


def sentence(*words: str) -> Tagged:
    return Tagged("en", words, tuple(LABELS[i % 2] for i in range(len(words))), "file: line 1")


def learner(tiny: Path, longest: int = 64, **chosen: object) -> tuple[Learner, Tagging]:
    torch.manual_seed(2)
    lesson, opened = Tagging(tokenizers.open(tiny), Lengths(longest, 64), LABELS, **chosen), checkpoint.open(tiny)
    head = lesson.head(opened.config, 0.0)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return Learner(load(opened), head, lesson).eval(), lesson


def emissions(of: Learner, lesson: Tagging, example: Tagged) -> list[np.ndarray]:
    found: list[np.ndarray] = of.predict(lessons.give(lesson.rows([example]), of.encoder.config, torch.device("cpu")))
    return found


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["cat", "catdogs", "x" * 70, "水", "家水", "Haus", ",", "a b", "ng"]), min_size=1, max_size=60),
       st.integers(8, 40), st.sampled_from(["first", "mean"]))  # fmt: skip
def test_every_word_is_in_one_row_and_its_tokens_are_there(words: list[str], longest: int, pooling: str) -> None:
    example = sentence(*words)
    lesson = Tagging(TOKENIZER, Lengths(longest, longest), LABELS, words=pooling)
    rows = lesson.rows([example])
    assert np.concatenate([row.goal.tags for row in rows]).tolist() == [LABELS.index(tag) for tag in example.tags]
    assert sum(row.weight for row in rows) == len(words)
    encoding, held = tagging.encode_words(TOKENIZER, words)
    number = 0
    for row in rows:
        assert len(row.ids) <= longest
        assert (row.ids[0], row.ids[-1]) == (encoding.ids[0], encoding.ids[-1])
        for i in range(len(row.goal.tags)):
            mine = row.goal.words == i
            tokens, wanted = row.goal.tokens[mine], [encoding.ids[1 + piece] for piece in held[number].pieces]
            assert row.ids[tokens].tolist() == wanted[: 1 if pooling == "first" else len(tokens)]
            assert row.goal.shares[mine].sum() == pytest.approx(1) if wanted else not len(tokens)
            number += 1


@pytest.fixture(autouse=True, scope="module")
def _tokenizer(tiny: Path) -> None:
    global TOKENIZER
    TOKENIZER = tokenizers.open(tiny)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_words_state_is_the_one_that_serves(tiny: Path, pooling: str) -> None:
    of, lesson = learner(tiny, words=pooling)
    example = sentence("catdogs", "水", "Haus", "a b", ",", "ngcity")
    _, words = tagging.encode_words(lesson.tokenizer, example.words)
    (row,) = lesson.rows([example])
    given_ = lessons.give([row], of.encoder.config, torch.device("cpu"))
    with torch.no_grad():
        (states,) = of.encoder(given_.packed)
        found = tags._pooled(states, given_)
    np.testing.assert_allclose(found.numpy(), pieces.pool(pooling, words, states[1:-1].numpy()), atol=1e-6)


def test_a_word_without_pieces_has_a_state_of_nothing_and_is_learnt_all_the_same(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of, lesson = learner(tiny)
    whole = tagging.encode_words

    def without(tokenizer: object, words: object) -> object:
        encoding, held = whole(tokenizer, words)  # type: ignore[arg-type]
        return encoding, [pieces.Word(word.place, [], []) if i in (0, 2) else word for i, word in enumerate(held)]

    monkeypatch.setattr(tagging, "encode_words", without)
    (row,) = lesson.rows([sentence("cat", "dog", "house", "book")])
    assert row.goal.words.tolist() == [1, 3]
    assert len(row.goal.tags) == 4
    (found,) = emissions(of, lesson, sentence("cat", "dog", "house", "book"))
    np.testing.assert_allclose(found[[0, 2]], of.head.out.bias.detach()[None].repeat(2, 1).numpy())


def test_a_sentence_of_which_no_piece_is_made_is_one_row(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = learner(tiny)[1]
    encoding, _ = tagging.encode_words(lesson.tokenizer, ["cat"])
    monkeypatch.setattr(tagging, "encode_words", lambda *_: (type(encoding)([0, 2], [(0, 0), (0, 0)]), [pieces.Word((0, 1), [], [])] * 2))
    (row,) = lesson.rows([sentence("x", "y")])
    assert (row.ids.tolist(), len(row.goal.tags)) == ([0, 2], 2)


def test_the_linear_loss_is_the_cross_entropy_of_the_emissions(tiny: Path) -> None:
    of, lesson = learner(tiny)
    example = sentence("the", "cat", "reads", "a", "book")
    (found,) = emissions(of, lesson, example)
    with torch.no_grad():
        loss = of(lessons.give(lesson.rows([example]), of.encoder.config, torch.device("cpu")))
    wanted = F.cross_entropy(torch.tensor(found), torch.tensor([LABELS.index(tag) for tag in example.tags]), reduction="sum")
    torch.testing.assert_close(loss, wanted)


def test_the_loss_of_a_field_is_that_of_each_sentence_whatever_stands_beside_it(tiny: Path) -> None:
    of, lesson = learner(tiny, chain=True)
    examples = [sentence("the", "cat"), sentence("house"), sentence("the", "cat", "reads", "a", "book")]
    field = tags._numpy(of.head.chain)
    wanted = 0.0
    for example in examples:
        (found,), path = emissions(of, lesson, example), np.array([LABELS.index(tag) for tag in example.tags])
        wanted += crf.normaliser(field, found) - crf.score(field, found, path)
    with torch.no_grad():
        loss = of(lessons.give(lesson.rows(examples), of.encoder.config, torch.device("cpu")))
    assert loss.item() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("chain", [False, True])
def test_a_long_sentence_is_tagged_as_a_whole(tiny: Path, chain: bool) -> None:
    """Rows may part a span; what is decoded is the sentence, under IOB2."""
    of, lesson = learner(tiny, chain=chain)
    example = sentence(*["cat", "dogs", "house"] * 40)
    rows, parts = lesson.rows([example]), emissions(of, lesson, example)
    assert len(rows) > 2
    (found,) = lesson.join(of.head, [example], rows, parts)
    assert iob.broken(found) is None
    field = tags._numpy(of.head.chain) or crf.independent(3)
    assert found == [LABELS[i] for i in crf.viterbi(field, np.concatenate(parts), iob.constraints(LABELS))]


def test_tags_that_mark_no_spans_are_each_the_likeliest(tiny: Path) -> None:
    lesson = Tagging(tokenizers.open(tiny), Lengths(64, 64), ["NOUN", "VERB"])
    head = lesson.head(checkpoint.open(tiny).config, 0.0)
    example = Tagged("en", ("cat", "reads"), ("NOUN", "VERB"), "file: line 1")
    assert lesson.join(head, [example], lesson.rows([example]), [np.array([[1, 2], [3, 0]])]) == [["VERB", "NOUN"]]


def test_all_words_alike_is_a_collapse_but_not_where_all_are_alike(tiny: Path) -> None:
    lesson, example = learner(tiny)[1], sentence("cat", "dog")
    assert lesson.collapsed([example], [["O", "O"]]) == "every word is tagged 'O'"
    assert lesson.collapsed([example], [["O", "B-X"]]) is None
    assert lesson.collapsed([sentence("cat")], [["O"]]) is None


def test_the_attachment_says_how_words_are_pooled_and_holds_the_field(tiny: Path) -> None:
    of, lesson = learner(tiny, words="mean", chain=True)
    pooling, field = taggers.unpack(lesson.attachments(of.head)[taggers.NAME], len(LABELS))
    assert pooling == "mean"
    np.testing.assert_array_equal(field.transitions, of.head.chain.transitions.detach().numpy())
    of, lesson = learner(tiny)
    assert taggers.unpack(lesson.attachments(of.head)[taggers.NAME], len(LABELS)) == ("first", None)
