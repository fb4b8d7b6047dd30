"""What holds for every task: rows, batches, losses that depend on nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import NOUNS

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadLine
from xlmr.examples import Asked, Classified, Tagged
from xlmr.limits import CHARACTERS
from xlmr.runtimes.torch import load
from xlmr.training.finetuning import lessons, runs
from xlmr.training.finetuning.answers import Answering
from xlmr.training.finetuning.classes import Classification
from xlmr.training.finetuning.lessons import Learner, Lengths, Lesson
from xlmr.training.finetuning.tags import Tagging

LENGTHS = Lengths(40, 64)
WORDS = (*NOUNS["en"], *NOUNS["de"])


def examples(task: str, count: int) -> list[Any]:
    dice = np.random.default_rng(3)
    made: list[Any] = []
    for i in range(count):
        words = tuple(str(word) for word in dice.choice(WORDS, int(dice.integers(1, 90))))
        where, context = f"file: line {i + 1}", " ".join(words)
        if task == "tag":
            made.append(Tagged("en", words, tuple(("O", "B-X")[word == "cat"] for word in words), where))
        elif task == "answer":
            made.append(Asked("en", str(i), "dog", context, ((words[0], 0),) if i % 3 else (), where))
        else:
            made.append(Classified("en", context, "Hund" if i % 2 else None, (("a", "b")[i % 2],), where))
    return made


def lesson(task: str, tiny: Path) -> Lesson:
    tokenizer = tokenizers.open(tiny)
    return {
        "classify": lambda: Classification(tokenizer, checkpoint.open(tiny).config, LENGTHS, "single_label_classification", ["a", "b"]),
        "tag": lambda: Tagging(tokenizer, LENGTHS, ["O", "B-X", "I-X"], words="mean", chain=True),
        "answer": lambda: Answering(tokenizer, LENGTHS, stride=8, span=30, threshold=0.0),
    }[task]()


@pytest.fixture(params=["classify", "tag", "answer"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def learner(task: str, tiny: Path) -> Learner:
    torch.manual_seed(1)
    of, config = lesson(task, tiny), checkpoint.open(tiny).config
    return Learner(load(checkpoint.open(tiny)), of.head(config, 0.0), of).eval()


def test_rows_are_no_longer_than_said_and_each_example_has_one(learner: Learner, task: str) -> None:
    of, asked = learner._lesson, examples(task, 12)
    for served, longest in ((False, LENGTHS.learnt), (True, LENGTHS.served)):
        rows = of.rows(asked, served=served)
        assert longest - 2 <= max(len(row.ids) for row in rows) <= longest
        assert [*dict.fromkeys(row.example for row in rows)] == [*range(12)]


def test_the_loss_of_rows_is_the_sum_of_the_loss_of_each(learner: Learner, task: str) -> None:
    """So neither the order of rows, nor how a step is parted among processes and parts, nor length groups change it."""
    rows, config, device = learner._lesson.rows(examples(task, 9)), learner.encoder.config, torch.device("cpu")
    with torch.no_grad():
        together = learner(lessons.give(rows, config, device))
        backward = learner(lessons.give(rows[::-1], config, device))
        alone = sum(learner(lessons.give([row], config, device)) for row in rows)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together, backward, rtol=1e-5, atol=1e-4)


def test_predictions_come_as_the_rows_were_given(learner: Learner, task: str) -> None:
    rows, config, device = learner._lesson.rows(examples(task, 9)), learner.encoder.config, torch.device("cpu")

    def numbers(found: Any) -> np.ndarray:
        return np.stack([found.start, found.end]) if task == "answer" else found

    together = learner.predict(lessons.give(rows, config, device))
    for row, found in zip(rows, together, strict=True):
        (alone,) = learner.predict(lessons.give([row], config, device))
        np.testing.assert_allclose(numbers(found), numbers(alone), atol=2e-5)


def test_working_layers_out_again_changes_neither_loss_nor_gradient(learner: Learner, task: str) -> None:
    given = lessons.give(learner._lesson.rows(examples(task, 5)), learner.encoder.config, torch.device("cpu"))
    found = []
    for again in (False, True):
        learner.train().encoder.checkpointing = again
        learner.zero_grad()
        torch.manual_seed(5)  # dropout's
        loss = learner(given)
        loss.backward()
        found.append([loss.detach(), *(of.grad.clone() for of in learner.parameters() if of.grad is not None)])
    assert len(found[0]) == len(found[1])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_every_parameter_of_a_learner_has_a_gradient_in_every_step(learner: Learner, task: str) -> None:
    """Several processes wait for each of them."""
    rows = learner._lesson.rows(examples(task, 40))
    shortest = min(rows, key=lambda row: len(row.ids))
    learner.encoder.head = None  # as a run has it
    learner(lessons.give([shortest], learner.encoder.config, torch.device("cpu"))).backward()
    assert [name for name, of in learner.named_parameters() if of.grad is None] == []


def test_what_cannot_be_read_is_told_with_its_place(task: str, tiny: Path) -> None:
    far = "x" * (CHARACTERS + 1)
    bad = {
        "classify": Classified("en", far, None, ("a",), "topics.tsv: line 7"),
        "tag": Tagged("en", (far,), ("O",), "names.conll: line 7"),
        "answer": Asked("en", "1", "who", far, (), "asked.jsonl: line 7"),
    }[task]
    with pytest.raises(BadLine, match=r"line 7: .*characters"):
        lesson(task, tiny).rows([bad])


def test_a_new_head_begins_as_hugging_faces_does_and_the_same_with_the_same_seed(task: str, tiny: Path) -> None:
    settings = runs.Settings(task=task, seed=3)
    a, b = (runs.build(checkpoint.open(tiny), lesson(task, tiny), settings)[0].head.state_dict() for _ in range(2))
    other = runs.build(checkpoint.open(tiny), lesson(task, tiny), runs.Settings(task=task, seed=4))[0].head.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["out.weight"], other["out.weight"])
    assert not a["out.bias"].any()
    assert 0.005 < a["out.weight"].std() < 0.05


def test_dropout_is_set_wherever_there_is_some(tiny: Path) -> None:
    opened = checkpoint.open(tiny)
    find: Callable[[Learner], list[float]] = lambda learner: [of.p for of in learner.modules() if isinstance(of, torch.nn.Dropout)]  # noqa: E731
    learner, _ = runs.build(opened, lesson("tag", tiny), runs.Settings(task="tag", dropout=0.3))
    assert {*find(learner)} == {0.3} == {layer.attention_dropout for layer in learner.encoder.layers}
    learner, _ = runs.build(opened, lesson("tag", tiny), runs.Settings(task="tag"))
    assert learner.head.dropout.p == (opened.config.dropout or runs.DROPOUT)
