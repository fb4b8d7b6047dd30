import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.heads import calibration, vectors
from xlmr.heads.calibration import Calibration, Projection, Table

VOCABULARY, SIZE, WIDTH = 9, 4, 3
texts = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=7), max_size=5)


def hashed(rows: list[list[int]]) -> list[np.ndarray]:
    ids = np.array([i for row in rows for i in row], np.int64)
    return calibration.hashes(ids, np.repeat(np.arange(len(rows)), [len(row) for row in rows]))


def made(*, table: bool = True, states: bool = True) -> Calibration:
    dice = np.random.default_rng(0)
    keys = np.sort(np.concatenate(hashed([[1, 2, 3, 4], [5, 5]])))
    rows = [dice.integers(-127, 128, (count, SIZE)).astype(np.int8) for count in (VOCABULARY, len(keys))]
    projection = Projection(1, dice.normal(size=WIDTH).astype(np.float32), dice.normal(size=(WIDTH, SIZE)).astype(np.float32))
    return Calibration(SIZE, Table(rows[0], keys, rows[1], 0.05) if table else None, projection if states else None)


def by_hand(of: Calibration, ids: list[int], states: np.ndarray) -> np.ndarray:
    total = np.zeros(SIZE)
    if of.table:
        rows = [of.table.pieces[i] for i in ids]
        for length in range(2, calibration.LONGEST + 1):
            for at in range(len(ids) - length + 1):
                key = hashed([ids[at : at + length]])[length - 2]
                rows += [of.table.sequences[place] for place in np.flatnonzero(of.table.keys == key)]
        total += sum(row.astype(float) for row in rows) * of.table.scale / len(ids)
    if of.states:
        total += (states.astype(float).mean(0) - of.states.centre) @ of.states.weight
    return total / np.linalg.norm(total)


@pytest.mark.parametrize("parts", [{}, {"table": False}, {"states": False}])
@given(ids=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_a_vector_is_what_the_formula_says(parts, ids, seed):
    of, states = made(**parts), np.random.default_rng(seed).normal(size=(len(ids), WIDTH)).astype(np.float32)
    found = calibration.vector(of, np.array(ids), states)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(of, ids, states), atol=1e-5)


@given(texts)
def test_texts_laid_end_to_end_have_their_own_sequences(rows):
    together, apart = hashed(rows), [hashed([row]) for row in rows]
    for length, found in enumerate(together):
        wanted = [of[length] for of in apart]
        np.testing.assert_array_equal(found, np.concatenate(wanted) if wanted else np.zeros(0, np.uint32))


def test_sequences_differ_by_their_pieces_their_order_and_their_length():
    rows = [[a, b, c] for a in range(12) for b in range(12) for c in range(12)]
    pairs, triples = (np.unique(found) for found in hashed(rows))
    assert (len(pairs), len(triples)) == (12**2, 12**3)
    assert not np.intersect1d(pairs, triples).size


@given(st.lists(st.integers(0, 50), unique=True), st.lists(st.integers(0, 50)))
def test_what_is_among_the_keys_is_found_there(keys, wanted):
    ascending = np.array(sorted(keys), np.uint32)
    found = calibration.found_in(ascending, np.array(wanted, np.uint32))
    assert [sorted(keys).index(value) if value in keys else -1 for value in wanted] == found.tolist()


def test_a_text_of_which_nothing_is_known_has_zeros():
    of = made(states=False)
    np.testing.assert_array_equal(calibration.vector(of, np.zeros(0, np.int64), None), np.zeros(SIZE))
    none = Calibration(SIZE, Table(np.zeros_like(of.table.pieces), of.table.keys[:0], of.table.sequences[:0], 1.0), None)
    np.testing.assert_array_equal(calibration.vector(none, np.array([1, 2]), None), np.zeros(SIZE))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_similarity_is_the_cosine_in_every_float_type(kind):
    a, b = np.array([[300.0, 0.0], [0.0, 0.0]], kind), np.array([[300.0, 400.0], [-1.0, 0.0]], kind)
    found = vectors.similarity(a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, -1.0], [0.0, 0.0]], atol=1e-3)


def test_no_cosine_is_above_one():
    rows = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32)
    assert np.abs(vectors.similarity(rows, 3 * rows)).max() <= 1


@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9), st.permutations(range(VOCABULARY)))
def test_pieces_with_other_ids_have_the_sequences_of_the_numbers_they_are_hashed_by(ids, order):
    of = made(states=False)
    moved = Table(of.table.pieces[order], of.table.keys, of.table.sequences, of.table.scale, np.array(order, np.uint32))
    again = np.argsort(order)[ids]
    np.testing.assert_array_equal(calibration.summed(moved, again), calibration.summed(of.table, np.array(ids)))
