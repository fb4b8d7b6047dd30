"""What a text's calibrated vector adds to a classification: learnt, measured, served and carried along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from calibrated import calibrate
from test_runs import served

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.errors import BadCheckpoint
from xlmr.heads.calibration import vector
from xlmr.tasks import calibrations, meanings
from xlmr.training.finetuning.runs import Tuned

Tune = Callable[..., Tuned]


@pytest.fixture(scope="module")
def calibrated(make_checkpoint: Callable[..., Path]) -> Path:
    return calibrate(make_checkpoint())


@pytest.fixture(scope="module")
def learnt(calibrated: Path, tune: Tune, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(tmp_path_factory.mktemp("learnt") / "model", "classify", model=calibrated)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_what_a_run_says_is_what_the_served_model_scores(learnt: Tuned, write: Callable[..., str], runtime: str) -> None:
    sources = [write("classify", "en", 12, 1), write("classify", "de", 10, 1)]
    assert learnt.scores == pytest.approx(served(learnt.folder, "classify", sources, runtime), abs=1e-9)


def test_the_vectors_logits_are_added_to_the_heads(learnt: Tuned) -> None:
    model, text = xlmr.load(learnt.folder), "the dog drinks water"
    both = {of.label: np.log(of.score) for of in model.classify(text)}
    found = attachments.read(checkpoint.open(learnt.folder), meanings.NAME, "")
    of = calibrations.find(model)
    assert of is not None
    own = found.arrays["weight"] @ vector(of, np.array(model.tokenizer.encode(text).ids[1:-1]), None) + found.arrays["bias"]
    attachments.path_of(learnt.folder, meanings.NAME).rename(learnt.folder / "aside")
    alone = {of.label: np.log(of.score) for of in xlmr.load(learnt.folder).classify(text)}
    (learnt.folder / "aside").rename(attachments.path_of(learnt.folder, meanings.NAME))
    added = {label: alone[label] + logit for label, logit in zip(checkpoint.open(learnt.folder).config.labels, own, strict=True)}
    shift = [both[label] - added[label] for label in both]
    assert np.ptp(own) > 0.01
    np.testing.assert_allclose(shift, shift[0], atol=1e-5)


def test_the_calibration_goes_along_and_still_makes_vectors(learnt: Tuned, calibrated: Path) -> None:
    assert calibrations.NAME not in learnt.dropped
    before, after = (xlmr.load(folder).embed("ein Haus und ein Buch") for folder in (calibrated, learnt.folder))
    np.testing.assert_array_equal(before, after)


def test_it_goes_along_with_tags_too(calibrated: Path, tune: Tune, tmp_path: Path) -> None:
    found = tune(tmp_path / "model", "tag", model=calibrated)
    assert attachments.names(found.folder) == [calibrations.NAME, "tagging"]


@pytest.mark.parametrize("way", ["--no-vectors", "of states", "regression", "pairs"])
def test_it_is_left_out_where_it_cannot_be_or_is_not_wanted(
    make_checkpoint: Callable[..., Path], tune: Tune, tmp_path: Path, way: str
) -> None:
    model = calibrate(make_checkpoint(), states=way == "of states")
    lines = ["text\ttext_pair\tlabel", *(f"the {a}\tder {b}\t{i % 2}" for i, (a, b) in enumerate([("cat", "Hund"), ("dog", "Hund")] * 4))]
    rows = lines if way == "pairs" else ["\t".join(line.split("\t")[::2]) for line in lines]
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    chosen = {"--no-vectors": {"vectors": False}, "regression": {"problem": "regression"}}.get(way, {})
    found = tune(tmp_path / "model", "classify", model=model, train=[str(path)], dev=[], **chosen)
    assert meanings.NAME not in attachments.names(found.folder)
    assert xlmr.load(found.folder).classify("the cat")
    assert (calibrations.NAME in found.dropped) is (way == "of states")


def test_without_its_calibration_it_is_refused(learnt: Tuned, tmp_path: Path) -> None:
    path = attachments.path_of(learnt.folder, calibrations.NAME)
    path.rename(tmp_path / path.name)
    try:
        with pytest.raises(BadCheckpoint, match=r"classifying\.safetensors: needs calibration\.safetensors beside it"):
            xlmr.load(learnt.folder).classify("the cat")
    finally:
        (tmp_path / path.name).rename(path)
