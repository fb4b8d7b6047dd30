from collections.abc import Iterator
from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.batching import PAUSE, group, run, windows

lengths = st.lists(st.integers(0, 40), max_size=60)
budgets = st.integers(1, 100)
sizes = st.integers(1, 20)


def cost(batch: list[int], of: list[int]) -> int:
    return len(batch) * max(of[i] for i in batch)


@given(lengths, budgets, sizes)
def test_answers_come_in_the_order_of_the_questions(items, budget, window):
    numbered = list(enumerate(items))
    answers = run(numbered, lambda item: item[1], lambda batch: [("answer", *item) for item in batch], budget=budget, window=window)
    assert list(answers) == [("answer", *item) for item in numbered]


@given(lengths, budgets)
def test_every_item_is_in_one_batch_and_batches_keep_the_budget(items, budget):
    batches = group(items, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(items)))
    assert all(cost(batch, items) <= budget or len(batch) == 1 for batch in batches)


@given(lengths, budgets)
def test_batches_hold_neighbours_in_length(items, budget):
    spans = sorted((min(items[i] for i in batch), max(items[i] for i in batch)) for batch in group(items, budget))
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


@given(lengths, budgets)
def test_no_two_batches_would_fit_in_one(items, budget):
    batches = sorted(group(items, budget), key=lambda batch: [(items[i], i) for i in batch])
    for first, second in pairwise(batches):
        assert cost([*first, second[0]], items) > budget


@given(lengths, budgets)
def test_sorting_never_takes_more_batches_than_taking_items_as_they_come(items, budget):
    as_they_come: list[list[int]] = []
    for i in range(len(items)):
        if not as_they_come or cost([*as_they_come[-1], i], items) > budget:
            as_they_come.append([])
        as_they_come[-1].append(i)
    assert len(group(items, budget)) <= len(as_they_come)


@given(st.integers(1, 30), st.integers(1, 30))
def test_no_more_than_a_window_is_read_ahead(window, wanted):
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        for i in count():
            read = i + 1
            yield i

    for given_so_far, answer in enumerate(islice(run(endless(), lambda _: 1, list, budget=7, window=window), wanted)):
        assert answer == given_so_far
        assert read <= given_so_far + window


def test_windows_grow():
    assert [len(window) for window in windows(range(30), 8)] == [1, 2, 4, 8, 8, 7]
    assert list(windows(range(7))) == [[0], [1, 2], [3, 4, 5, 6]]
    assert list(windows([])) == []


@given(st.lists(st.one_of(st.integers(), st.just(PAUSE))), sizes, sizes)
def test_what_was_read_before_a_pause_is_given_before_more_is_read(items, window, first):
    given_so_far: list[int] = []

    def source() -> Iterator[object]:
        for i, item in enumerate(items):
            if i and items[i - 1] is PAUSE:
                assert given_so_far == [earlier for earlier in items[:i] if earlier is not PAUSE]
            yield item

    for found in windows(source(), window, first=first):
        given_so_far += found
    assert given_so_far == [item for item in items if item is not PAUSE]


@given(st.lists(st.integers(0, 9)), st.integers(1, 30))
def test_a_window_ends_with_the_item_that_makes_it_heavy(items, heaviest):
    found = list(windows(items, first=512, weight=lambda item: item, heaviest=heaviest))
    assert [item for window in found for item in window] == items
    assert all(sum(window[:-1]) < heaviest for window in found)
    assert all(sum(window) >= heaviest for window in found[:-1])


def test_the_first_window_is_as_large_as_is_asked():
    assert [len(window) for window in windows(range(30), 8, first=8)] == [8, 8, 8, 6]


def test_an_answer_needs_no_more_items_than_twice_those_answered():
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    for answered, _ in enumerate(islice(run(endless(), lambda _: 1, list), 100)):
        assert read <= 2 * answered + 1


@given(st.integers(0, 40), budgets, sizes)
def test_what_was_read_before_an_error_is_answered_in_order(good, budget, window):
    def items() -> Iterator[int]:
        yield from range(good)
        raise OSError("broken off")

    answered: list[int] = []
    with pytest.raises(OSError, match="broken off"):
        answered.extend(run(items(), lambda item: item % 7, list, budget=budget, window=window))
    assert answered == list(range(good))


def test_nothing_is_read_before_an_answer_is_asked_for():
    def items() -> Iterator[int]:
        raise AssertionError("read too early")
        yield 0

    run(items(), lambda _: 1, list)


def test_the_first_answer_does_not_wait_for_the_window():
    answered: list[int] = []
    answers = run([9, 1, 1, 1, 9, 9], lambda item: item, lambda batch: answered.extend(batch) or batch, budget=9)
    assert next(answers) == 9
    assert answered == [9]


def test_items_without_length_cost_nothing():
    assert group([0] * 1000, 1) == [list(range(1000))]


def test_a_missing_answer_is_a_mistake():
    with pytest.raises(ValueError, match="shorter"):
        list(run([1, 2], lambda item: item, lambda batch: batch[:-1], budget=100))
