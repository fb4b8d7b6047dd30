from hypothesis import given
from hypothesis import strategies as st

from xlmr.tasks.contexts import OVERLAP, around, windows


@given(st.integers(1, 300), st.data())
def test_a_window_is_as_long_as_can_be_and_has_what_it_is_around(tokens, data):
    first = data.draw(st.integers(0, tokens - 1))
    last = data.draw(st.integers(first, tokens - 1))
    room = data.draw(st.integers(last - first + 1, 310))
    begin, end = around(first, last, tokens, room)
    assert 0 <= begin <= first <= last < end <= tokens
    assert end - begin == min(room, tokens)


@given(st.integers(1, 300), st.data())
def test_both_sides_have_as_much_context_unless_the_text_ends(tokens, data):
    place = data.draw(st.integers(0, tokens - 1))
    room = data.draw(st.integers(1, 310))
    begin, end = around(place, place, tokens, room)
    left, right = place - begin, end - 1 - place
    assert abs(left - right) <= 1 or (left < right and begin == 0) or (right < left and end == tokens)
    assert max(left, right) >= min(room, tokens) // 2


@given(st.integers(0, 3000), st.integers(1, 600))
def test_windows_take_every_token_once_and_each_is_full(tokens, room):
    found = windows(tokens, room)
    assert [place for window in found for place in range(window.first, window.last)] == list(range(tokens))
    assert all(0 <= window.begin <= window.first < window.last <= window.end <= tokens for window in found) or not tokens
    assert {window.end - window.begin for window in found} == {min(tokens, room)}


@given(st.integers(1, 500), st.integers(1, 100))
def test_a_token_is_taken_where_it_has_most_context_on_the_side_where_it_has_less(tokens, room):
    found = windows(tokens, room)

    def context(window, place):
        left = place - window.begin if window.begin else tokens  # before the first token there is nothing to see
        right = window.end - 1 - place if window.end < tokens else tokens
        return min(left, right)

    for taken in found:
        for place in range(taken.first, taken.last):
            most = max(context(window, place) for window in found if window.begin <= place < window.end)
            assert context(taken, place) >= most - 1  # of an odd overlap the middle token could go either way
            assert context(taken, place) >= min(room // OVERLAP // 2, tokens) - 1


@given(st.integers(1, 2000), st.integers(4, 600))
def test_windows_cost_a_third_more_than_the_text_and_one_window(tokens, room):
    assert sum(window.end - window.begin for window in windows(tokens, room)) <= tokens * 4 / 3 + 2 * room
