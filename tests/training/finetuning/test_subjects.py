"""What is wrong with examples is told before anything is learnt: with file and line, what was found and what was wanted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadInput, BadLine
from xlmr.examples import Tagged
from xlmr.training.finetuning import subjects
from xlmr.training.finetuning.settings import Settings
from xlmr.training.finetuning.subjects import Subject

Prepare = Callable[..., Subject]
GOOD = {
    "classify": "text\tlabel\nthe cat\tanimal\nthe city\tplace\n",
    "tag": "the\tO\ncat\tB-animal\n",
    "answer": json.dumps({"id": "1", "question": "Who?", "context": "the cat", "answers": [{"text": "cat", "answer_start": 4}]}) + "\n",
}
SUFFIX = {"classify": "tsv", "tag": "conll", "answer": "jsonl"}


@pytest.fixture
def prepare(tiny: Path, tmp_path: Path) -> Prepare:
    """`prepare(task, train, dev, **settings)`: files with that in them, read."""
    opened = checkpoint.open(tiny)

    def make(task: str, train: str, dev: str | None = None, **chosen: object) -> Subject:
        sources = []
        for name, content in (("train", train), ("dev", dev)):
            path = tmp_path / f"{name}.{SUFFIX[task]}"
            path.write_text(content or "", encoding="utf-8")
            sources.append([f"en={path}"] if content is not None else [])
        return subjects.prepare(opened, tokenizers.open(tiny), *sources, Settings(task=task, **chosen))

    return make


BAD = {
    "empty file": ("classify", "", None, BadInput, r"train\.tsv: "),
    "header alone": ("classify", "text\tlabel\n", None, BadInput, r"train\.tsv: .*rows"),
    "no label column": ("classify", "text\tkind\nthe cat\tanimal\n", None, BadInput, r"train\.tsv: .*label"),
    "a column too few": ("classify", GOOD["classify"] + "the dog\n", None, BadLine, r"train\.tsv: line 4: .*"),
    "one class only": ("classify", "text\tlabel\nthe cat\ta\nthe dog\ta\n", None, BadInput, r"line 2 and all after it: every label is 'a'"),
    "unknown label": ("classify", GOOD["classify"], "text\tlabel\nthe cat\tanimals\n", BadLine,
                      r"dev\.tsv: line 2: has the label 'animals'.*animal, place; is it 'animal'\?"),
    "empty tags": ("tag", "", None, BadInput, r"train\.conll: "),
    "a tag missing": ("tag", GOOD["tag"] + "reads\n", None, BadLine, r"train\.conll: line 3: found 1 column"),
    "one tag only": ("tag", "the\tO\ncat\tO\n", None, BadInput, r"line 1 and all after it: every tag is 'O'; wanted two or more"),
    "unknown tag": ("tag", GOOD["tag"], "the\tB-place\n", BadLine, r"dev\.conll: line 1: word 1 of the sentence, 'the', has"),
    "breaks IOB2": ("tag", GOOD["tag"] + "\nthe\tO\ncat\tI-animal\n", None, BadLine,
                    r"line 4: word 2 .*'cat', has the tag 'I-animal' after O, which breaks IOB2; wanted B-animal or O there"),
    "breaks IOB2 in dev": ("tag", GOOD["tag"], "cat\tI-animal\n", BadLine, r"dev\.conll: line 1: .*breaks IOB2"),
    "empty answers": ("answer", "", None, BadInput, r"train\.jsonl: "),
    "not in its context": ("answer", GOOD["answer"].replace('"cat"', '"dog"'), None, BadLine, r"train\.jsonl: line 1: .*"),
    "no answer at all": ("answer", json.dumps({"id": "1", "question": "Who?", "context": "the cat", "answers": []}), None, BadInput,
                         r"line 1 and all after it: no question has an answer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_examples_are_told(prepare: Prepare, name: str) -> None:
    task, train, dev, error, said = BAD[name]
    with pytest.raises(error, match=said):
        prepare(task, train, dev)


def test_a_regression_wants_numbers(prepare: Prepare) -> None:
    with pytest.raises(BadLine, match=r"train\.tsv: line 3: found 'two' as the label, wanted a number"):
        prepare("classify", "text\tlabel\nthe cat\t1\nthe dog\ttwo\n", problem="regression")
    with pytest.raises(BadLine, match=r"line 2: found 'nan'"):
        prepare("classify", "text\tlabel\nthe cat\tnan\n", problem="regression")


def test_a_file_that_is_not_there_is_told(tiny: Path, tmp_path: Path) -> None:
    for task in GOOD:
        with pytest.raises(BadInput, match="missing"):
            subjects.prepare(checkpoint.open(tiny), tokenizers.open(tiny), [str(tmp_path / f"missing.{SUFFIX[task]}")], [],
                             Settings(task=task))  # fmt: skip
    with pytest.raises(BadInput, match="no examples to learn from; name at least one file"):
        subjects.prepare(checkpoint.open(tiny), tokenizers.open(tiny), [], [], Settings(task="tag"))


def test_what_was_read_is_counted(prepare: Prepare) -> None:
    found = prepare("classify", GOOD["classify"], GOOD["classify"])
    assert (len(found.train), len(found.dev)) == (2, 2)
    assert (found.said["examples"], found.said["languages"], found.said["labels"]) == (2, {"en": 2}, ("animal", "place"))


@pytest.mark.parametrize("task", GOOD)
def test_other_examples_have_another_digest_and_the_side_they_stand_on_counts(prepare: Prepare, task: str) -> None:
    good = GOOD[task]
    more = good.replace("cat", "dog")
    digests = [prepare(task, train, dev).digest for train, dev in ((good, None), (good, good), (more, None), (good, more), (good, None))]
    assert len({*digests}) == 4
    assert digests[0] == digests[-1]


def test_rows_that_are_learnt_may_be_shorter_than_those_that_serve(prepare: Prepare) -> None:
    lengths = {task: prepare(task, good, longest=20).lesson.lengths for task, good in GOOD.items()}  # type: ignore[attr-defined]
    assert {(of.learnt, of.served) for of in lengths.values()} == {(20, 64)}
    assert prepare("tag", GOOD["tag"], longest=1000).lesson.lengths.learnt == 64  # type: ignore[attr-defined]


def tagged(*tags: str) -> list[Tagged]:
    return [Tagged("en", ("x",) * len(tags), tags, "file: line 1")]


def test_of_spans_the_tags_that_are_not_there_but_may_follow_are_known_too() -> None:
    assert subjects.tags_of(tagged("O", "B-PER", "B-LOC", "I-LOC")) == ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
    assert subjects.tags_of(tagged("B", "O")) == ("O", "B", "I")
    assert subjects.tags_of(tagged("NOUN", "VERB")) == ("NOUN", "VERB")
    assert subjects.tags_of(tagged("NOUN", "B-PER")) == ("B-PER", "NOUN")  # some other scheme


def test_a_crf_of_too_many_tags_is_refused_before_it_fills_the_memory(prepare: Prepare) -> None:
    train = "".join(f"word{i}\tT{i}\n\n" for i in range(subjects.MOST_CHAINED + 1))
    with pytest.raises(BadInput, match=r"found 501 tags; .* leave out --crf"):
        prepare("tag", train, chain=True)
    assert len(prepare("tag", train).lesson.labels) == 501
