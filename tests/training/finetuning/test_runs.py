"""The whole way: from examples to a folder that serves, and what is said on it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from made_up import log, losses
from safetensors import safe_open
from tuners import CLASSIFIER, EXTRACTOR, TAGGER

import xlmr
import xlmr.tokenizer
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.errors import BadInput, BadRecipe
from xlmr.evaluation.examination import EVALUATIONS, read
from xlmr.training import boards, loop
from xlmr.training.finetuning import runs
from xlmr.training.finetuning.runs import Tuned

Made = Callable[..., Tuned]
Tune = Callable[..., Tuned]
Write = Callable[[str, str, int], str]
TASKS = ("classify", "tag", "answer")
ARCHITECTURES = {"classify": CLASSIFIER, "tag": TAGGER, "answer": EXTRACTOR}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "classify": ("classify", {}),
    "balanced": ("classify", {"balanced": True, "dropout": 0.2, "keep": "mean"}),
    "tag": ("tag", {}),
    "field": ("tag", {"chain": True, "words": "mean", "keep": "last"}),
    "answer": ("answer", {"keep": "mean"}),
    "adapters": ("tag", {"lora": 4, "chain": True}),
    "frozen": ("classify", {"freeze": "all"}),
}


def served(folder: Path, task: str, sources: list[str], runtime: str = "onnx") -> dict[str, float]:
    """What `xlmr evaluate` says."""
    model = xlmr.load(folder, runtime=runtime, threads=1)
    return EVALUATIONS[task](model, read(task, model, sources), rounds=0).report.languages


@pytest.fixture(scope="module")
def dev(write: Callable[..., str]) -> Callable[[str], list[str]]:
    return lambda task: [write(task, "en", 12, 1), write(task, "de", 10, 1)]


# -- what comes of it --


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_what_a_run_says_is_what_the_served_model_scores(made: Made, dev: Callable[[str], list[str]], way: str, runtime: str) -> None:
    task, chosen = WAYS[way]
    found = made(task, **chosen)
    assert found.scores == pytest.approx(served(found.folder, task, dev(task), runtime), abs=1e-9)
    assert found.mean == pytest.approx(np.mean([*found.scores.values()]))


@pytest.mark.parametrize("task", TASKS)
def test_a_run_learns(made: Made, task: str) -> None:
    found = made(task, epochs=8, rate=2e-2, measurements=1)
    assert losses(found.folder)[-1] < 0.7 * losses(found.folder)[0]
    assert found.scores["en"] > 0.7


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_loads_in_transformers_with_equal_logits(made: Made, task: str) -> None:
    transformers = pytest.importorskip("transformers")
    folder = made(task).folder
    auto = {"classify": "SequenceClassification", "tag": "TokenClassification", "answer": "QuestionAnswering"}[task]
    theirs = getattr(transformers, f"AutoModelFor{auto}").from_pretrained(folder).eval()
    assert type(theirs).__name__ == ARCHITECTURES[task] == checkpoint.open(folder).task.architecture
    text = "the cat reads the book in the city"
    batch = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    model = xlmr.load(folder, threads=1)
    with torch.no_grad():
        found = theirs(**batch)
    states = model.runtime.hidden_states(batch["input_ids"].numpy())[0][0]
    weights = {name.removeprefix("task."): of for name, of in checkpoint.head_weights(checkpoint.open(folder)).items()}
    if task == "classify":
        shares = torch.softmax(found.logits[0], -1).numpy()
        assert {of.label: of.score for of in model.classify(text)} == pytest.approx(
            {theirs.config.id2label[i]: float(share) for i, share in enumerate(shares)}, abs=1e-5
        )
        return
    wanted = found.logits[0] if task == "tag" else torch.stack([found.start_logits[0], found.end_logits[0]], 1)
    np.testing.assert_allclose(states @ weights["out.weight"].T + weights["out.bias"], wanted.numpy(), atol=2e-5)


def test_labels_are_stored_in_their_order(made: Made) -> None:
    assert checkpoint.open(made("classify").folder).task.labels == ("animal", "place", "thing")
    assert checkpoint.open(made("tag").folder).task.labels[0] == "O"
    assert checkpoint.open(made("classify").folder).config.problem == "single_label_classification"


def test_the_mean_of_weights_is_measured_itself(tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The score that is said is that of what is written, not of the last measurement."""
    whole, heads = runs.FineTuning.predict, []

    def seen(self: runs.FineTuning) -> list[Any]:
        heads.append(self.learner.head.state_dict()["out.weight"].clone().numpy())
        return whole(self)

    monkeypatch.setattr(runs.FineTuning, "predict", seen)
    found = tune(tmp_path / "model", "classify", keep="mean")
    written = checkpoint.head_weights(checkpoint.open(found.folder))["task.out.weight"]
    assert len(heads) == 4
    np.testing.assert_array_equal(heads[-1], written)
    np.testing.assert_allclose(written, np.mean(heads[:-1], axis=0), atol=1e-6)
    assert not np.allclose(heads[-2], written, atol=1e-6)


def test_long_texts_are_measured_as_they_are_served(tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut or in windows, and rows that are learnt may be shorter than those that serve."""
    words = [("the", "O"), ("cat", "B-animal"), ("cat", "I-animal"), ("reads", "O"), ("books", "B-thing")]
    long = "".join(f"{word}\t{tag}\n" for word, tag in words * 30)
    (tmp_path / "long.conll").write_text(f"{long}\n{long[: len(long) // 2].rsplit(chr(10), 1)[0]}\n", encoding="utf-8")
    rows = "".join(f"{'the cat reads ' * n}\t{('animal', 'thing')[n % 2]}\n" for n in (1, 2, 20, 50, 51))
    (tmp_path / "long.tsv").write_text("text\tlabel\n" + rows, encoding="utf-8")
    context = "the cat reads , " * 60 + "the dog sleeps"
    asked = [{"id": str(i), "question": noun, "context": context, "answers": [{"text": verb, "answer_start": context.index(verb)}]}
             for i, (noun, verb) in enumerate([("dog", "sleeps"), ("cat", "reads")])]  # fmt: skip
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked), encoding="utf-8")
    whole, longest = runs.FineTuning.predict, list[int]()

    def seen(self: runs.FineTuning) -> list[Any]:
        longest[:] = [max(len(row.ids) for row in rows) for rows in (self.rows, self.asked)]
        return whole(self)

    monkeypatch.setattr(runs.FineTuning, "predict", seen)
    for task, suffix, chosen in (("tag", "conll", {"chain": True}), ("classify", "tsv", {}), ("answer", "jsonl", {"stride": 3})):
        source = [f"en={tmp_path}/long.{suffix}"]
        found = tune(tmp_path / task, task, train=source, dev=source, longest=24, epochs=3, batch=2, measurements=1, **chosen)
        assert found.scores == pytest.approx(served(found.folder, task, source), abs=1e-9)
        assert longest[0] <= 24 < 60 < longest[1] <= 64


@pytest.mark.parametrize(("problem", "metric"), [("multi_label_classification", "micro_f1"), ("regression", "pearson")])
def test_several_labels_and_numbers_serve_too(tune: Tune, tmp_path: Path, problem: str, metric: str) -> None:
    several = problem.startswith("multi")
    rows = [("the cat", "animal|small", 1.5), ("the dog reads", "animal", 2), ("the city", "", -3), ("a small book", "small", 0.25)]
    lines = "".join(f"{text}\t{labels if several else number}\n" for text, labels, number in rows * 4)
    (tmp_path / "data.tsv").write_text(f"text\t{'labels' if several else 'label'}\n{lines}", encoding="utf-8")
    source = [f"en={tmp_path / 'data.tsv'}"]
    found = tune(tmp_path / "model", "classify", train=source, dev=source, problem=problem, epochs=10)
    assert (found.metric, found.mean) == (metric, pytest.approx(served(found.folder, "classify", source)["en"], abs=1e-6))
    assert found.mean > 0.8
    assert checkpoint.open(found.folder).task.labels == (("animal", "small") if several else ("score",))


def test_pairs_of_texts_are_measured_as_they_are_served(tune: Tune, tmp_path: Path) -> None:
    nouns = ("cat", "dog", "house", "water")
    rows = "".join(f"the {a} reads\tthe {b} {b}\t{('same', 'other')[a == b]}\n" for a in nouns for b in nouns)
    (tmp_path / "pairs.tsv").write_text("text\ttext_pair\tlabel\n" + rows, encoding="utf-8")
    source = [str(tmp_path / "pairs.tsv")]
    found = tune(tmp_path / "model", "classify", train=source, dev=source, epochs=4, balanced=True)
    assert found.scores == served(found.folder, "classify", source)
    assert {*found.scores} == {"und"}


def test_a_report_lies_beside_the_model_and_nothing_of_the_run_is_left(made: Made, tiny: Path) -> None:
    found = made("tag")
    report = json.loads((found.folder / runs.REPORT).read_text(encoding="utf-8"))
    assert (report["task"], report["metric"], report["mean"], report["languages"]) == ("tag", "f1", found.mean, dict(found.scores))
    assert report["data"]["examples"] == 48
    assert report["data"]["languages"] == {"en": 48}
    assert report["settings"]["batch"] == 8
    assert (report["model"], report["revision"]) == (str(tiny), None)
    assert not (found.folder / runs.RUN).exists()
    assert [line["step"] for line in log(found.folder) if "heldout" in line] == [2, 4, 6]
    assert [line["step"] for line in log(found.folder) if "loss" in line] == [*range(1, 7)]


def test_the_same_seed_gives_the_same_model_and_another_one_another(made: Made, tune: Tune, tmp_path: Path) -> None:
    again, other = tune(tmp_path / "again", "classify"), tune(tmp_path / "other", "classify", seed=2)
    first = checkpoint.weights(checkpoint.open(made("classify").folder))
    assert _equal(first, checkpoint.weights(checkpoint.open(again.folder)))
    assert not _equal(first, checkpoint.weights(checkpoint.open(other.folder)))


def _equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_model_with_sentencepieces_file_alone_has_a_tokenizer_json_in_the_end(
    tiny: Path, tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (tiny / "tokenizer.json").read_bytes()
    other = tmp_path / "model"
    shutil.copytree(tiny, other)
    (other / "sentencepiece.bpe.model").write_bytes(b"pieces")
    (other / "tokenizer.json").unlink()
    opened = xlmr.tokenizer.open(tiny)
    monkeypatch.setattr(runs.tokenizers, "open", lambda folder: opened)
    monkeypatch.setattr(runs, "from_sentencepiece", lambda content: {b"pieces": made.decode()}[content])
    found = tune(tmp_path / "tuned", "tag", model=other)
    assert (found.folder / "tokenizer.json").read_bytes() == made


# -- which parameters learn --


def test_frozen_parts_stay_as_they_are(made: Made, tune: Tune, tiny: Path, tmp_path: Path) -> None:
    before = checkpoint.weights(checkpoint.open(tiny))
    assert _equal({name: of for name, of in before.items() if not name.startswith("head.")},
                  checkpoint.weights(checkpoint.open(made("classify", freeze="all").folder)))  # fmt: skip
    partly = checkpoint.weights(checkpoint.open(tune(tmp_path / "partly", "classify", freeze="1").folder))
    changed = {name for name in partly if not np.array_equal(partly[name], before[name])}
    assert changed == {name for name in partly if name.startswith("layers.1.")}


def test_with_a_frozen_encoder_all_that_was_fitted_for_it_is_carried_along(speaking: Path, tune: Tune, tmp_path: Path) -> None:
    frozen = tune(tmp_path / "frozen", "tag", model=speaking, freeze="all")
    assert frozen.dropped == ()
    assert {*attachments.names(frozen.folder)} == {"languages", "tagging"}
    text = "der Hund schläft"
    assert xlmr.load(frozen.folder, threads=1).identify_language(text) == xlmr.load(speaking, threads=1).identify_language(text)
    whole = tune(tmp_path / "whole", "tag", model=speaking)
    assert whole.dropped == ("languages",)
    assert attachments.names(whole.folder) == ["tagging"]


def test_the_attachment_of_an_earlier_head_is_not_carried_along(made: Made, tune: Tune, tmp_path: Path) -> None:
    found = tune(tmp_path / "model", "classify", model=made("tag").folder, freeze="all")
    assert attachments.names(found.folder) == []
    assert found.dropped == ()
    assert checkpoint.open(found.folder).task.architecture == CLASSIFIER


# -- what is said --


def test_a_folder_that_holds_something_is_left_alone(tune: Tune, made: Made, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(BadInput, match=r"holds letter\.txt; choose a new or empty folder"):
        tune(tmp_path / "notes", "classify")
    with pytest.raises(BadInput, match="is a file; wanted a new folder"):
        tune(tmp_path / "notes" / "letter.txt", "classify")
    with pytest.raises(BadInput, match="holds a model already; choose another folder"):
        tune(made("classify").folder, "classify")
    with pytest.raises(BadInput, match="the run has ended; holds a model already"):
        tune(made("classify").folder, "classify", resume=True)
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["letter.txt"]


def test_collapse_is_said_also_without_development_data(tune: Tune, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = tune(tmp_path / "model", "classify", rate=5e-3, epochs=2, dev=[])
    assert "every text is labelled" in capsys.readouterr().err
    assert (found.scores, found.mean, found.metric) == ({}, None, "")
    assert not [line for line in log(found.folder) if "heldout" in line]
    tune(tmp_path / "well", "classify", epochs=8, rate=2e-2, measurements=1)
    assert "every text" not in capsys.readouterr().err


def test_without_development_data_the_last_weights_are_kept_or_their_mean(tune: Tune, tmp_path: Path) -> None:
    best, last, mean = (tune(tmp_path / keep, "classify", keep=keep, dev=[]).folder for keep in ("best", "last", "mean"))
    weights = {folder.name: checkpoint.weights(checkpoint.open(folder)) for folder in (best, last, mean)}
    assert _equal(weights["best"], weights["last"])
    assert not _equal(weights["mean"], weights["last"])
    with pytest.raises(BadRecipe, match="patience is 2, and there are no development data"):
        tune(tmp_path / "patient", "classify", patience=2, dev=[])


def _broken(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Losses of some steps are no number."""
    whole, seen = runs.FineTuning.loss, []

    def loss(self: runs.FineTuning, part: Any, processes: int) -> Any:
        found, addends = whole(self, part, processes)
        seen.append(1)
        return (found * float("nan"), {"loss": found * float("nan")}) if len(seen) - 1 in steps else (found, addends)

    monkeypatch.setattr(runs.FineTuning, "loss", loss)


def test_a_gradient_that_is_no_number_is_said_and_changes_nothing(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _broken(monkeypatch, {2, 3})
    found = tune(tmp_path / "model", "classify")
    said = capsys.readouterr().err
    assert "step 2: the gradient is not finite, so it changes nothing (1 such steps, 1 in a row)" in said
    assert "step 3: the gradient is not finite, so it changes nothing (2 such steps, 2 in a row)" in said
    assert ["loss" in line for line in log(found.folder) if "rate" in line] == [i not in (2, 3) for i in range(6)]
    assert all(np.isfinite(of).all() for of in checkpoint.weights(checkpoint.open(found.folder)).values())


def test_a_run_whose_gradients_stay_no_numbers_stops(tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _broken(monkeypatch, {*range(100)})
    monkeypatch.setattr(loop, "SKIPS", 4)
    with pytest.raises(BadRecipe, match="step 3: the gradient was not finite 4 times in a row; lower the rate, or look at the data"):
        tune(tmp_path / "model", "classify")
    assert not (tmp_path / "model" / "config.json").exists()


def test_every_number_of_the_log_is_on_the_board(tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            Path(folder).mkdir(parents=True)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, step))

        def flush(self) -> None: ...

        def close(self) -> None:
            told.append(("closed", 0))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    found = tune(tmp_path / "model", "classify")
    said = [(name, line["step"]) for line in log(found.folder) for name, _ in boards.numbers(line)]
    assert sorted(of for of in told if of[0] not in ("seconds", "closed")) == sorted(said)
    assert told[-1] == ("closed", 0)
    assert (found.folder / boards.NAME).is_dir()  # beside the model, when the run's own folder has gone
    assert xlmr.load(found.folder, threads=1).classify("the cat")


@pytest.fixture
def another_precision() -> Iterator[None]:
    """accelerate keeps one precision for a whole process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("another_precision")
def test_bf16_learns_about_the_same_and_is_kept_and_measured_in_float32(
    tune: Tune, made: Made, dev: Callable[[str], list[str]], tmp_path: Path
) -> None:
    found = tune(tmp_path / "half", "tag", chain=True, dropout=0.0, epochs=1, precision="bf16")
    with safe_open(found.folder / "model.safetensors", "np") as stored:
        assert {stored.get_slice(name).get_dtype() for name in stored.keys()} == {"F32"}  # noqa: SIM118
    assert found.scores == served(found.folder, "tag", dev("tag"))
    AcceleratorState._reset_state()
    wanted = losses(made("tag", chain=True, dropout=0.0, epochs=1).folder)
    assert losses(found.folder) == pytest.approx(wanted, abs=0.05)
    assert losses(found.folder) != wanted


def test_a_foreign_attachment_in_the_way_of_the_fingerprint_is_no_part_of_the_model(tiny: Path, tune: Tune, tmp_path: Path) -> None:
    """What is fitted for other weights would answer wrongly: it is left out and named."""
    folder = tmp_path / "model"
    opened = checkpoint.open(tiny)
    checkpoint.save(folder, opened.config, checkpoint.weights(opened), tokenizer=tiny / "tokenizer.json")
    attachments.write(folder, "languages", Attachment({"x": np.zeros(1, np.float32)}), attachments.fingerprint(checkpoint.open(folder)))
    assert tune(tmp_path / "tuned", "classify", model=folder).dropped == ("languages",)


def test_questions_that_all_have_answers_are_always_answered(tune: Tune, write: Write, tmp_path: Path) -> None:
    source = write("answer", "en", 48)
    lines = Path(source.removeprefix("en=")).read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "all.jsonl").write_text("".join(line for line in lines if json.loads(line)["answers"]), encoding="utf-8")
    found = tune(tmp_path / "model", "answer", train=[f"en={tmp_path / 'all.jsonl'}"], epochs=1)
    answer = xlmr.load(found.folder, threads=1).answer("Who is it?", "the cat reads")
    assert answer.answer is not None
