import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import chain

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.tasks import masks, queries
from xlmr.tasks.masks import fill_each, fill_mask

TEXT = "the big <mask> drinks water"
SEVERAL = ["cat", "chat noir", "xyz", "une grande maison", "lion"]


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def cut(encoder: Encoder, word: str) -> list[int]:
    return encoder.tokenizer.encode(word).ids[1:-1]


def test_candidates_of_one_piece_are_plain_probabilities_restricted_to_them(encoder):
    few = ["cat", "dog", "книга", "水", "Haus", "น้ำ"]
    every = fill_mask(encoder, TEXT, top=1000)
    wanted = [(f.words[0], f.score) for f in every if f.words[0] in few and encoder.tokenizer.piece(f.ids[0][0]).startswith("▁")]
    found = fill_mask(encoder, TEXT, candidates=few, top=10)
    assert [filling.words[0] for filling in found] == [word for word, _ in wanted]
    assert [filling.score for filling in found] == pytest.approx([score for _, score in wanted], rel=1e-6)
    assert len(found) == len(few)


def test_candidates_of_several_pieces_score_their_chain(encoder):
    ids = encoder.tokenizer.encode(TEXT).ids
    at = ids.index(encoder.tokenizer.mask_id)
    found = {filling.words[0]: filling for filling in fill_mask(encoder, TEXT, candidates=SEVERAL)}
    assert found.keys() == set(SEVERAL)
    assert len({len(filling.ids[0]) for filling in found.values()}) > 1
    for word, filling in found.items():
        pieces = cut(encoder, word)
        row = [*ids[:at], *[encoder.tokenizer.mask_id] * len(pieces), *ids[at + 1 :]]
        assert filling.ids == (tuple(pieces),)
        assert filling.score == pytest.approx(np.exp(chain(encoder, row, list(range(at, at + len(pieces))), pieces)), rel=1e-4)


def test_per_piece_a_score_is_the_mean_of_its_pieces(encoder):
    whole = {filling.words: filling.score ** (1 / len(filling.ids[0])) for filling in fill_mask(encoder, TEXT, candidates=SEVERAL)}
    found = fill_mask(encoder, TEXT, candidates=SEVERAL, per_piece=True)
    assert {filling.words: pytest.approx(filling.score, rel=1e-4) for filling in found} == whole
    assert [filling.words for filling in found] == sorted(whole, key=lambda words: -whole[words])


def test_a_candidate_scores_the_same_whatever_the_others_are(encoder):
    together = {filling.words: filling.score for filling in fill_mask(encoder, TEXT, candidates=SEVERAL)}
    for word in SEVERAL:
        (alone,) = fill_mask(encoder, TEXT, candidates=[word])
        assert alone.score == pytest.approx(together[word,], rel=1e-4)


def test_every_candidate_is_scored_whatever_the_beam_is(encoder):
    many = ["".join(letters) for letters in itertools.product("abcdefgh", repeat=3)]
    assert len(fill_mask(encoder, TEXT, candidates=many, beam=1, top=1000)) == len(many)


def test_texts_with_many_candidates_are_searched_a_few_at_a_time(encoder, monkeypatch):
    """Their beginnings are held meanwhile, which can be ten thousand for each text."""
    together = []

    def lead(model, searches: list) -> list:
        together.append(len(searches))
        return queries.lead(model, searches)

    monkeypatch.setattr(masks, "queries", SimpleNamespace(lead=lead))
    monkeypatch.setattr(masks, "PATHS", 100)
    found = fill_mask(encoder, ["<mask>"] * 10, candidates=list("abcdefghijklmnopqrstuvwxyz"), beam=1)
    assert [len(of_one) for of_one in found] == [5] * 10
    assert together == [2] * 5  # up to 26 beginnings for each length: `▁a` has one piece, `▁` `b` two


@pytest.mark.parametrize("text", ["the (<mask>", "the <mask><mask>", "<mask><mask> (<mask>"])
def test_right_after_something_a_candidate_has_the_pieces_it_has_there(encoder, text):
    """Also right after another mask: what stands together in the filled text stood together in the model's."""
    for found in fill_mask(encoder, text, candidates=["chat noir", "xyz"], top=8):
        before = ""
        for part, word, ids in zip(text.split("<mask>"), found.words, found.ids, strict=False):
            before += part
            joined = encoder.tokenizer.encode(f"({word}").ids[3:-1]
            assert list(ids) == (joined if before[-1:].strip() else cut(encoder, word))
            before += word
        assert found.text == before


def test_a_candidate_stands_in_the_text_as_it_was_given(encoder):
    (found,) = fill_mask(encoder, "un<mask>!", candidates=["  es  "])
    assert (found.words, found.text) == (("es",), "unes!")
    assert [encoder.tokenizer.piece(i) for i in found.ids[0]] == ["es"]
    (found,) = fill_mask(encoder, "un <mask>!", candidates=["gato"])
    assert [encoder.tokenizer.piece(i) for i in found.ids[0]] == ["▁gato"]
    assert found.text == "un gato!"
    (found,) = fill_mask(encoder, "l'<mask>", candidates=["eau"])
    assert found.text == "l'eau"


def test_candidates_for_several_masks_fill_all_of_them(encoder):
    found = fill_mask(encoder, "<mask> <mask>", candidates=["cat", "chat noir"], top=10)
    assert sorted(filling.words for filling in found) == sorted(itertools.product(["cat", "chat noir"], repeat=2))


@given(st.lists(st.text("abcdefgh ", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=5), st.text(max_size=10))
def test_candidates_are_all_that_is_proposed(encoder, words, after):
    (answer,) = fill_each(encoder, [f"<mask>{after}"], candidates=words, top=10)
    if isinstance(answer, list):
        assert {filling.words[0] for filling in answer} <= {word.strip() for word in words}
        assert all(filling.text == filling.words[0] + after for filling in answer)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "there are no candidates; wanted at least one word or phrase"),
        (["cat", ""], "candidate 2 is empty; wanted a word or a phrase"),
        ([" \u3000"], "candidate 1 is empty"),
        (["cat", "☃ man"], "candidate 2, '☃ man', cannot be spelled: the vocabulary has no piece for '☃'"),
        (["a <mask>"], "candidate 1, 'a <mask>', has a <mask> of its own"),
        (["\ud83d"], r"candidate 1: character 0 of the text is U\+D83D"),
        (["a " * 17], "candidate 1, 'a a a a a a a a a a a a a a a a a', has 17 pieces, and at most 16 are taken"),
        (["a" * 1001], "candidate 1 has 1,001 characters, and at most 1,000 are taken"),
        (["cat", 7], "candidate 2 is a int, wanted a word or a phrase"),
        ("cat,dog", "candidates are a str, wanted a list of words or phrases"),
        (7, "candidates are a int, wanted a list of words or phrases"),
        ([f"word {i}" for i in range(100_000)], "there are more than 10,000 candidates; at most 10,000 are taken, so ask in several goes"),
    ],
)  # fmt: skip
def test_candidates_that_cannot_be_scored_say_why(encoder, candidates, message):
    with pytest.raises(BadInput, match=message):
        fill_mask(encoder, TEXT, candidates=candidates)


def test_candidates_without_end_are_refused_and_not_read_to_their_end(encoder):
    with pytest.raises(BadInput, match="more than 10,000"):
        fill_mask(encoder, TEXT, candidates=("cat" for _ in itertools.count()))
