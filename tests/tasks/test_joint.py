import itertools

import numpy as np
import pytest
from models import Fixed, Said, chain

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.tasks.masks import fill_mask

SPECIAL = (0, 1, 2, 3, 499)


@pytest.fixture(scope="module")
def encoder(tiny) -> Encoder:
    return encoders.load(tiny, threads=1)


def logs(encoder: Encoder, rows: list[list[int]], place: int) -> np.ndarray:
    """Logarithms of the probabilities at one place of some rows, `[rows, vocabulary]`."""
    logits = encoder.runtime.mlm_logits(np.array(rows), np.array([[i, place] for i in range(len(rows))])).astype(np.float64)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def brute(encoder) -> tuple[str, np.ndarray]:
    """A text with two masks, and the score of every one of its 250,000 fillings, special ones too, `[first, second]`."""
    text = "the <mask> drinks <mask> water"
    ids = encoder.tokenizer.encode(text).ids
    first, second = (place for place, i in enumerate(ids) if i == encoder.tokenizer.mask_id)
    rows = [[piece if place == first else i for place, i in enumerate(ids)] for piece in range(500)]
    then = np.concatenate([logs(encoder, rows[at : at + 50], second) for at in range(0, 500, 50)])
    return text, np.exp(logs(encoder, [ids], first)[0][:, None] + then)


def test_a_beam_that_covers_the_product_finds_what_brute_force_finds(encoder, brute):
    text, scores = brute
    proposed = scores.copy()
    proposed[list(SPECIAL)] = proposed[:, list(SPECIAL)] = 0
    wanted = np.argsort(-proposed, axis=None, kind="stable")[:1000]
    found = fill_mask(encoder, text, top=1000, beam=500)
    assert [filling.score for filling in found] == pytest.approx(proposed.flat[wanted].tolist(), rel=1e-4)
    assert [filling.score for filling in found] == pytest.approx(
        [scores[filling.ids[0][0], filling.ids[1][0]] for filling in found], rel=1e-4
    )
    assert len({filling.ids for filling in found}) == 1000
    assert {filling.ids for filling in found[:500]} <= {((int(i) // 500,), (int(i) % 500,)) for i in wanted}


def test_the_scores_of_all_fillings_sum_to_one(brute):
    assert brute[1].sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("beam", [1, 3, 20])
def test_a_narrower_beam_gives_true_scores_and_none_that_is_better(encoder, brute, beam):
    text, scores = brute
    found = fill_mask(encoder, text, top=3, beam=beam)
    assert [filling.score for filling in found] == pytest.approx(
        [scores[filling.ids[0][0], filling.ids[1][0]] for filling in found], rel=1e-4
    )
    assert found[0].score <= scores.max() * 1.0001
    assert [filling.score for filling in found] == sorted((filling.score for filling in found), reverse=True)


def test_three_masks_of_a_few_candidates_are_scored_as_one_by_one(encoder):
    few = ["cat", "water", "книга", "drinks", "de"]
    text = "the <mask> <mask> and <mask>."
    ids = encoder.tokenizer.encode(text).ids
    places = [place for place, i in enumerate(ids) if i == encoder.tokenizer.mask_id]
    pieces = {word: encoder.tokenizer.encode(word).ids[1:-1] for word in few}
    assert all(len(cut) == 1 for cut in pieces.values())
    wanted = {words: np.exp(chain(encoder, ids, places, [pieces[word][0] for word in words])) for words in itertools.product(few, repeat=3)}
    found = fill_mask(encoder, text, candidates=few, top=125, beam=25)
    assert {filling.words: pytest.approx(filling.score, rel=1e-4) for filling in found} == wanted
    assert [filling.words for filling in found[:3]] == sorted(wanted, key=lambda words: -wanted[words])[:3]


def test_the_best_pair_need_not_have_the_best_first_word(encoder):
    """The first word is 10 (0.6) or 11 (0.4); after 10 anything may come, after 11 always 12."""
    mask = encoder.tokenizer.mask_id

    def says(row: list[int], place: int) -> np.ndarray:
        first = place == row.index(mask) and mask in row[place + 1 :]
        shares = np.full(500, 1e-12)
        if first:
            shares[[10, 11]] = 0.6, 0.4
        elif row[place - 1] == 10:
            shares[20:30] = 0.1
        else:
            shares[12] = 1
        return np.log(shares)

    model = Encoder(encoder.config, encoder.tokenizer, Said(says))
    joint = fill_mask(model, "<mask> <mask>", top=1, beam=2)[0]
    greedy = fill_mask(model, "<mask> <mask>", top=1, beam=1)[0]
    assert joint.ids == ((11,), (12,))
    assert joint.score == pytest.approx(0.4)
    assert greedy.ids == ((10,), (20,))
    assert greedy.score == pytest.approx(0.06)


def test_what_no_piece_depends_on_is_a_product(encoder):
    logits = np.random.default_rng(0).normal(size=500)
    model = Encoder(encoder.config, encoder.tokenizer, Fixed(logits))
    one = {filling.ids[0]: filling.score for filling in fill_mask(model, "<mask>", top=495)}
    for filling in fill_mask(model, "<mask>, <mask> <mask>", top=20, beam=20):
        assert filling.score == pytest.approx(np.prod([one[ids] for ids in filling.ids]), rel=1e-6)


def test_answers_of_several_masks_depend_on_their_own_text_alone(encoder):
    texts = ["the <mask> <mask>", "<mask>", "кошка <mask> и <mask> <mask> в доме", "水<mask>本<mask>"]
    for text, answer in zip(texts, fill_mask(encoder, texts, top=3), strict=True):
        alone = fill_mask(encoder, text, top=3)
        assert [filling.ids for filling in answer] == [filling.ids for filling in alone]
        assert [filling.score for filling in answer] == pytest.approx([filling.score for filling in alone], rel=1e-4)
