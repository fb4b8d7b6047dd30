"""`finetune` as it is called, and what it makes as `classify`, `tag`, `answer` and `evaluate` read it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Done

pytest.importorskip("torch")

ROWS = [("the cat", "animal"), ("the dog reads", "animal"), ("the city", "place"), ("the house", "place")] * 4
NAMES = "the\tO\ncat\tB-animal\nreads\tO\n\ndog\tB-animal\ndog\tI-animal\n\n" * 6
ASKED = [{"id": "1", "question": "cat", "context": "the cat reads", "answers": [{"text": "reads", "answer_start": 8}]}] * 6
CONTENT = {
    "classify": ("tsv", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS)),
    "tag": ("conll", NAMES),
    "answer": ("jsonl", "".join(json.dumps(row) + "\n" for row in ASKED)),
}
QUICK = ("--epochs", 2, "--batch", 4, "--rate", "5e-3", "--measurements", 2)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for task, (suffix, content) in CONTENT.items():
        found[task] = tmp_path / f"{task}.{suffix}"
        found[task].write_text(content, encoding="utf-8")
    return found


@pytest.fixture
def finetune(run: Callable[..., Done], tiny: Path, files: dict[str, Path], tmp_path: Path) -> Callable[..., Done]:
    """`finetune(task, *options)`, into `tmp_path/out`; learns and measures the file of the task."""

    def call(task: str, *options: object, output: Path = tmp_path / "out") -> Done:
        data = ("--train", f"en={files[task]}", "--dev", f"de={files[task]}")
        return run("finetune", task, "--model", tiny, "--output", output, *data, *QUICK, *options)

    return call


@pytest.mark.parametrize("task", CONTENT)
def test_what_is_fine_tuned_is_served_and_scores_what_was_said(
    finetune: Callable[..., Done], run: Callable[..., Done], files: dict[str, Path], tmp_path: Path, task: str
) -> None:
    done = finetune(task)
    assert done.code == 0
    first, second, score, *_ = done.out.splitlines()
    assert first == str(tmp_path / "out")
    metric = {"classify": "accuracy", "tag": "f1", "answer": "f1"}[task]
    assert second.strip().startswith(f"{metric} on the development data, after step ")
    (line,) = run("evaluate", task, "--model", tmp_path / "out", f"de={files[task]}", "--json").lines
    assert line["metric"] == metric
    assert score.split()[:2] == ["de", f"{line['mean']:.3f}"]
    asked = ("--question", "cat", "--context", "the cat reads") if task == "answer" else ("the cat reads",)
    assert run(task, "--model", tmp_path / "out", *asked, "--json").code == 0


def test_options_reach_the_run(finetune: Callable[..., Done], tmp_path: Path) -> None:
    done = finetune("tag", "--crf", "--words", "mean", "--keep", "mean", "--accumulate", 2, "--by-layer", 0.9, "--freeze", 1,
                    "--temperature", 5, "--longest", 32, "--checkpointing", "--dropout", 0.2, "--warmup", 0.3, "--decay", 0.1,
                    "--head-rate", "1e-3", "--patience", 3, "--seed", 7)  # fmt: skip
    assert done.code == 0
    settings = json.loads((tmp_path / "out" / "finetuning.json").read_text(encoding="utf-8"))["settings"]
    wanted = {
        "task": "tag", "chain": True, "words": "mean", "keep": "mean", "accumulate": 2, "by_layer": 0.9, "freeze": "1", "temperature": 5.0,
        "longest": 32, "checkpointing": True, "dropout": 0.2, "warmup": 0.3, "decay": 0.1, "head_rate": 1e-3, "patience": 3, "seed": 7,
        "epochs": 2.0, "batch": 4, "rate": 5e-3, "measurements": 2, "lora": 0,
    }  # fmt: skip
    assert {name: settings[name] for name in wanted} == wanted


@pytest.mark.parametrize(("labels", "column", "problem"), [("several", "labels", "multi_label_classification"),
                                                           ("number", "label", "regression")])  # fmt: skip
def test_several_labels_and_numbers(finetune: Callable[..., Done], files: dict[str, Path], tmp_path: Path, labels: str, column: str,
                                    problem: str) -> None:  # fmt: skip
    values = ("animal|small", "", "place", "animal") if labels == "several" else ("1", "2.5", "-3", "0")
    rows = "".join(f"the cat {word}\t{value}\n" for word, value in zip(("reads", "drinks", "book", "water"), values, strict=True))
    files["classify"].write_text(f"text\t{column}\n{rows}", encoding="utf-8")
    assert finetune("classify", "--labels", labels).code == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["problem_type"] == problem


def test_adapters_learn_in_place_of_the_encoder(finetune: Callable[..., Done], tmp_path: Path) -> None:
    pytest.importorskip("peft")
    assert finetune("classify", "--lora", "--lora-rank", 2).code == 0
    assert json.loads((tmp_path / "out" / "finetuning.json").read_text(encoding="utf-8"))["settings"]["lora"] == 2


def test_without_peft_it_is_said_which_extra_has_it(finetune: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    done = finetune("classify", "--lora")
    assert done.code == 1
    assert "pip install 'xlmr[lora]'" in done.err
    assert not (tmp_path / "out").exists()


def test_several_seeds_have_a_mean_and_a_spread(finetune: Callable[..., Done], tmp_path: Path) -> None:
    done = finetune("classify", "--seed", 1, "--seed", 2)
    assert done.code == 0
    *_, one, two, last = done.out.splitlines()
    assert (str(tmp_path / "out" / "seed-1") in one, str(tmp_path / "out" / "seed-2") in two) == (True, True)
    assert last.startswith("  mean 0.")
    assert "standard deviation" in last


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--batch", 0), 1, "batch is 0, wanted 1 or more"),
        (("--rate", "nan"), 1, "rate is nan, wanted above 0"),
        (("--warmup", 2), 1, "warmup is 2.0, wanted from 0 to 1"),
        (("--freeze", 9), 1, "freeze is '9', wanted 'all', 'embeddings', or how many of the 2 layers"),
        (("--freeze", "all", "--lora"), 1, "freeze is 'all' beside lora"),
        (("--lora-rank", 4), 2, "there are none without --lora"),
        (("--keep", "first"), 2, "is not one of 'best', 'last', 'mean'"),
        (("--resume",), 1, "no run to resume"),
        (("--dev", "nowhere.tsv"), 1, "nowhere.tsv"),
        (("--crf",), 2, "No such option"),
        (("--labels", "number"), 1, "found 'animal' as the label, wanted a number"),
        (("--balanced", "--labels", "several"), 1, "balanced weights are for one label of several"),
        (("--seed", 1, "--seed", 1), 1, "wanted each once"),
        (("--longest", 4), 2, "4 is not in the range"),
    ],
)
def test_wrong_use_is_said_and_leaves_nothing(finetune: Callable[..., Done], tmp_path: Path, options: tuple[object, ...], code: int,
                                              said: str) -> None:  # fmt: skip
    done = finetune("classify", *options)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert not [*(tmp_path / "out").glob("*.safetensors")]


def test_data_of_another_task_is_told(run: Callable[..., Done], tiny: Path, files: dict[str, Path], tmp_path: Path) -> None:
    for task, other in (("classify", "tag"), ("tag", "answer"), ("answer", "classify")):
        done = run("finetune", task, "--model", tiny, "--train", files[other], "--output", tmp_path / "out")
        assert done.code == 1
        assert files[other].name in done.err


def test_a_model_with_another_head_says_which_command_fits(finetune: Callable[..., Done], run: Callable[..., Done], tmp_path: Path) -> None:
    assert finetune("tag").code == 0
    done = run("classify", "--model", tmp_path / "out", "the cat")
    assert done.code == 1
    assert "xlmr tag" in done.err


@pytest.mark.parametrize("task", CONTENT)
def test_help_has_examples(run: Callable[..., Done], task: str) -> None:
    done = run("finetune", task, "--help")
    assert done.code == 0
    assert f"xlmr finetune {task} " in done.out
