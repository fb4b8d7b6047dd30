from hypothesis import given
from hypothesis import strategies as st

from xlmr.tasks.contexts import around


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
