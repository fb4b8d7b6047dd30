"""Models with random heads, asked about examples whose right answers are what they say anyway, or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS, head, tuned

import xlmr
from xlmr.checkpoint import SavedHead
from xlmr.errors import BadCheckpoint, BadInput, BadLine
from xlmr.evaluation import examination
from xlmr.examples import Asked, Classified, Tagged
from xlmr.heads.classes import MULTI, REGRESSION

POS = ("NOUN", "VERB", "DET")
TEXTS = ["the cat drinks water", "Das Haus ist groß", "кошка пьёт", "家 水 书", "un livre", "the dog sleeps"]
CONTEXT = "the cat drinks water and the dog reads a book in the house"


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Callable[..., xlmr.Model]:
    folder = request.getfixturevalue("tuned")
    return lambda *of, **more: xlmr.load(folder(*of, **more), threads=1)


@pytest.fixture(scope="module")
def telling(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., xlmr.Model]:
    """`telling(labels, problem="")`: a model whose random classifier tells texts apart, though their states of `<s>` are close together."""
    states = xlmr.load(tiny, threads=1).embed(TEXTS, pooling="cls", raw=True)

    def make(labels: tuple[str, ...], problem: str = "") -> xlmr.Model:
        of = head(CLASSIFIER, states.shape[1], labels)
        dense = of.weights["task.dense.weight"] / states.std(0).mean()
        middle = {
            "task.dense.weight": dense,
            "task.dense.bias": -dense @ states.mean(0),
            "task.out.bias": np.zeros(len(labels), np.float32),
        }
        saved = SavedHead(CLASSIFIER, labels, {**of.weights, **middle}, problem)
        return xlmr.load(tuned(tiny, tmp_path_factory.mktemp("telling") / "model", saved), threads=1)

    return make


def classified(text: str, *labels: str, pair: str | None = None, language: str = "en", line: int = 2) -> Classified:
    return Classified(language, text, pair, labels, f"a.tsv: line {line}")


def tagged(words: str, tags: tuple[str, ...], language: str = "en") -> Tagged:
    return Tagged(language, tuple(words.split()), tags, "a.conll: line 5")


def test_what_the_model_says_anyway_is_all_right(telling):
    model = telling(TOPICS)
    said = [answer[0] for answer in model.classify(TEXTS)]
    assert len({of.label for of in said}) > 1
    found = examination.classify(model, [classified(text, of.label) for text, of in zip(TEXTS, said, strict=True)], rounds=10)
    assert (found.report.mean, found.report.metrics["macro_f1"].mean) == (1.0, 1.0)
    assert found.found == [(of.label,) for of in said]
    assert found.confidence == pytest.approx([of.score for of in said], abs=1e-6)


def test_pairs_are_asked_as_pairs(telling):
    model = telling(TOPICS)
    pairs = [("the cat", "der Hund"), ("le livre", "the dog reads"), ("house", "家")]
    said = [answer[0] for answer in model.classify(pairs)]
    alone = [answer[0].score for answer in model.classify([first for first, _ in pairs])]
    examples = [classified(text, "cats", pair=pair) for text, pair in pairs] + [classified(text, "cats") for text, _ in pairs]
    found = examination.classify(model, examples, rounds=0)
    assert found.found[:3] == [(of.label,) for of in said]
    assert found.confidence == pytest.approx([*(of.score for of in said), *alone], abs=1e-5)
    assert abs(found.confidence[:3] - found.confidence[3:]).min() > 1e-3


def test_of_several_labels_those_hold_that_are_likelier_than_not(telling):
    model = telling(TOPICS, MULTI)
    said = [tuple(of.label for of in answer if of.score >= 0.5) for answer in model.classify(TEXTS)]
    assert len({len(of) for of in said}) > 1
    found = examination.classify(model, [classified(text, *labels) for text, labels in zip(TEXTS, said, strict=True)], rounds=0)
    assert (found.report.metric, found.report.mean, found.report.metrics["accuracy"].mean) == ("micro_f1", 1.0, 1.0)
    assert all(0.5 <= sure <= 1 for sure in found.confidence)


def test_numbers_are_compared_with_numbers(load, telling):
    model = telling(("price",), REGRESSION)
    said = [answer[0].score for answer in model.classify(TEXTS)]
    found = examination.classify(model, [classified(text, repr(2 * of + 1)) for text, of in zip(TEXTS, said, strict=True)], rounds=0)
    assert (found.report.metric, found.report.mean) == ("pearson", pytest.approx(1))
    assert [float(number) for (number,) in found.found] == pytest.approx(said, abs=1e-5)
    with pytest.raises(BadInput, match="gives 3 numbers for a text, cats, dogs, houses; wanted one"):
        examination.classify(load(CLASSIFIER, TOPICS, problem=REGRESSION), [classified("a", "1")])


@pytest.mark.parametrize(("labels", "metric"), [(NAMES, "f1"), (POS, "accuracy")])
def test_each_given_word_has_one_tag(load, labels, metric):
    model = load(TAGGER, labels)
    said = model.tag_words([text.split() for text in TEXTS])
    examples = [tagged(text, of.tags, "de" if i % 2 else "en") for i, (text, of) in enumerate(zip(TEXTS, said, strict=True))]
    found = examination.tag(model, examples, rounds=0)
    assert (found.report.metric, found.report.metrics["accuracy"].mean) == (metric, 1.0)
    assert found.report.languages == {"de": 1.0, "en": 1.0}
    wrong = [tagged(text, (labels[0],) * len(text.split())) for text in TEXTS]
    assert examination.tag(model, wrong, rounds=0).report.metrics["accuracy"].mean < 1


def test_answers_are_found_in_their_contexts(load):
    model = load(EXTRACTOR)
    said = model.answer(TEXTS, CONTEXT, threshold=float("inf"))
    examples = [
        Asked("en", str(i), text, CONTEXT, ((of.answer, of.start),), "a.jsonl: line 1")
        for i, (text, of) in enumerate(zip(TEXTS, said, strict=True))
    ]
    found = examination.answer(model, examples, threshold=float("inf"), rounds=0)
    assert [found.report.metrics[name].mean for name in ("f1", "exact_match", "squad_f1")] == [1.0, 1.0, 1.0]
    assert found.found == [(of.answer,) for of in said]
    none = examination.answer(model, examples, threshold=-1e6, rounds=0)
    assert (none.report.mean, none.found) == (0.0, [()] * len(TEXTS))


def test_what_is_wrong_with_the_data_is_told_before_the_model_is_asked(load, monkeypatch):
    classifier, tagger = load(CLASSIFIER, TOPICS), load(TAGGER, NAMES)
    monkeypatch.setattr(type(classifier.runtime), "hidden_states", None)
    with pytest.raises(BadLine, match=r"a\.tsv: line 9: has the label 'birds', which the model does not know; it knows cats, dogs"):
        examination.classify(classifier, [classified("a", "cats"), classified("b", "birds", line=9)])
    with pytest.raises(BadLine, match=r"a\.conll: line 5: word 2 .* which breaks IOB2"):
        examination.tag(tagger, [tagged("a b", ("O", "I-LOC"))])


def test_an_example_that_cannot_be_answered_is_told_with_its_place(load):
    with pytest.raises(BadLine, match=r"a\.tsv: line 2: .*surrogate"):
        examination.classify(load(CLASSIFIER, TOPICS), [classified("a\ud800", "cats")])


def test_answers_pass_through_what_counts_them(load):
    seen = []

    def counted(answers):
        for answer in answers:
            seen.append(answer)
            yield answer

    examination.classify(load(CLASSIFIER, TOPICS), [classified(text, "cats") for text in TEXTS], counted=counted, rounds=0)
    assert len(seen) == len(TEXTS)


class TestRead:
    """The examples of files, as the model's head needs them."""

    def test_the_head_says_whether_there_may_be_several_labels(self, load, tmp_path):
        (tmp_path / "a.tsv").write_text("text\tlabels\nthe cat\tcats|dogs\n", encoding="utf-8")
        several = examination.read("classify", load(CLASSIFIER, TOPICS, problem=MULTI), [str(tmp_path / "a.tsv")])
        assert [of.labels for of in several] == [("cats", "dogs")]
        with pytest.raises(BadInput, match="read it as multi-label data"):
            examination.read("classify", load(CLASSIFIER, TOPICS), [str(tmp_path / "a.tsv")])

    def test_files_are_read_in_turn_and_only_some_languages_taken(self, load, tmp_path):
        for code in ("en", "wo"):
            (tmp_path / f"{code}.conll").write_text("a\tNOUN\n", encoding="utf-8")
        files, model = [f"{code}={tmp_path / code}.conll" for code in ("en", "wo")], load(TAGGER, POS)
        assert [of.language for of in examination.read("tag", model, files)] == ["en", "wo"]
        assert [of.language for of in examination.read("tag", model, files, ["wo", "fr"])] == ["wo"]
        with pytest.raises(BadInput, match="the data have no examples in de, fr"):
            examination.read("tag", model, files, ["German", "fr"])

    @pytest.mark.parametrize(("task", "fit"), [("classify", CLASSIFIER), ("tag", TAGGER), ("answer", EXTRACTOR)])
    def test_a_head_for_another_task_is_told_before_a_file_is_read(self, load, tiny, task, fit):
        other = load(TAGGER, POS) if fit != TAGGER else load(CLASSIFIER, TOPICS)
        for model in (other, xlmr.load(tiny, threads=1)):
            with pytest.raises(BadCheckpoint, match=f"xlmr finetune {task}"):
                examination.read(task, model, ["no such file"])
