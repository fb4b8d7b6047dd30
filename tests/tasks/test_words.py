import itertools
import unicodedata

import numpy as np
import pytest
from models import Said, chain

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.tasks.masks import fill_mask

TEXT = "the <mask> drinks water"


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def is_word(text: str) -> bool:
    """Letters, digits and marks, no mark at its beginning, and inside perhaps an apostrophe or a hyphen."""
    kinds = [unicodedata.category(char)[0] in "LMN" for char in text]
    whole = bool(text) and kinds[0] and kinds[-1] and all(kind or char in "'’-" for kind, char in zip(kinds, text, strict=True))
    return whole and unicodedata.category(text[0])[0] != "M"


def unspaced(text: str) -> bool:
    return unicodedata.name(text[0]).split()[0] in ("CJK", "HIRAGANA", "THAI")


def test_whole_words_are_those_of_brute_force(encoder):
    """Every pair of pieces that the tokenizer itself would cut a word into, and every single piece that is a word."""
    ids, mask = encoder.tokenizer.encode(TEXT).ids, encoder.tokenizer.mask_id
    at = ids.index(mask)
    pieces = [encoder.tokenizer.piece(i) for i in range(500)]
    words: dict[str, list[tuple[int, ...]]] = {}
    for first, rest in itertools.product(pieces[4:499], ["", *(piece for piece in pieces[4:499] if not piece.startswith("▁"))]):
        text = (first + rest).removeprefix("▁")
        if is_word(text) and (first.startswith("▁") or unspaced(first)):
            cut = [pieces[i] for i in encoder.tokenizer.encode(text).ids[1:-1]]
            bare = cut[1:] if cut[0] == "▁" else [cut[0].removeprefix("▁"), *cut[1:]]
            if [piece for piece in (first, rest) if piece] in (cut, bare):
                words.setdefault(text, []).append(tuple(pieces.index(piece) for piece in (first, rest) if piece))
    assert {len(cut) for cuts in words.values() for cut in cuts} == {1, 2}
    found = fill_mask(encoder, TEXT, whole_word=True, longest_word=2, top=1000, beam=1000)
    assert all(filling.ids[0] in words[filling.words[0]] for filling in found)

    def scored(cut: tuple[int, ...]) -> float:
        return np.exp(chain(encoder, [*ids[:at], *[mask] * len(cut), *ids[at + 1 :]], [at, at + 1][: len(cut)], cut))

    scores = {word: max(map(scored, cuts)) for word, cuts in words.items()}
    best = sorted(scores, key=lambda word: -scores[word])[:20]
    assert [filling.score for filling in found[:20]] == pytest.approx([scores[word] for word in best], rel=1e-4)


def test_right_after_something_no_word_begins_with_a_space_of_its_own(encoder):
    """Though a model may well expect one there: `▁` and then `x`."""
    space, x = (next(i for i in range(500) if encoder.tokenizer.piece(i) == piece) for piece in "▁x")

    def says(row: list[int], place: int) -> np.ndarray:
        return 20.0 * (np.arange(500) == (x if row[place - 1] == space else space))

    found = fill_mask(Encoder(encoder.config, encoder.tokenizer, Said(says)), "(<mask>) drinks", whole_word=True, top=50)
    assert len(found) == 50
    assert all(space not in filling.ids[0] for filling in found)


@pytest.mark.parametrize("before", ["(", "水"])
def test_right_after_something_words_are_those_of_brute_force_too(encoder, before):
    """Every pair of pieces, and every piece, into which the tokenizer cuts a word that stands there."""
    text = f"{before}<mask> drinks"
    pieces = [encoder.tokenizer.piece(i) for i in range(500)]
    words = {}
    for first, rest in itertools.product(pieces[4:499], ["", *pieces[4:499]]):
        if is_word(first + rest) and "▁" not in first + rest:
            cut = encoder.tokenizer.encode(f"({first + rest}").ids[3:-1]
            if [pieces[i] for i in cut] == [piece for piece in (first, rest) if piece]:
                words[first + rest] = tuple(cut)
    found = fill_mask(encoder, text, whole_word=True, longest_word=2, top=1000, beam=1000)
    assert len(found) > 500
    assert all(filling.ids == (words.get(filling.words[0]),) for filling in found)
    assert all(filling.text == f"{before}{filling.words[0]} drinks" for filling in found)
    ids, at = encoder.tokenizer.encode(text).ids, encoder.tokenizer.encode(text).ids.index(encoder.tokenizer.mask_id)
    for filling in found[:10]:
        row = [*ids[:at], *[encoder.tokenizer.mask_id] * len(filling.ids[0]), *ids[at + 1 :]]
        wanted = chain(encoder, row, list(range(at, at + len(filling.ids[0]))), filling.ids[0])
        assert filling.score == pytest.approx(np.exp(wanted), rel=1e-4)


@pytest.mark.parametrize(
    "text", [TEXT, "<mask>", "un<mask>, y", "«<mask>» de", "l'<mask>", "水<mask>本", "book,<mask>", "น้ำ<mask>", "<mask><mask>"]
)
def test_every_proposal_is_one_word(encoder, text):
    for filling in fill_mask(encoder, text, whole_word=True, longest_word=3, top=50):
        assert all(is_word(word) for word in filling.words)
        assert len(filling.ids) == text.count("<mask>")


@pytest.mark.parametrize(
    ("text", "spaced"), [("un<mask>", True), ("book,<mask>", True), ("<mask>", True), ("l'<mask>", False), ("«<mask>»", False)]
)
def test_a_word_brings_its_space_along_where_it_needs_one(encoder, text, spaced):
    for filling in fill_mask(encoder, text, whole_word=True, longest_word=1, top=100):
        piece = encoder.tokenizer.piece(filling.ids[0][0])
        assert piece.startswith("▁") == spaced or (spaced and unspaced(piece))


def test_no_word_is_proposed_twice(encoder):
    for text in (TEXT, "«<mask>»", "水<mask>本"):
        words = [filling.words for filling in fill_mask(encoder, text, whole_word=True, longest_word=3, top=200)]
        assert len(words) == len(set(words))


def test_words_of_one_piece_score_what_the_piece_scores(encoder):
    every = {filling.ids: filling.score for filling in fill_mask(encoder, TEXT, top=1000)}
    found = fill_mask(encoder, TEXT, whole_word=True, longest_word=1, top=1000)
    assert {filling.ids: pytest.approx(filling.score) for filling in found}.items() <= every.items()


def test_words_can_be_restricted_to_a_script(encoder):
    for filling in fill_mask(encoder, TEXT, whole_word=True, language="ru", top=50):
        assert all(unicodedata.name(char).startswith("CYRILLIC") for char in filling.words[0])
