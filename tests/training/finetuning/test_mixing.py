from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xlmr.training.finetuning.mixing import Mixture, shares

ROWS = st.lists(st.sampled_from(["en", "de", "el", "sw"]), min_size=1, max_size=60)


def passed(mixture: Mixture, number: int = 0) -> list[int]:
    return [int(row) for step in range(mixture.steps) for row in mixture.rows(number * mixture.steps + step)]


@given(ROWS, st.integers(1, 9), st.integers(0, 9))
def test_as_they_are_each_pass_has_every_row_once(languages: list[str], batch: int, seed: int) -> None:
    mixture = Mixture(languages, batch, 1.0, seed)
    for number in (0, 1):
        assert sorted(passed(mixture, number)) == [*range(len(languages))]


@given(ROWS, st.integers(1, 9), st.floats(0, 1), st.integers(0, 9))
def test_a_pass_has_as_many_rows_as_there_are_and_steps_are_full_but_for_the_last(
    languages: list[str], batch: int, exponent: float, seed: int
) -> None:
    mixture = Mixture(languages, batch, exponent, seed)
    sizes = [len(mixture.rows(step)) for step in range(mixture.steps)]
    assert sum(sizes) == len(languages)
    assert sizes[:-1] == [batch] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= batch


@given(ROWS, st.floats(0, 1), st.integers(0, 9))
def test_rows_of_a_language_come_as_often_as_each_other_but_for_one(languages: list[str], exponent: float, seed: int) -> None:
    found = Counter(passed(Mixture(languages, 7, exponent, seed)))
    for language in {*languages}:
        times = [found[i] for i, of in enumerate(languages) if of == language]
        assert max(times) - min(times) <= 1


def test_shares_are_the_sizes_to_the_power_of_the_exponent() -> None:
    languages = ["en"] * 900 + ["de"] * 100
    counts = Counter(languages[i] for i in passed(Mixture(languages, 32, 0.5, 1)))
    assert counts == {"en": 750, "de": 250}  # 30 to 10
    assert Counter(languages[i] for i in passed(Mixture(languages, 32, 0.0, 1))) == {"en": 500, "de": 500}


@example(weights=[1.0, 1.0, 3.0], total=3)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=12), st.integers(0, 200))
def test_shares_sum_to_the_whole_and_are_near_their_part(weights: list[float], total: int) -> None:
    found = shares(np.array(weights), total)
    assert sum(found) == total
    assert min(found) >= (total >= len(weights))
    exact = np.array(weights) / np.sum(weights) * total
    assert all(of <= part + 1 or of == 1 for of, part in zip(found, exact, strict=True))


def test_a_step_depends_on_the_seed_and_its_number_alone() -> None:
    languages = ["en"] * 30 + ["de"] * 11
    one, other = Mixture(languages, 4, 0.3, 5), Mixture(languages, 4, 0.3, 5)
    wanted = [one.rows(step).tolist() for step in range(25)]
    assert [other.rows(step).tolist() for step in (24, 3, 17)] == [wanted[step] for step in (24, 3, 17)]  # asked in any order
    assert [Mixture(languages, 4, 0.3, 6).rows(step).tolist() for step in range(25)] != wanted


def test_passes_are_shuffled_anew() -> None:
    mixture = Mixture(["en"] * 40, 8, 1.0, 1)
    assert passed(mixture, 0) != passed(mixture, 1)
    assert passed(mixture, 0) != [*range(40)]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_of_more_languages_than_rows_can_be_shared_each_still_has_one(exponent: float) -> None:
    languages = ["en"] * 97 + ["de", "el", "sw"]
    assert {languages[i] for i in passed(Mixture(languages, 10, exponent, 1))} == {*languages}


@pytest.mark.parametrize("exponent", [1e4, float("inf")])
def test_at_the_lowest_temperature_a_pass_still_has_its_rows(exponent: float) -> None:
    languages = ["en"] * 60 + ["de"] * 30 + ["el"] * 10
    counts = Counter(languages[i] for i in passed(Mixture(languages, 8, exponent, 1)))
    assert counts == {"en": 98, "de": 1, "el": 1}
    assert len(passed(Mixture(["de"] * 9, 4, exponent, 1))) == 9
