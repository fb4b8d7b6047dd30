"""The experiments of fine-tuning: what they learn from and ask, that they run once, and how many times less data pretraining needs."""

import importlib
import json
from dataclasses import replace
from itertools import chain, pairwise
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.training.finetuning import settings as choices
from xlmr.training.finetuning.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "recipes" / "finetuning"
SCRIPTS = ("parts_of_speech", "topics", "names", "answers", "frozen", "adapters", "mixture", "learning_curve")
COUNTS = (10, 30, 100, 300, 1_000)


@pytest.fixture(scope="module")
def recipe():
    """The modules of the recipe, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield {name: importlib.import_module(name) for name in ("experiments", "portions", *SCRIPTS)}


@pytest.fixture
def everything(recipe):
    """All experiments there are."""
    return [*chain.from_iterable(recipe[name].EXPERIMENTS for name in SCRIPTS)]


# -- the table of experiments --


def test_every_experiment_has_a_name_of_its_own(everything):
    assert len({one.name for one in everything}) == len(everything)


def test_every_experiment_has_settings_that_can_be(everything):
    for one in everything:
        choices.check(Settings(task=one.task, **one.settings))


def test_train_files_are_learnt_from_and_development_files_asked(everything):
    for one in everything:
        assert all("train." in part.source for part in one.train)
        assert all("dev." in part.source for part in chain(one.watched, *one.dev.values()))


def test_the_files_of_every_experiment_are_there(recipe, everything):
    bench = recipe["portions"].BENCH
    if not bench.exists():
        pytest.skip(f"{bench} is not there")
    parts = chain.from_iterable([*one.train, *one.watched, *chain.from_iterable(one.dev.values())] for one in everything)
    missing = {part.source for part in parts if not (bench / part.source.rpartition("=")[2]).exists()}
    assert not missing


def test_the_runner_of_all_names_every_script():
    found = {path.stem for path in FOLDER.glob("*.py") if "\nEXPERIMENTS = " in path.read_text(encoding="utf-8")}
    text = (FOLDER / "everything.py").read_text(encoding="utf-8")
    assert found == {*SCRIPTS}
    assert all(f'"{name}"' in text for name in SCRIPTS)


# -- parts of files --


@pytest.fixture
def topics_file(tmp_path, monkeypatch, recipe):
    """40 texts in each of two languages, line by line translations of each other."""
    rows = [f"{code}\t{'sport' if i % 3 else 'travel'}\t{code} {i}" for code in ("en", "de") for i in range(40)]
    (tmp_path / "train.tsv").write_text("\n".join(["lang\tcategory\ttext", *rows]) + "\n", encoding="utf-8")
    monkeypatch.setattr(recipe["portions"], "BENCH", tmp_path)
    return "train.tsv"


def texts(recipe, *parts, seed=1):
    return [of.text for of in recipe["portions"].read("classify", parts, seed)]


def test_smaller_sets_lie_in_larger_ones(recipe, topics_file):
    part = recipe["portions"].Part
    sets = [texts(recipe, part(topics_file, "en", 0, count)) for count in (3, 10, 30, None)]
    assert [len(of) for of in sets] == [3, 10, 30, 40]
    assert all(other[: len(one)] == one for one, other in pairwise(sets))


def test_another_seed_draws_others(recipe, topics_file):
    part = recipe["portions"].Part(topics_file, "en", 0, 10)
    assert texts(recipe, part, seed=1) == texts(recipe, part, seed=1) != texts(recipe, part, seed=2)


def test_no_sentence_is_in_two_languages_of_the_mix(recipe, topics_file):
    part = recipe["portions"].Part
    mixed = texts(recipe, part(topics_file, "en", 0, 20), part(topics_file, "de", 20, 20))
    assert sorted(int(text.split()[1]) for text in mixed) == [*range(40)]


LINES = {
    "classify": ("a.tsv", "lang\tlabel\ttext\nel\tταξίδι\tΤο πλοίο φεύγει στις οκτώ.\n"),
    "tag": ("a.jsonl", json.dumps({"lang": "vi", "words": ["Hà Nội", "mưa"], "tags": ["PROPN", "VERB"]}) + "\n"),
    "answer": ("a.jsonl", json.dumps({"lang": "ja", "id": "7", "question": "どこ？", "context": "駅は北にある。",
                                      "answers": [{"text": "北", "answer_start": 2}]}) + "\n"),
}  # fmt: skip


@pytest.mark.parametrize("task", LINES)
def test_what_is_written_is_read_again(recipe, monkeypatch, tmp_path, task):
    portions, (name, text) = recipe["portions"], LINES[task]
    (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(portions, "BENCH", tmp_path)
    found = portions.read(task, [portions.Part(name)], 1)
    portions.write(tmp_path / "again" / "b.jsonl", found)
    again = portions.read(task, [portions.Part("again/b.jsonl")], 1)
    assert [replace(of, where="") for of in again] == [replace(of, where="") for of in found]


# -- the runner --


@pytest.fixture
def runs(recipe, monkeypatch, tmp_path, tiny):
    """The runner, whose runs are only counted."""
    experiments, made = recipe["experiments"], []

    def learn(one, seed, place):
        made.append((one.name, seed))
        score = 0.5 + seed / 10
        return {"measured": {"dev": {"mean": score, "languages": {"en": score}}}, "examples": 1, "seconds": 60.0}

    monkeypatch.setattr(experiments, "learn", learn)
    return experiments, experiments.Place(str(tiny), tmp_path / "results.json", tmp_path, quick=False), made


def some(experiments, **changed):
    return experiments.Experiment(**{"name": "some", "task": "tag", "train": (), "dev": {}, "seeds": (1, 2)} | changed)


def test_what_is_measured_is_not_measured_again(runs):
    experiments, place, made = runs
    experiments.run([some(experiments)], place)
    experiments.run([some(experiments)], place)
    assert made == [("some", 1), ("some", 2)]


def test_a_runner_that_was_stopped_goes_on_with_the_next_seed(runs):
    experiments, place, made = runs
    experiments.run([some(experiments, seeds=(1,))], place)
    found = experiments.run([some(experiments, seeds=(1, 2, 3))], place)
    assert made == [("some", 1), ("some", 2), ("some", 3)]
    assert [*found["some"]["seeds"]] == ["1", "2", "3"]


@pytest.mark.parametrize("changed", [{"settings": {"rate": 1e-3}}, {"task": "classify"}, {"start": "random"}])
def test_another_experiment_by_that_name_is_measured_anew(runs, changed):
    experiments, place, made = runs
    experiments.run([some(experiments)], place)
    found = experiments.run([some(experiments, seeds=(1,), **changed)], place)
    assert len(made) == 3
    assert [*found["some"]["seeds"]] == ["1"]


def test_another_default_is_another_experiment(runs, monkeypatch):
    experiments, place, made = runs
    experiments.run([some(experiments)], place)
    monkeypatch.setattr(experiments.growth, "rate", lambda width: 1.0)
    experiments.run([some(experiments)], place)
    assert len(made) == 4


def test_a_score_is_the_mean_of_the_seeds_with_their_spread(runs):
    experiments, place, _ = runs
    found = experiments.run([some(experiments)], place)
    assert experiments.score(found, "some", "dev", "en") == "65.0 ± 7.1"
    assert experiments.score(found, "another", "dev") == "–"
    assert experiments.minutes(found, ["some"]) == "2.0 minutes"


def test_a_script_says_what_was_measured(recipe, tmp_path):
    script = tmp_path / "script.py"
    script.write_text('"""One.\n\nMeasured: –\n\nTwo.\n"""\n\nMeasured: str\n', encoding="utf-8")
    recipe["experiments"].measured(script, "5 minutes; mean 40.1")
    assert script.read_text(encoding="utf-8") == '"""One.\n\nMeasured: 5 minutes; mean 40.1\n\nTwo.\n"""\n\nMeasured: str\n'


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_opens_with_its_command_and_what_was_measured(recipe, name):
    opening = recipe[name].__doc__
    assert f"python recipes/finetuning/{name}.py\n" in opening
    assert recipe["experiments"].MEASURED.search(opening)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_without_results_says_so(recipe, name):
    assert recipe[name].said({}).startswith("–; ")


# -- how many times less data --


@given(st.floats(10, 999), st.floats(0.01, 0.2))
def test_the_number_of_a_curve_that_is_a_line_is_known(recipe, wanted, slope):
    """The small model's score is a line over the logarithm of the examples; random weights reach with all what it has at `wanted`."""
    small = {count: slope * log(count) for count in COUNTS}
    found = recipe["learning_curve"].less(small, {10: 0.0, 1_000: slope * log(wanted)})
    assert found.times == pytest.approx(1_000 / wanted)


def test_a_model_that_is_as_good_with_the_fewest_needs_so_many_times_less_or_more(recipe):
    found = recipe["learning_curve"].less(dict.fromkeys(COUNTS, 0.6), dict.fromkeys(COUNTS, 0.5))
    assert str(found) == "≥ 100"


def test_there_is_no_number_where_pretraining_does_not_help(recipe):
    assert recipe["learning_curve"].less(dict.fromkeys(COUNTS, 0.4), dict.fromkeys(COUNTS, 0.5)) is None


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(0, 1))
def test_the_number_is_where_the_small_model_first_is_as_good(recipe, scores, wanted):
    small = dict(zip(COUNTS, scores, strict=True))
    found = recipe["learning_curve"].less(small, {1_000: wanted})
    if found is None:
        assert max(scores) < wanted
    else:
        enough = 1_000 / found.times
        reached = [count for count in COUNTS if small[count] >= wanted]
        assert enough <= reached[0] * (1 + 1e-9)
        assert all(small[count] < wanted for count in COUNTS if count < enough * (1 - 1e-9))


def test_the_picture_holds_both_curves_of_both_tasks(recipe, tmp_path):
    pytest.importorskip("matplotlib")
    curve = recipe["learning_curve"]
    dice = np.random.default_rng(0)
    found = {
        one.name: {"seeds": {str(seed): {"measured": {curve.ENGLISH: {"mean": dice.random()}}} for seed in one.seeds}}
        for one in curve.EXPERIMENTS
    }
    curve.draw(found, tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert all(label in text for label, _ in curve.LINES.values())
    assert all(task.title in text for task in curve.TASKS)
