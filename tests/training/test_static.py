from pathlib import Path

import numpy as np
import torch

from xlmr.config import Config
from xlmr.runtimes.torch import build
from xlmr.training import corpus, static
from xlmr.training.recipes import Data, Static


def words(data: Path) -> tuple[corpus.Corpus, dict[str, int]]:
    lines = list(corpus.read(Data(folder=str(data), parallel=("tales",), phrases=())))
    ids: dict[str, int] = {}

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [[4 + ids.setdefault(word, len(ids)) for word in (text.split() if " " in text else text)] for text in texts]

    return corpus.encode(lines, tokenize, 600, ()), {word: 4 + i for word, i in ids.items()}


def nearest(vectors: np.ndarray, ids: dict[str, int], word: str, among: list[str]) -> str:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return max(among, key=lambda other: float(unit[ids[word]] @ unit[ids[other]]))


VERBS = {"en": "sleeps reads eats runs sings waits".split(), "de": "schläft liest isst rennt singt wartet".split()}


def test_translations_start_as_neighbours(data: Path) -> None:
    made, ids = words(data)
    vectors = static.decompose(made, 600, 24, 0.5, seed=0)
    found = [nearest(vectors, ids, word, VERBS["de"]) for word in VERBS["en"]]
    assert found == VERBS["de"]


def test_contrast_brings_translations_together(data: Path) -> None:
    made, _ = words(data)
    config = Config(vocabulary=600, width=24, layers=1, heads=2, inner=32, positions=66)
    torch.manual_seed(0)
    encoder = build(config)
    losses = list(static.start(made, config, encoder, Static(steps=60, pairs=32, rate=0.01), seed=0))
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])


def test_a_pair_is_two_languages_of_one_group(data: Path) -> None:
    made, _ = words(data)
    first, second = static.PairSampler(made, seed=0).draw(0, 50)
    np.testing.assert_array_equal(made.group[first], made.group[second])
    assert (made.language[first] != made.language[second]).all()
    assert len(np.unique(made.group[first])) == len(first)


def test_random_means_random(data: Path) -> None:
    made, _ = words(data)
    config = Config(vocabulary=600, width=24, layers=1, heads=2, inner=32, positions=66)
    encoder = build(config)
    before = encoder.embeddings.words.weight.detach().clone()
    assert list(static.start(made, config, encoder, Static(start="random"), seed=0)) == []
    torch.testing.assert_close(encoder.embeddings.words.weight, before)


def test_the_last_columns_tell_a_pieces_language_and_the_others_what_they_told(data: Path) -> None:
    made, ids = words(data)
    config = Config(vocabulary=600, width=24, layers=1, heads=2, inner=32, positions=66)
    torch.manual_seed(0)
    encoder = build(config)
    table = encoder.embeddings.words.weight
    with torch.no_grad():
        table.copy_(torch.from_numpy(static.decompose(made, 600, 24, 0.5, seed=0)))
    used = torch.tensor(sorted(ids.values()))
    before = table[used] @ table[used].T
    static.tell_languages(encoder, made, 4, spare=2)
    assert not table[:, -2:].any()
    kept = table[used][:, :-6]
    assert torch.linalg.norm(kept @ kept.T - before) < 0.1 * torch.linalg.norm(before)
    columns = table.detach().numpy()[:, -6:-2]
    english, german = ([ids[word] for word in VERBS[language]] for language in ("en", "de"))
    center = {name: columns[rows].mean(0) for name, rows in (("en", english), ("de", german))}
    for name, rows in (("en", english), ("de", german)):
        for row in rows:
            distance = {other: np.linalg.norm(columns[row] - center[other]) for other in center}
            assert min(distance, key=distance.__getitem__) == name


def test_a_piece_of_all_languages_tells_none() -> None:
    """Two languages share piece 4 alike; 5 and 6 are each of one."""
    made = corpus.Corpus(
        tokens=np.array([4, 5, 5, 4, 6, 6], np.uint16),
        starts=np.array([0, 3, 6]),
        language=np.array([0, 1], np.uint8),
        group=np.array([-1, -1], np.int32),
        phrase=np.zeros(2, bool),
        languages=("de", "en"),
    )
    told = static.languages_of(made, 8)
    np.testing.assert_allclose(told[4], 0, atol=1e-6)
    np.testing.assert_allclose(told[7], 0, atol=1e-6)
    assert np.linalg.norm(told[5] - told[6]) > 1
