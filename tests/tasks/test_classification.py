from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuners import CLASSIFIER, TAGGER, TOPICS

import xlmr
from xlmr import encoder as encoders
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tasks.classification import Label, classify_each, row

TEXTS = ["the cat drinks water.", "Das Haus ist groß", "кошка пьёт", "", "家 水 书", "the book and the house " * 40]
PAIRS = [
    ("the cat", "le chat boit"),
    ("the dog " * 50, "small"),
    ("small", "the dog " * 50),
    ("the cat " * 50, "das Buch " * 60),
    ("", "a"),
]
PROBLEMS = ["single_label_classification", "multi_label_classification", "regression", ""]


@pytest.fixture(scope="module")
def model(tuned: Callable[..., Path]) -> xlmr.Model:
    return xlmr.load(tuned(CLASSIFIER, TOPICS), threads=1)


def theirs(folder: Path, texts: list[Any]) -> np.ndarray:
    """The logits of transformers, which cuts as training with `truncation=True` does."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    of = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    cutter = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        found = [of(**cutter(*([text] if isinstance(text, str) else text), truncation=True, return_tensors="pt")).logits for text in texts]
    return torch.cat(found).numpy()


def scores(found: list[list[Label]], labels: tuple[str, ...]) -> np.ndarray:
    return np.array([[next(of.score for of in one if of.label == label) for label in labels] for one in found])


@pytest.mark.parametrize("problem", PROBLEMS)
def test_labels_are_those_of_transformers(problem: str, tuned: Callable[..., Path]) -> None:
    folder = tuned(CLASSIFIER, TOPICS, problem=problem)
    logits = theirs(folder, TEXTS)
    wanted = {
        "multi_label_classification": 1 / (1 + np.exp(-logits)),
        "regression": logits,
    }.get(problem, np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(scores(xlmr.load(folder, threads=1).classify(TEXTS), TOPICS), wanted, atol=2e-5)


def test_each_runtime_gives_the_same_labels(tuned: Callable[..., Path]) -> None:
    pytest.importorskip("torch")
    folder = tuned(CLASSIFIER, TOPICS)
    one, other = (scores(xlmr.load(folder, threads=1, runtime=name).classify(TEXTS), TOPICS) for name in ("onnx", "torch"))
    np.testing.assert_allclose(one, other, atol=2e-5)


def test_pairs_are_read_and_cut_as_by_transformers(tuned: Callable[..., Path]) -> None:
    folder = tuned(CLASSIFIER, TOPICS, problem="regression")
    np.testing.assert_allclose(scores(xlmr.load(folder, threads=1).classify(PAIRS), TOPICS), theirs(folder, PAIRS), atol=2e-5)


def test_one_label_alone_has_a_probability_as_a_reranker_has_it(tuned: Callable[..., Path]) -> None:
    folder = tuned(CLASSIFIER, ("fits",))
    ((found,), *_) = xlmr.load(folder, threads=1).classify(PAIRS)
    assert found == Label("fits", pytest.approx(1 / (1 + np.exp(-theirs(folder, PAIRS[:1])[0, 0])), abs=2e-5))


def test_a_head_that_transformers_saved_answers_here(tiny: Path, tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    torch.manual_seed(2)
    of = transformers.AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=3, problem_type="regression")
    torch.nn.init.normal_(of.classifier.out_proj.weight)
    of.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes((tiny / "tokenizer_config.json").read_bytes())
    found = scores(xlmr.load(tmp_path, threads=1).classify(TEXTS), ("LABEL_0", "LABEL_1", "LABEL_2"))
    np.testing.assert_allclose(found, theirs(tmp_path, TEXTS), atol=2e-5)
    assert np.ptp(found) > 0.1


def test_an_answer_is_ranked_and_does_not_depend_on_its_neighbours(model: xlmr.Model) -> None:
    together = model.classify(TEXTS)
    for text, found in zip(TEXTS, together, strict=True):
        assert [of.score for of in found] == sorted((of.score for of in found), reverse=True)
        assert sum(of.score for of in found) == pytest.approx(1, abs=1e-6)
        alone = model.classify(text)
        assert [of.label for of in alone] == [of.label for of in found]
        np.testing.assert_allclose([of.score for of in alone], [of.score for of in found], atol=1e-5)
        assert model.classify(text, top=1) == alone[:1]
    assert [[of.label for of in found] for found in model.classify(iter(TEXTS), stream=True)] == [
        [of.label for of in found] for found in together
    ]


def test_one_second_text_goes_with_every_first(model: xlmr.Model) -> None:
    assert model.classify(["the cat", "the dog"], pair="le chat") == model.classify([("the cat", "le chat"), ("the dog", "le chat")])
    assert model.classify("the cat", pair="le chat") != model.classify("the cat")


def test_what_cannot_be_answered_harms_no_other(model: xlmr.Model) -> None:
    texts: list[Any] = ["the cat", 3, "a" * 100_001, ("a", "b", "c"), ("a", 3), "the cat"]
    first, *wrong, last = classify_each(model, texts)
    assert first == last
    assert [of.label for of in first] == [of.label for of in model.classify("the cat")]
    assert [str(of) for of in wrong] == [
        "found a int, wanted a text",
        "the text has 100,001 characters, and at most 100,000 are taken; split it",
        "found 3 texts that belong together, wanted one or a pair",
        "found a int, wanted a text",
    ]
    with pytest.raises(BadInput, match="text 2: found a int, wanted a text"):
        model.classify(texts)
    with pytest.raises(BadInput, match="the text is a pair already"):
        model.classify([("a", "b")], pair="c")
    with pytest.raises(BadInput, match="top is 0, wanted a whole number from 1"):
        model.classify("a", top=0)


def test_a_model_without_such_a_head_says_what_to_do(tiny: Path, tuned: Callable[..., Path]) -> None:
    with pytest.raises(BadCheckpoint, match=r"no head for sequence classification \(the small model.*xlmr finetune classify --train"):
        xlmr.load(tiny, threads=1).classify("a")
    with pytest.raises(BadCheckpoint, match="head is for token classification, and it is for `xlmr tag`; wanted one for sequence class"):
        xlmr.load(tuned(TAGGER, TOPICS), threads=1).classify("a")


@given(st.integers(0, 90), st.integers(1, 90), st.integers(7, 40))  # of an empty second text transformers makes none
def test_a_pair_is_cut_as_transformers_cuts_it(cutters: Any, first: int, second: int, longest: int) -> None:
    ours, theirs = cutters
    pair = "cat " * first, "dog " * second
    assert row(ours, *pair, longest) == theirs(*pair, truncation=True, max_length=longest).input_ids


@pytest.fixture(scope="module")
def cutters(tiny: Path) -> tuple[Any, Any]:
    transformers = pytest.importorskip("transformers")
    return encoders.load(tiny).tokenizer, transformers.AutoTokenizer.from_pretrained(tiny)
