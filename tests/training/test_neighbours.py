import numpy as np
import pytest
import torch

from xlmr.config import Config
from xlmr.runtimes.torch import Encoder, build, pack
from xlmr.training import neighbours
from xlmr.training.corpus import Corpus
from xlmr.training.examples import Pieces
from xlmr.training.recipes import Neighbours

CONFIG = Config(vocabulary=60, width=128, layers=3, heads=4, inner=48, positions=66, dropout=0.0, attention_dropout=0.0)
PIECES = Pieces(59, 60, 4, np.ones(60, bool))
WANTED = 32


def wired(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    encoder = build(CONFIG)
    neighbours.wire(encoder, WANTED, np.arange(4, 59))
    return encoder.eval()


def lines(*lengths: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(4, 59, length) for i, length in enumerate(lengths)]


def attention(encoder: Encoder, length: int) -> torch.Tensor:
    """`[heads, length, length]` of the first layer on random pieces."""
    ids = torch.from_numpy(np.random.default_rng(7).integers(4, 24, length))
    x = encoder.embeddings(ids, torch.arange(length) + CONFIG.pad_id + 1)
    first = encoder.layers[0]
    query, key = (part(x).view(length, CONFIG.heads, -1).transpose(0, 1) for part in (first.query, first.key))
    return (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1)


@pytest.mark.parametrize("length", [5, 20, 60])
@torch.no_grad()
def test_a_head_looks_at_its_offset(length: int) -> None:
    seen = attention(wired(), length)
    for head, offset in enumerate(neighbours.offsets(CONFIG)):
        for place in range(length):
            if offset is None:
                torch.testing.assert_close(seen[head, place], torch.full((length,), 1 / length))
            elif 0 <= place + offset < length:
                assert seen[head, place, place + offset] > 0.85


@torch.no_grad()
def test_what_is_learnt_alone_is_what_the_whole_model_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder, a piece hidden, against the shortcut; away from the edges, where there is nothing at an offset."""
    monkeypatch.setattr(neighbours, "PEAK", 200.0)
    encoder = wired()
    laid = neighbours.lay(lines(9, 14, 30), CONFIG)
    hidden = np.random.default_rng(3).random(len(laid.ids)) < 0.2
    found, picks = neighbours.predict(encoder, laid, PIECES, hidden)
    for state, pick in zip(found, picks, strict=True):
        if 2 <= laid.place[pick] < laid.lengths[laid.row[pick]] - 2:
            ids = np.where(hidden, PIECES.mask_id, laid.ids)
            ids[pick] = PIECES.mask_id
            packed, _ = pack([ids[laid.row == laid.row[pick]]], CONFIG)
            (states,) = encoder(packed)
            torch.testing.assert_close(encoder.transform(states)[laid.place[pick]], state, atol=2e-4, rtol=0)


@torch.no_grad()
def test_a_sentence_is_the_mean_of_the_models_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its inner pieces alone here: at the edges the model finds nothing at an offset, and the shortcut the edge."""
    monkeypatch.setattr(neighbours, "PEAK", 200.0)
    monkeypatch.setattr(neighbours, "OFFSETS", (None, -1, 1, None))
    encoder = wired()
    given = lines(9, 14, 30)
    found = neighbours.sentences(encoder, neighbours.lay(given, CONFIG), PIECES)
    for line, vector in zip(given, found, strict=True):
        packed, _ = pack([np.concatenate([[0], line, [2]])], CONFIG)
        (states,) = encoder(packed)
        torch.testing.assert_close(states[1:-1].mean(0), vector, atol=2e-4, rtol=0)


@torch.no_grad()
def test_a_hidden_piece_is_not_read_where_it_is_asked_for() -> None:
    encoder = wired()
    laid = neighbours.lay(lines(12), CONFIG)
    before, picks = neighbours.predict(encoder, laid, PIECES, np.zeros(len(laid.ids), bool))
    for place in (1, 5, 12):
        changed = laid.ids.copy()
        changed[place] = 4 + (changed[place] - 3) % 50
        other = neighbours.Lines(changed, laid.row, laid.place, laid.lengths)
        after, _ = neighbours.predict(encoder, other, PIECES, np.zeros(len(laid.ids), bool))
        torch.testing.assert_close(after[picks == place], before[picks == place], atol=1e-5, rtol=0)
        assert (after - before).abs().max() > 1e-3


def test_special_pieces_are_not_asked_for() -> None:
    laid = neighbours.lay([np.array([5, 3, 6])], CONFIG)
    _, picks = neighbours.predict(wired(), laid, PIECES, np.zeros(5, bool))
    assert laid.ids[picks].tolist() == [5, 6]


@pytest.mark.parametrize(("width", "heads", "kept"), [(256, 8, 32), (256, 4, 32), (32, 2, 8), (24, 8, 2), (1024, 16, 32)])
def test_positions_get_no_more_columns_than_a_head_has(width: int, heads: int, kept: int) -> None:
    assert neighbours.columns(Config(width=width, heads=heads), WANTED) == kept


def chain(size: int = 60, count: int = 300) -> Corpus:
    """Two languages in which each piece is followed by one other; the second's lines are the first's, from other pieces."""
    rng = np.random.default_rng(0)
    starts, tokens, language, group = [0], [], [], []
    for i in range(count):
        begin, length = rng.integers(20), rng.integers(4, 12)
        for code in (0, 1):
            tokens += [4 + 25 * code + (begin + step * 7) % 20 for step in range(length)]
            starts.append(len(tokens))
            language.append(code)
            group.append(i)
    return Corpus(
        np.array(tokens, np.uint16),
        np.array(starts),
        np.array(language, np.uint8),
        np.array(group, np.int32),
        np.zeros(2 * count, bool),
        ("de", "en"),
    )


def test_it_learns_what_stands_beside_what() -> None:
    torch.manual_seed(0)
    encoder = build(CONFIG)
    recipe = Neighbours(steps=120, batch=512, negatives=200, pairs=16, hidden=0.0, rate=1e-2)
    losses = list(neighbours.learn(encoder, chain(), PIECES, recipe, seed=1))
    assert np.mean(losses[-10:]) < 0.3 < np.log(40) - 1 < losses[0]
    encoder.eval()
    ids = np.array([0, *(4 + (3 + step * 7) % 20 for step in range(9)), 2])
    answer, ids[5] = ids[5], PIECES.mask_id
    packed, _ = pack([ids], CONFIG)
    with torch.no_grad():
        (states,) = encoder(packed)
        assert int(encoder.logits(states[5:6]).argmax()) == answer


def test_the_positions_columns_stay_the_positions_alone() -> None:
    torch.manual_seed(0)
    encoder = build(CONFIG)
    for _ in neighbours.learn(encoder, chain(), PIECES, Neighbours(steps=5, batch=128, negatives=50, pairs=8), seed=1):
        pass
    kept = neighbours.columns(CONFIG, WANTED)
    of = encoder.embeddings
    assert not of.words.weight[:, -kept:].any()
    assert not of.types.weight[:, -kept:].any()
    assert not of.norm.bias[-kept:].any()
    assert (of.norm.weight[-kept:] == 1).all()
    assert not encoder.embeddings.positions.weight[:, :-kept].any()


def test_the_same_seed_learns_the_same() -> None:
    def once() -> dict[str, torch.Tensor]:
        torch.manual_seed(4)
        encoder = build(CONFIG)
        list(neighbours.learn(encoder, chain(), PIECES, Neighbours(steps=4, batch=128, negatives=50, pairs=8), seed=1))
        return encoder.state_dict()

    first, second = once(), once()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_was_learnt_is_what_the_whole_model_does() -> None:
    """After learning too, when the table has grown: heads look where they did, and the last layer's states are those that were taught."""
    torch.manual_seed(0)
    encoder = build(CONFIG)
    recipe = Neighbours(steps=80, batch=512, negatives=100, pairs=16, rate=2e-2)
    before = float(encoder.embeddings.words.weight.detach().square().mean())
    for _ in neighbours.learn(encoder, chain(), PIECES, recipe, seed=1):
        pass
    assert float(encoder.embeddings.words.weight.detach().square().mean()) > 4 * before
    encoder.eval()
    with torch.no_grad():
        seen = attention(encoder, 40)
        assert min(float(seen[0].diagonal(-1).min()), float(seen[1].diagonal(1).min())) > 0.85
        made = chain()
        laid = neighbours.lay([made.line(i) for i in range(20)], CONFIG)
        found, picks = neighbours.predict(encoder, laid, PIECES, np.zeros(len(laid.ids), bool))
        near = []
        for state, pick in zip(found, picks, strict=True):
            if 2 <= laid.place[pick] < laid.lengths[laid.row[pick]] - 2:
                ids = laid.ids.copy()
                ids[pick] = PIECES.mask_id
                (states,) = encoder(pack([ids[laid.row == laid.row[pick]]], CONFIG)[0])
                near.append(torch.cosine_similarity(encoder.transform(states)[laid.place[pick]], state, dim=0))
        assert torch.stack(near).median() > 0.97
