from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuners import EXTRACTOR

import xlmr
from xlmr import encoder as encoders
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks import extractors
from xlmr.tasks.answering import Answer, answer_each, windows

QUESTION = "where is the cat?"
CONTEXTS = ["the cat sleeps in the house, the dog in the city.", "кошка в доме книга", "家の猫 本", "the cat drinks water, " * 30]
with_a_model = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@pytest.fixture(scope="module")
def model(tuned: Callable[..., Path]) -> xlmr.Model:
    return xlmr.load(tuned(EXTRACTOR), threads=1)


@pytest.fixture(scope="module")
def theirs(tuned: Callable[..., Path]) -> tuple[Any, Any]:
    """The tokenizer and the model of transformers."""
    transformers = pytest.importorskip("transformers")
    folder = tuned(EXTRACTOR)
    return transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()


def rows(cutter: Any, question: str, context: str, longest: int, stride: int) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """As `run_qa` of transformers makes them: ids, and for those of the context its slices, for others (0, 0)."""
    found = cutter(
        question, context, truncation="only_second", max_length=longest, stride=stride, return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )  # fmt: skip
    offsets = [
        [place if of == 1 else (0, 0) for place, of in zip(places, found.sequence_ids(i), strict=True)]
        for i, places in enumerate(found.offset_mapping)
    ]
    return found.input_ids, offsets


def searched(theirs: tuple[Any, Any], question: str, context: str, longest: int) -> tuple[dict[tuple[int, int], float], float]:
    """Every answer there can be and its score, and the score of none, from the logits of transformers: by brute force."""
    import torch

    cutter, of = theirs
    scores: dict[tuple[int, int], float] = {}
    none = inf
    stride = (60 - len(cutter(question, add_special_tokens=False).input_ids)) // 2  # 128 are more than half a row of this model
    for ids, offsets in zip(*rows(cutter, question, context, 64, stride), strict=True):
        with torch.no_grad():
            out = of(torch.tensor([ids]))
        start, end = out.start_logits[0].tolist(), out.end_logits[0].tolist()
        none = min(none, start[0] + end[0])
        held = [i for i, (begin, stop) in enumerate(offsets) if stop > begin]
        for i in held:
            for j in (j for j in held if i <= j < i + longest):
                place = offsets[i][0], offsets[j][1]
                scores[place] = max(scores.get(place, -inf), start[i] + end[j])
    return scores, none


@given(st.integers(0, 90), st.integers(1, 300), st.integers(20, 80), st.integers(1, 30))
def test_rows_are_those_of_transformers(cutters: Any, question: int, context: int, longest: int, stride: int) -> None:
    ours, theirs = cutters
    asked, text = "cat " * min(question, (longest - 4) // 2, 64), "the dog, " * context
    room = longest - 4 - len(ours.encode(asked).ids[1:-1])
    wanted = rows(theirs, asked, text, longest, min(stride, room // 2))
    found = windows(ours, "cat " * question, text, longest, stride)
    assert [of.ids for of in found] == wanted[0]
    assert [[tuple(place) for place in of.offsets] for of in found] == [[tuple(place) for place in of] for of in wanted[1]]
    assert all(all(place == (0, 0) for place in of.offsets[: of.first] + of.offsets[of.last :]) for of in found)


@pytest.fixture(scope="module")
def cutters(tiny: Path) -> tuple[Any, Any]:
    transformers = pytest.importorskip("transformers")
    return encoders.load(tiny).tokenizer, transformers.AutoTokenizer.from_pretrained(tiny)


@pytest.mark.parametrize("context", CONTEXTS)
def test_answers_are_the_best_of_all_by_the_logits_of_transformers(context: str, model: xlmr.Model, theirs: tuple[Any, Any]) -> None:
    scores, none = searched(theirs, QUESTION, context, longest=5)
    ranked = sorted(scores.items(), key=lambda item: -item[1])[:20]
    powers = np.exp(np.array([score for _, score in ranked] + [none]) - none)
    found = model.answer(QUESTION, context, top=20, longest=5, threshold=-1e6)
    assert found[0] == Answer(None, None, None, pytest.approx(powers[-1] / powers.sum(), abs=1e-5))
    given = {(of.start, of.end): of.score for of in found[1:]}
    wanted = {place: power / powers.sum() for (place, _), power in zip(ranked, powers, strict=False)}
    for place in wanted.keys() & given.keys():
        assert given[place] == pytest.approx(wanted[place], abs=1e-5)
    assert len(wanted.keys() & given.keys()) >= min(len(scores), 18)  # equals, or nearly, may fall out at the end
    assert all(of.answer == context[of.start : of.end] for of in found[1:])


def test_there_is_none_where_its_score_is_above_the_best_by_more_than_the_threshold(model: xlmr.Model, theirs: tuple[Any, Any]) -> None:
    for context in CONTEXTS:
        scores, none = searched(theirs, QUESTION, context, longest=30)
        edge = none - max(scores.values())
        best = model.answer(QUESTION, context, threshold=edge + 1e-3)
        assert best.answer is not None
        assert scores[best.start, best.end] == pytest.approx(max(scores.values()), abs=1e-4)
        assert model.answer(QUESTION, context, threshold=edge - 1e-3) == Answer(None, None, None, pytest.approx(0.5, abs=0.5))
        assert (model.answer(QUESTION, context).answer is None) == (edge > 0)


def test_what_lies_beside_the_head_says_how_sure_and_how_long(tuned: Callable[..., Path], model: xlmr.Model) -> None:
    sure = xlmr.load(tuned(EXTRACTOR, attachments={"answering": extractors.pack(inf, 2)}), threads=1)
    for context in CONTEXTS:
        assert sure.answer(QUESTION, context) == model.answer(QUESTION, context, threshold=inf, longest=2)
        assert sure.answer(QUESTION, context, threshold=-inf).answer is None
    assert sure.answer(QUESTION, "", threshold=inf) == Answer(None, None, None, 1.0)


def test_a_probability_is_shared_with_that_there_is_none_unless_there_always_is_one(model: xlmr.Model) -> None:
    few = "cat dog"  # three answers
    shared = model.answer(QUESTION, few, top=9)
    assert len(shared) == 4
    assert sum(of.answer is None for of in shared) == 1
    assert sum(of.score for of in shared) == pytest.approx(1)
    assert [of.score for of in shared[1:]] == sorted((of.score for of in shared[1:]), reverse=True)
    always = model.answer(QUESTION, few, top=9, threshold=inf)
    assert [of.answer for of in always] == [of.answer for of in shared if of.answer]
    assert sum(of.score for of in always) == pytest.approx(1)


@with_a_model
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(st.characters(exclude_categories=["Cs"]), max_size=99))
def test_whatever_is_asked_an_answer_is_a_slice_that_is_not_empty(model: xlmr.Model, question: str, context: str) -> None:
    for of in model.answer(question, context, top=3):
        assert 0 <= of.score <= 1.000001
        if of.answer is None:
            assert of.start is of.end is None
        else:
            assert of.answer == context[of.start : of.end] != ""


def test_several_questions_have_one_context_or_each_its_own(model: xlmr.Model) -> None:
    alone = [model.answer(QUESTION, context) for context in CONTEXTS]
    together = model.answer([QUESTION] * 4, CONTEXTS)
    assert [(of.start, of.end) for of in together] == [(of.start, of.end) for of in alone]
    np.testing.assert_allclose([of.score for of in together], [of.score for of in alone], atol=1e-5)
    assert model.answer([QUESTION, QUESTION], CONTEXTS[0]) == model.answer([QUESTION] * 2, [CONTEXTS[0]] * 2)
    (best, *_), _ = model.answer([QUESTION, "the cat"], CONTEXTS[0], top=2)
    assert (best.start, best.end) == (alone[0].start, alone[0].end)
    for contexts in (CONTEXTS[:1], CONTEXTS[:3]):
        with pytest.raises(BadInput, match="wanted as many, or one context for all"):
            model.answer([QUESTION] * 2, contexts)


def test_what_cannot_be_answered_harms_no_other(model: xlmr.Model) -> None:
    pairs: list[Any] = [(QUESTION, CONTEXTS[0]), ("a" * 100_001, "b"), ("a", 3), "ab", BadInput("no line"), (QUESTION, CONTEXTS[0])]
    first, *wrong, last = answer_each(model, pairs)
    assert first == last
    assert [str(of) for of in wrong] == [
        "the text has 100,001 characters, and at most 100,000 are taken; split it",
        "found a int, wanted a text",
        "found 'ab', wanted a question and its context",
        "no line",
    ]
    (best, *others), *_ = answer_each(model, pairs[:1], top=3)
    assert best == pytest.approx(first) or (best.start, best.end) == (first.start, first.end)
    assert len(others) == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"threshold": nan}, "threshold is nan, wanted a number"),
        ({"threshold": "0"}, "threshold is '0', wanted a number"),
        ({"top": 0}, "top is 0, wanted a whole number from 1"),
        ({"longest": 0}, "longest is 0, wanted a whole number from 1 to 384"),
        ({"stride": True}, "stride is True, wanted a whole number"),
    ],
)
def test_wrong_options_are_told(model: xlmr.Model, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        model.answer(QUESTION, CONTEXTS[0], **options)


def test_a_head_that_transformers_saved_answers_here(tiny: Path, tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    torch.manual_seed(2)
    of = transformers.AutoModelForQuestionAnswering.from_pretrained(tiny).eval()
    torch.nn.init.normal_(of.qa_outputs.weight)
    of.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    cutter = transformers.AutoTokenizer.from_pretrained(tiny)
    for context in CONTEXTS:
        scores, _ = searched((cutter, of), QUESTION, context, longest=30)
        best = xlmr.load(tmp_path, threads=1).answer(QUESTION, context, threshold=inf)
        assert scores[best.start, best.end] == pytest.approx(max(scores.values()), abs=1e-4)


def test_a_head_with_other_outputs_is_refused(tuned: Callable[..., Path], tmp_path: Path) -> None:
    import json

    from safetensors.numpy import load_file, save_file

    for path in tuned(EXTRACTOR).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arrays = load_file(tmp_path / "model.safetensors")
    for name in ("qa_outputs.weight", "qa_outputs.bias"):
        arrays[name] = np.concatenate([arrays[name], arrays[name][:1]])
    save_file(arrays, tmp_path / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [EXTRACTOR]
    with pytest.raises(BadCheckpoint, match="head for question answering has 3 outputs, wanted 2"):
        xlmr.load(tmp_path, threads=1).answer("a", "b")


def test_rows_without_room_are_refused(cutters: Any) -> None:
    with pytest.raises(BadInput, match="have 7 tokens together; wanted 8 at least"):
        windows(cutters[0], "a", "b", 7)
