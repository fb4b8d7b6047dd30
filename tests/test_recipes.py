"""What `make small` does around the training: going on, measuring what ships, and telling the numbers."""

import importlib
import json
import os
import re
import runpy
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint, encoder
from xlmr.evaluation.scores import file_hash
from xlmr.training import pretraining, recipes

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def small(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    return importlib.import_module("small")


@pytest.fixture
def tables():
    return runpy.run_path(str(ROOT / "recipes" / "tables.py"))


@pytest.fixture
def run(tmp_path, tiny):
    """A recipe whose run is at its end."""
    recipe = recipes.Recipe(output=str(tmp_path), optimiser=recipes.Optimiser(tokens=100_000))
    shutil.copytree(tiny, tmp_path / "model")
    plan = pretraining.plan(recipe)
    (tmp_path / "state").mkdir()
    for name in ("model.safetensors", "optimisers.safetensors"):
        (tmp_path / "state" / name).touch()
    (tmp_path / "state" / "state.json").write_text(json.dumps({"identity": plan.identity, "step": plan.steps}), encoding="utf-8")
    os.utime(tmp_path / "state" / "state.json", (1, 1))
    return recipe


def test_the_later_runs_are_taught_by_what_the_first_leaves(small):
    first, *later = (recipes.read(ROOT / path) for path in small.RUNS)
    assert later
    assert {run.teacher.model for run in later} == {f"{first.output}/half"}
    assert {run.data for run in later} == {first.data}
    assert len(small.tables.LOGS) == len(small.RUNS)


def test_a_finished_run_is_not_run_again(small, run):
    assert small.finished(run)


@pytest.mark.parametrize("change", [{"step": 3}, {"identity": "another"}], ids=["stopped", "another recipe"])
def test_a_run_that_is_not_finished_goes_on(small, run, tmp_path, change):
    state = tmp_path / "state" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text(encoding="utf-8")) | change), encoding="utf-8")
    os.utime(state, (1, 1))
    assert not small.finished(run)


def test_a_run_whose_model_is_missing_or_older_goes_on(small, run, tmp_path):
    os.utime(tmp_path / "model" / "model.safetensors", (0, 0))
    assert not small.finished(run)
    shutil.rmtree(tmp_path / "model")
    assert not small.finished(run)


def test_a_model_made_elsewhere_needs_no_state(small, run, tmp_path):
    shutil.rmtree(tmp_path / "state")
    assert small.finished(run)


def test_what_ships_is_the_model_in_half_the_bytes(small, tiny, tmp_path):
    small.halve(tiny, tmp_path / "half")
    made = checkpoint.open(tmp_path / "half")
    assert {of.dtype for of in made.stored.values()} == {"float16"}
    for name, values in checkpoint.weights(checkpoint.open(tiny)).items():
        np.testing.assert_allclose(checkpoint.read(made, name), values, rtol=1e-3, atol=1e-6)


def test_packed_to_fewer_bytes_a_weight_moves_by_a_step_at_most(small):
    dice = np.random.default_rng(0)
    weight = (dice.normal(size=(50, 64)) * np.exp(dice.normal(size=(50, 1)))).astype(np.float32)
    weight[7] = 0
    packed = small.fewer(weight)
    spread = np.sqrt((weight**2).mean(1, keepdims=True))
    assert (abs(packed - weight) <= spread / small.STEPS).all()  # half of a step, and a step is up to half as large again
    assert np.array_equal(packed.astype(np.float16), packed)
    assert np.array_equal(small.fewer(packed[:, :1].ravel()), packed[:, 0])
    assert len(zlib.compress(packed.astype(np.float16).tobytes())) < 0.7 * len(zlib.compress(weight.astype(np.float16).tobytes()))


def test_a_model_that_is_the_same_is_not_written_again(small, tiny, make_checkpoint, tmp_path):
    def stamp():
        return (tmp_path / "half" / "model.safetensors").stat().st_ino

    small.halve(tiny, tmp_path / "half")
    first = stamp()
    small.halve(tiny, tmp_path / "half")
    assert stamp() == first
    small.halve(make_checkpoint(seed=5), tmp_path / "half")
    assert stamp() != first
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_installing_keeps_the_card(small, tiny, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "README.md").write_text("# The card\n", encoding="utf-8")
    small.install(tiny, inside)
    assert encoder.load(inside).config == encoder.load(tiny).config
    assert sorted(path.name for path in inside.iterdir()) == sorted(["README.md", *(path.name for path in tiny.iterdir())])


def test_the_curve_has_the_means_of_its_lines(small, tmp_path):
    log = [
        {"step": step, "tokens": 10 * step, "masked": float(step), "contrast": 1.0, "rate": 1.0, "seconds": step / 2}
        for step in range(1, 6)
    ]
    log[2:2] = [{"step": 2, "heldout": {"loss": 9.0, "languages": {}}}]
    log.append({"step": 5, "heldout": {"loss": 8.0, "languages": {}}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    assert list(small.curve(tmp_path / "log.jsonl", 3)) == [
        {"tokens": 20, "seconds": 1.0, "masked": 1.5, "contrast": 1.0, "heldout": 9.0},
        {"tokens": 40, "seconds": 2.0, "masked": 3.5, "contrast": 1.0, "heldout": ""},
        {"tokens": 50, "seconds": 2.5, "masked": 5.0, "contrast": 1.0, "heldout": 8.0},
    ]


def test_a_curve_whose_log_is_not_at_hand_stays(small, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    logs = (tmp_path / "log.csv", tmp_path / "taught.csv")
    monkeypatch.setattr(small.tables, "FOLDER", tmp_path)
    monkeypatch.setattr(small.tables, "SCORES", tmp_path / "scores.json")
    monkeypatch.setattr(small.tables, "LOGS", logs)
    logs[0].write_text("tokens,seconds,masked,contrast,heldout\n100,1.0,5.0,4.0,6.0\n", encoding="utf-8")
    run = tmp_path / "run"
    run.mkdir()
    (run / "scores.json").write_text("{}", encoding="utf-8")
    lines = [{"step": 1, "tokens": 50, "masked": 4.0, "contrast": 0.0, "told": 0.5, "seconds": 2.0}, {"step": 1, "heldout": {"loss": 5.5}}]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    before = logs[0].read_bytes()
    small.publish(tmp_path / "lost", run)
    assert logs[0].read_bytes() == before
    assert logs[1].read_text(encoding="utf-8").splitlines() == ["tokens,seconds,masked,contrast,told,heldout", "50,2.0,4.0,0.0,0.5,5.5"]
    assert "what the teacher says" in (tmp_path / "loss.svg").read_text(encoding="utf-8")


def scores():
    """Made-up scores of two languages: the model is better than unigrams in both, than the guesser in one."""

    def words(de, en):
        found = {code: {"questions": 50, "top1": top5 / 2, "top5": top5, "bits": 5.0} for code, top5 in (("de", de), ("en", en))}
        mean = {"top1": (de + en) / 4, "top5": (de + en) / 2, "bits": 5.0, "languages": 2}
        return {"languages": found, "mean": mean, "sources": {}, "all": {"questions": 100, **mean}}

    def bits(de, en):
        return {"languages": {"de": {"questions": 50, "bits": de}, "en": {"questions": 50, "bits": en}}, "mean": {"bits": (de + en) / 2}}

    def found(*layers):
        return {"pool": {"de": 9}, **{kind: {str(i): {"mean": of} for i, of in enumerate(layers)} for kind in ("plain", "centred")}}

    def probe(layer, english, mean):
        languages = {"languages": {"en": english, "de": 2 * mean - english}}
        return {"layer": layer, **{kind: {"english": english, "mean": mean, **languages} for kind in ("plain", "centred")}}

    def beside(translation, unrelated):
        return {
            "questions": 50,
            **{name: {"top1": of, "top5": 2 * of} for name, of in (("translation", translation), ("unrelated", unrelated))},
        }

    predicted = {"model": words(0.5, 0.6)}
    counts = {"unigrams": words(0.3, 0.4), "trigrams": words(0.4, 0.5), "guesser": words(0.55, 0.58)}
    return {
        "prediction": {"heldout": predicted, "sib200": predicted, "characters": {"model": bits(2.0, 1.5)}},
        "counts": {"heldout": counts, "sib200": counts, "characters": {name: bits(3.0, 1.0) for name in counts}},
        "retrieval": {"tatoeba": found(0.1, 0.3, 0.2), "ntrex": found(0.5, 0.6, 0.7)},
        "retrieval of static vectors": {"tatoeba": found(0.15), "ntrex": found(0.45)},
        "probes": {"pos": probe(2, 0.8, 0.4), "topics": probe(1, 0.6, 0.5)},
        "probes of static vectors": {"pos": probe(0, 0.7, 0.3), "topics": probe(0, 0.5, 0.4)},
        "transfer": {"all": beside(0.2, 0.1), "new": beside(0.1, 0.05), "mean": beside(0.2, 0.1),
                     "languages": {"de": beside(0.3, 0.1), "en": beside(0.1, 0.1)}},
    }  # fmt: skip


def test_tables_tell_the_scores(tables):
    shown = tables["small"](scores())
    assert "| 27.5 / 55.0 | 17.5 / 35.0 | 22.5 / 45.0 | 28.2 / 56.5 |" in shown
    assert "| 20.0 (layer 1: 30.0) | 15.0 |" in shown
    assert "| 80.0 / 40.0 (layer 2) | 70.0 / 30.0 |" in shown
    assert "| 20.0 / 40.0 | 10.0 / 20.0 |" in shown


def test_languages_that_fall_short_are_named(tables):
    lines = tables["short"](scores()).splitlines()
    assert "top-5 of hidden words: ahead of unigrams in 2 of 2 languages" in lines[0]
    assert "; not ahead in de" in lines[2]
    assert "bits per character: ahead of counts, two on each side in 1 of 2 languages; not ahead in en" in lines[3]
    assert "beside the translation: ahead of another line in 1 of 2 languages; not ahead in en" in lines[4]


def test_every_language_has_a_line(tables):
    rows = tables["languages"](scores()).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    assert [re.split(r" *\| *", row)[1:3] for row in rows[2:]] == [["de", "German"], ["en", "English"]]
    assert "| 50.0 | 30.0 | 40.0 | 55.0 | 2.00 | 3.00 | 30.0 | 10.0 |" in rows[2]


def test_the_log_tells_how_long_it_was(tables):
    log = [{"tokens": "500000", "seconds": "100", "heldout": "7.5"}, {"tokens": "1500000", "seconds": "3600", "heldout": ""}]
    assert tables["training"]([log]).startswith("1.5 M tokens in 1.0 hours, 417 tokens a second, 7.50 nats")
    more = [{"tokens": "300000", "seconds": "1800", "heldout": "7.1"}]
    assert tables["training"]([log, more]).startswith("1.8 M tokens in 1.5 hours, 333 tokens a second, 7.10 nats")


def test_the_model_inside_is_the_one_that_was_measured():
    weights, measured = ROOT / "src" / "xlmr" / "small" / "model.safetensors", ROOT / "recipes" / "small" / "scores.json"
    if not weights.exists():
        pytest.skip("no small model in this clone yet")
    assert json.loads(measured.read_text(encoding="utf-8"))["prediction"]["of"][0] == file_hash(weights)


def test_the_table_of_fine_tuning_has_a_row_for_each_experiment_that_is_measured(tables):
    def one(english, german):
        of = {"XTREME": {"languages": {"en": english, "de": german}, "mean": 0.6}, "Wolof": {"languages": {"wo": 0.3}, "mean": 0.3}}
        return {"measured": of, "examples": 4141, "learning": 123.0}

    _, _, row, wolof = tables["finetuning"]({"parts of speech": {"seeds": {"1": one(0.88, 0.5), "2": one(0.86, 0.4)}}}).splitlines()
    assert row == "| parts of speech (UD), accuracy | 87.0 ± 1.4 | 60.0 ± 0.0 (2) | 4,141 | 2.0 |"
    assert wolof.startswith("| … Wolof, never pretrained on | – | 30.0")
