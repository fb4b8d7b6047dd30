"""Answers in windows: which tokens are the answer, and what is learnt of a window."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.examples import Asked
from xlmr.runtimes.torch import load
from xlmr.tasks import answering, extractors
from xlmr.tasks.answering import Window
from xlmr.training.finetuning import answers, lessons
from xlmr.training.finetuning.answers import NONE, Answering
from xlmr.training.finetuning.lessons import Learner, Lengths


def lesson(tiny: Path, longest: int = 64, threshold: float = 0.0) -> Answering:
    return Answering(tokenizers.open(tiny), Lengths(longest, 64), stride=4, span=30, threshold=threshold)


def asked(context: str, answer: str | None) -> Asked:
    return Asked("en", "1", "dog", context, () if answer is None else ((answer, context.index(answer)),), "file: line 1")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["cat", "house", "水", "dogs", "Haus", ",", "книга"]), min_size=1, max_size=50), st.data())
def test_an_answer_of_whole_words_is_found_again_in_its_tokens(words: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(first + 3, len(words) - 1)))
    start = sum(len(word) + 1 for word in words[:first])
    context, text = " ".join(words), " ".join(words[first : last + 1])
    windows = answering.windows(TOKENIZER, "dog", context, 24, 8)
    spans = answers._spans(windows, (text, start))
    held = [(window, span) for window, span in zip(windows, spans, strict=True) if span != (NONE, NONE)]
    for window, (begin, end) in held:
        assert context[window.offsets[begin][0] : window.offsets[end][1]].strip() == text
    letters = {place for place in range(start, start + len(text)) if context[place] != " "}
    assert len(held) == sum(letters <= covered(window) for window in windows)


def covered(window: Window) -> set[int]:
    """The characters of the context that some token of a window stands for."""
    return {place for begin, stop in window.offsets[window.first : window.last] for place in range(begin, stop)}


@pytest.fixture(autouse=True, scope="module")
def _tokenizer(tiny: Path) -> None:
    global TOKENIZER
    TOKENIZER = tokenizers.open(tiny)


@pytest.mark.parametrize(
    ("context", "answer", "start", "found"),
    [
        (" the cat", " the", 0, "the"),
        ("the cat ", "cat ", 4, "cat"),
        ("the cat", "the cat", 0, "the cat"),
        ("the dogs read", "og", 5, "dog"),
        ("a , b", ",", 2, ","),
    ],
    ids=["space before", "space after", "all of it", "part of a word", "a sign"],
)
def test_tokens_of_an_answer_are_those_that_share_a_character_with_it(context: str, answer: str, start: int, found: str) -> None:
    (window,) = answering.windows(TOKENIZER, "dog", context, 40, 8)
    ((begin, end),) = answers._spans([window], (answer, start))
    assert begin != NONE
    assert found in context[window.offsets[begin][0] : window.offsets[end][1]]
    assert len(context[window.offsets[begin][0] : window.offsets[end][1]].strip()) <= len(found) + 1


def test_an_answer_that_no_window_holds_whole_is_none_in_all(tiny: Path) -> None:
    context = " ".join(["cat dog house"] * 12)
    rows = lesson(tiny, 16).rows([asked(context, context)])
    assert len(rows) > 3
    assert {(row.goal.start, row.goal.end) for row in rows} == {(NONE, NONE)}


def test_windows_without_the_answer_learn_that_there_is_none(tiny: Path) -> None:
    context = " ".join(["cat"] * 30 + ["book"])
    rows = lesson(tiny, 16).rows([asked(context, "book")])
    assert [row.goal.start == NONE for row in rows] == [True] * (len(rows) - 1) + [False]


def test_loss_is_that_of_transformers(tiny: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    of, opened = lesson(tiny), checkpoint.open(tiny)
    head = of.head(opened.config, 0.0)
    torch.nn.init.normal_(head.out.weight, std=0.5)
    learner = Learner(load(opened), head, of).eval()
    saved = checkpoint.SavedHead(of.architecture, (), of.weights(head))
    checkpoint.save(tmp_path / "model", opened.config, checkpoint.weights(opened), tokenizer=tiny / "tokenizer.json", head=saved)
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model").eval()
    rows = of.rows([asked("the cat reads a book", "a book"), asked("the house", None)])
    wanted = 0.0
    with torch.no_grad():
        for row in rows:
            places = {"start_positions": torch.tensor([row.goal.start]), "end_positions": torch.tensor([row.goal.end])}
            wanted += theirs(input_ids=torch.tensor(row.ids)[None], **places).loss.item()
        found = learner(lessons.give(rows, opened.config, torch.device("cpu")))
    assert found.item() == pytest.approx(wanted, abs=1e-4)


def predicted(of: Answering, example: Asked, starts: dict[int, float]) -> list[str | None]:
    rows = of.rows([example])
    windows = []
    for row in rows:
        logits = np.full(len(row.ids), -5.0)
        for token, value in starts.items():
            logits[token] = value
        windows.append(answering.with_logits(row.goal.window, np.stack([logits, logits], 1)))
    return of.join(torch.nn.Identity(), [example], rows, windows)


def test_the_threshold_says_when_there_is_no_answer(tiny: Path) -> None:
    example = asked("the cat reads", "cat")
    (row,) = lesson(tiny).rows([example])
    assert predicted(lesson(tiny), example, {0: 1.0, row.goal.start: 2.0}) == ["cat"]
    assert predicted(lesson(tiny), example, {0: 3.0, row.goal.start: 2.0}) == [None]
    assert predicted(lesson(tiny, threshold=2.5), example, {0: 3.0, row.goal.start: 2.0}) == ["cat"]
    assert predicted(lesson(tiny, threshold=float("inf")), example, {0: 30.0, row.goal.start: 2.0}) == ["cat"]


def test_no_answer_to_any_question_is_a_collapse_but_not_where_none_has_one(tiny: Path) -> None:
    of, example = lesson(tiny), asked("the cat reads", "cat")
    assert of.collapsed([example, example], [None, None]) == "no question is answered"
    assert of.collapsed([example, example], [None, "cat"]) is None
    assert of.collapsed([asked("the cat", None)], [None]) is None


def test_the_attachment_says_the_threshold_and_how_long_an_answer_is(tiny: Path) -> None:
    of = lesson(tiny, threshold=float("inf"))
    assert extractors.unpack(of.attachments(torch.nn.Identity())[extractors.NAME]) == (float("inf"), 30)
