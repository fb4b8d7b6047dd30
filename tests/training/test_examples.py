from pathlib import Path

import numpy as np
import pytest

from xlmr.config import Config
from xlmr.training import corpus
from xlmr.training.examples import Batch, Examples, Pieces, Sampler
from xlmr.training.recipes import Data, Objective

CONFIG = Config(vocabulary=600, width=32, layers=1, heads=2, inner=64, positions=130)
MASK = CONFIG.vocabulary - 1


@pytest.fixture(scope="module")
def made(data: Path) -> corpus.Corpus:
    """The made-up corpus, a word a piece (or, in Chinese, a letter)."""
    lines = list(corpus.read(Data(folder=str(data), parallel=("tales", "lexicon"), phrases=("lexicon",))))
    ids: dict[str, int] = {}

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [[4 + ids.setdefault(word, len(ids)) for word in (text.split() if " " in text else text)] for text in texts]

    return corpus.encode(lines, tokenize, CONFIG.vocabulary, ("lexicon",))


def examples(made: corpus.Corpus, seed: int = 1, **objective: float) -> Examples:
    pieces = Pieces(MASK, CONFIG.vocabulary, 4, np.ones(CONFIG.vocabulary, bool))
    return Examples(made, pieces, CONFIG, Objective(**{"batch": 1_024, "longest": 64} | objective), seed)  # type: ignore[arg-type]


def restored(batch: Batch) -> list[np.ndarray]:
    return [np.where(targets >= 0, targets, ids) for ids, targets in zip(batch.ids, batch.targets, strict=True)]


def same(a: Batch, b: Batch) -> bool:
    return len(a.ids) == len(b.ids) and a.pairs == b.pairs and all(map(np.array_equal, a.ids + a.targets, b.ids + b.targets))


def test_a_batch_depends_on_step_and_cursors_alone(made: corpus.Corpus) -> None:
    straight, resumed = examples(made), examples(made)
    first = [straight.batch(step) for step in range(3)]
    cursors = list(straight.sampler.cursors)
    later = straight.batch(3)
    resumed.sampler.cursors = cursors
    assert same(later, resumed.batch(3))
    assert not same(first[0], first[1])
    assert not same(first[0], examples(made, seed=2).batch(0))


def test_hidden_pieces_are_what_stood_there(made: corpus.Corpus) -> None:
    lines = {tuple(made.line(i)) for i in range(len(made.group))}
    for ids in restored(examples(made, tlm=0.0, joined=0.0).batch(0)):
        assert ids[0] == CONFIG.bos_id
        assert ids[-1] == CONFIG.eos_id
        assert tuple(ids[1:-1]) in lines


def test_special_tokens_are_never_predicted(made: corpus.Corpus) -> None:
    batch = examples(made, masked=1.0, tlm_masked=1.0).batch(0)
    for ids, targets in zip(restored(batch), batch.targets, strict=True):
        assert ((targets >= 0) <= (ids >= 4)).all()


def test_of_the_chosen_eight_in_ten_are_hidden_and_one_in_ten_stays(made: corpus.Corpus) -> None:
    batch = examples(made, batch=40_000, masked=0.5, parallel=0.0).batch(0)
    ids, targets = np.concatenate(batch.ids), np.concatenate(batch.targets)
    chosen, real = targets >= 0, np.concatenate(restored(batch)) >= 4
    assert chosen.sum() / real.sum() == pytest.approx(0.5, abs=0.03)
    assert (ids[chosen] == MASK).mean() == pytest.approx(0.8, abs=0.03)
    assert (ids[chosen] == targets[chosen]).mean() == pytest.approx(0.1, abs=0.03)


def test_whole_words_are_hidden_whole(made: corpus.Corpus) -> None:
    maker = examples(made, whole_word=1.0, masked=0.5, joined=0.0, parallel=0.0)
    maker.pieces.begins[:] = np.arange(CONFIG.vocabulary) % 2 == 0  # odd pieces go on with a word
    for targets, ids in ((batch, whole) for made_ in [maker.batch(0)] for batch, whole in zip(made_.targets, restored(made_), strict=True)):
        goes_on = (ids >= 4) & (ids % 2 == 1)
        goes_on[1] = False  # after <s> a word begins, whatever the piece
        np.testing.assert_array_equal((targets >= 0)[1:][goes_on[1:]], (targets >= 0)[:-1][goes_on[1:]])


def test_pairs_are_translations_and_no_text_comes_twice(made: corpus.Corpus) -> None:
    group = {(tuple(made.line(i)), int(made.language[i])): int(made.group[i]) for i in range(len(made.group)) if made.group[i] >= 0}
    groups = {}
    for (line, _), of in group.items():
        groups.setdefault(line, set()).add(of)
    batch = examples(made, tlm=0.0).batch(0)
    assert batch.pairs >= 8
    used = []
    ids = restored(batch)
    for pair in range(batch.pairs):
        a, b = (tuple(ids[row][1:-1]) for row in (2 * pair, 2 * pair + 1))
        assert a != b
        shared = groups[a] & groups[b]
        assert shared
        used.append(min(shared))
    assert len(set(used)) == len(used)


def test_parts_make_up_the_batch(made: corpus.Corpus) -> None:
    batch = examples(made).batch(0)
    parts = [batch.part(i, 4) for i in range(4)]
    assert sum(part.pairs for part in parts) == batch.pairs
    assert max(part.pairs for part in parts) - min(part.pairs for part in parts) <= 1
    together = sorted(tuple(ids) for part in parts for ids in part.ids)
    assert together == sorted(tuple(ids) for ids in batch.ids)


@pytest.mark.parametrize(("parts", "processes"), [(1, 2), (2, 2), (3, 4)])
def test_what_is_contrasted_together_does_not_depend_on_the_processes(made: corpus.Corpus, parts: int, processes: int) -> None:
    """The pairs of a part, dealt out to processes and taken back in turn, lie as one process has them."""
    batch = examples(made, tlm=0.0).batch(0)
    for i in range(parts):
        part = batch.part(i, parts)
        shares = [part.part(process, processes) for process in range(processes)]
        dealt = [shares[pair % processes].ids[2 * (pair // processes)] for pair in range(part.pairs)]
        assert [ids.tolist() for ids in dealt] == [ids.tolist() for ids in part.ids[: 2 * part.pairs : 2]]


def test_joined_sequences_fill_the_model_and_no_more(made: corpus.Corpus) -> None:
    lengths = [len(ids) for ids in examples(made, parallel=0.0, joined=1.0).batch(0).ids]
    assert max(lengths) == CONFIG.longest


def test_no_sequence_is_longer_than_asked(made: corpus.Corpus) -> None:
    lengths = [len(ids) for ids in examples(made, joined=0.0, longest=10).batch(0).ids]
    assert max(lengths) <= 2 * 10 + 2


def test_a_sampler_reads_every_line_before_it_repeats_one() -> None:
    sampler = Sampler([np.arange(10, 17)], seed=3)
    read = [sampler.next(0) for _ in range(14)]
    assert sorted(read[:7]) == sorted(read[7:]) == list(range(10, 17))
    assert read[:7] != read[7:]


def test_a_line_without_spaces_is_hidden_piece_by_piece(made: corpus.Corpus) -> None:
    maker = examples(made, whole_word=1.0, masked=0.5)
    maker.pieces.begins[:] = False
    _, targets = maker.hide_lines(np.random.default_rng(0), [np.arange(10, 40)] * 50)
    shares = [np.mean(of >= 0) for of in targets]
    assert 0.1 < min(shares) < max(shares) < 0.9


def test_only_texts_with_a_translation_are_paired(data: Path) -> None:
    """One id has a translation, the others are in one language alone: such a corpus must not be searched for more for ever."""
    lines = [corpus.Line("en", "tales", f"t{i}", f"line {i}") for i in range(40)] + [corpus.Line("de", "tales", "t0", "Zeile null")]
    made = corpus.encode(lines, lambda texts: [[4 + len(word) for word in text.split()] for text in texts], 600, ())
    assert examples(made, tlm=0.0).batch(0).pairs == 1
    assert examples(made, tlm=1.0).batch(0).pairs == 0


def test_a_corpus_without_translations_is_masked_alone() -> None:
    lines = [corpus.Line("en", "prose", "", f"a line of {'x' * i}") for i in range(1, 30)]
    made = corpus.encode(lines, lambda texts: [[4 + len(word) for word in text.split()] for text in texts], 600, ())
    batch = examples(made).batch(0)
    assert batch.pairs == 0
    assert sum(map(len, batch.ids)) >= 1_024
