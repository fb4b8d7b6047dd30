"""The head of texts that learns, against transformers, scikit-learn and NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadInput
from xlmr.examples import Classified
from xlmr.heads import classes as served
from xlmr.runtimes.torch import load
from xlmr.training.finetuning import classes, lessons
from xlmr.training.finetuning.classes import Classification
from xlmr.training.finetuning.lessons import Learner, Lengths

KNOWN = ("animal", "place", "thing")
TEXTS = ("the cat", "ein Haus und ein Buch", "the dog drinks water in the city", "книга", "")


def texts(*labels: tuple[str, ...]) -> list[Classified]:
    return [Classified("en", text, None, of, f"file: line {i}") for i, (text, of) in enumerate(zip(TEXTS, labels, strict=True), start=2)]


SINGLE = texts(("animal",), ("place",), ("animal",), ("thing",), ("animal",))
SEVERAL = texts(("animal", "thing"), (), ("place",), ("thing", "place"), ())
NUMBERS = texts(("0.5",), ("-2",), ("1e1",), ("3",), ("0",))
CASES = {
    "single_label_classification": (SINGLE, KNOWN),
    "multi_label_classification": (SEVERAL, KNOWN),
    "regression": (NUMBERS, (classes.NUMBER,)),
}


def learner(tiny: Path, problem: str, weights: np.ndarray | None = None) -> tuple[Learner, Classification]:
    torch.manual_seed(1)
    opened = checkpoint.open(tiny)
    lesson = Classification(tokenizers.open(tiny), opened.config, Lengths(64, 64), problem, CASES[problem][1], weights=weights)
    head = lesson.head(opened.config, 0.0)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return Learner(load(opened), head, lesson).eval(), lesson


def worked(of: Learner, lesson: Classification, examples: list[Classified]) -> tuple[torch.Tensor, np.ndarray, float]:
    rows = lesson.rows(examples)
    given = lessons.give(rows, of.encoder.config, torch.device("cpu"))
    with torch.no_grad():
        return of(given), np.stack(of.predict(given)), sum(row.weight for row in rows)


@pytest.mark.parametrize("problem", CASES)
def test_loss_and_logits_are_those_of_transformers(tiny: Path, tmp_path: Path, problem: str) -> None:
    transformers = pytest.importorskip("transformers")
    of, lesson = learner(tiny, problem)
    examples = CASES[problem][0]
    loss, logits, weight = worked(of, lesson, examples)
    head = checkpoint.SavedHead(lesson.architecture, lesson.labels, lesson.weights(of.head), problem)
    opened = checkpoint.open(tiny)
    checkpoint.save(tmp_path / "model", opened.config, checkpoint.weights(opened), tokenizer=tiny / "tokenizer.json", head=head)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    wanted = torch.tensor(np.stack([row.goal.wanted for row in lesson.rows(examples)]))
    wanted = wanted.argmax(1) if problem == served.SINGLE else wanted
    batch = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")([*TEXTS], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = theirs(**batch, labels=wanted)
    np.testing.assert_allclose(logits, found.logits.numpy(), atol=2e-5)
    assert loss.item() / weight == pytest.approx(found.loss.item(), abs=1e-5)


@pytest.mark.parametrize("problem", CASES)
def test_the_head_that_serves_says_the_same(tiny: Path, problem: str) -> None:
    of, lesson = learner(tiny, problem)
    states = torch.randn(7, 32)
    weights = {name.removeprefix("task."): values for name, values in lesson.weights(of.head).items()}
    np.testing.assert_allclose(of.head(states).detach().numpy(), served.logits(weights, states.numpy()), atol=1e-5)


def test_balanced_weights_are_those_of_scikit_learn_and_make_the_weighted_mean(tiny: Path) -> None:
    labels = [of.labels[0] for of in SINGLE]
    weights = classes.balanced(SINGLE, KNOWN)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.array(KNOWN), y=labels), rtol=1e-6)
    of, lesson = learner(tiny, served.SINGLE, weights)
    loss, logits, weight = worked(of, lesson, SINGLE)
    wanted = F.cross_entropy(torch.tensor(logits), torch.tensor([KNOWN.index(label) for label in labels]), torch.tensor(weights))
    assert loss.item() / weight == pytest.approx(wanted.item(), abs=1e-5)
    plain, lesson = learner(tiny, served.SINGLE)
    assert worked(plain, lesson, SINGLE)[0].item() != pytest.approx(loss.item(), abs=1e-3)


@pytest.mark.parametrize("problem", CASES)
def test_right_answers_are_worth_most_and_are_no_collapse(tiny: Path, problem: str) -> None:
    _, lesson = learner(tiny, problem)
    examples = CASES[problem][0]
    goals = np.stack([row.goal.wanted for row in lesson.rows(examples)])
    right = [*(goals if problem == served.REGRESSION else 2 * goals - 1)]
    statistic = next(iter(lesson.score(examples, right).statistics.values()))
    assert statistic(np.arange(len(examples))) == pytest.approx(1)
    assert lesson.collapsed(examples, right) is None


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("single_label_classification", "every text is labelled 'place'"),
        ("multi_label_classification", "every text is labelled 'place'"),
        ("regression", "every text is given the number -1"),
    ],
)
def test_all_alike_is_a_collapse_but_not_where_all_are_alike(tiny: Path, problem: str, said: str) -> None:
    _, lesson = learner(tiny, problem)
    same = [np.array([-1.0, 1.0, -1.0][: len(lesson.labels)], np.float32)] * 5
    assert lesson.collapsed(CASES[problem][0], same) == said
    assert lesson.collapsed([CASES[problem][0][0]] * 5, same) is None
    if problem == served.MULTI:
        assert lesson.collapsed(SEVERAL, [np.full(3, -1.0)] * 5) == "every text is labelled nothing"


def test_numbers_that_are_none_are_a_collapse(tiny: Path) -> None:
    for problem in CASES:
        _, lesson = learner(tiny, problem)
        assert lesson.collapsed(CASES[problem][0], [np.full(len(lesson.labels), np.nan)] * 5)


def test_labels_are_found_and_sorted_as_numbers_or_by_the_alphabet() -> None:
    assert classes.found_in(SINGLE, served.SINGLE) == KNOWN
    assert classes.found_in(texts(("10",), ("9",), ("9",), ("1",), ("1",)), served.SINGLE) == ("1", "9", "10")
    assert classes.found_in(SEVERAL, served.MULTI) == KNOWN
    assert classes.found_in(NUMBERS, served.REGRESSION) == ("score",)


def test_nothing_to_tell_apart_is_said_with_the_place() -> None:
    with pytest.raises(BadInput, match=r"file: line 2 and all after it: every label is 'a'; wanted 2 labels or more"):
        classes.found_in(texts(*[("a",)] * 5), served.SINGLE)
    with pytest.raises(BadInput, match="no example has a label; wanted 1 label"):
        classes.found_in(texts(*[()] * 5), served.MULTI)
    assert classes.found_in(texts(*[("a",), (), (), (), ()]), served.MULTI) == ("a",)
