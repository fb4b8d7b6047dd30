"""What a text's calibrated vector adds to a classification: learnt, measured, served and carried along."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from calibrated import calibrate
from test_runs import served

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
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


def test_the_first_head_counts_for_the_share_of_pieces_that_it_has_learnt_from(learnt: Tuned, write: Callable[..., str]) -> None:
    """Of a text with nothing known in it the vectors' head speaks alone."""
    model = xlmr.load(learnt.folder)
    meaning = meanings.find(model, len(checkpoint.open(learnt.folder).config.labels))
    assert meaning is not None
    assert meaning.seen is not None
    seen = [id for id in range(5, model.config.vocabulary - 1) if id in set(meaning.seen)]
    other = [id for id in range(5, model.config.vocabulary - 1) if id not in set(meaning.seen)]
    assert seen
    assert other
    bos, eos = [model.config.bos_id], [model.config.eos_id]
    for ids, wanted in ((seen[:4], 1.0), (other[:3], 0.0), (seen[:1] + other[:3], 0.25), ([], 1.0)):
        assert meaning.share(np.array(bos + ids + eos), model.config) == wanted
    unknown = next(id for id in other if model.tokenizer.encode(model.tokenizer.decode([id])).ids == [*bos, id, *eos])
    labels = checkpoint.open(learnt.folder).config.labels
    alone = dict(zip(labels, meaning.logits(np.array([*bos, unknown, *eos]), model.config), strict=True))
    shift = [np.log(of.score) - alone[of.label] for of in model.classify(model.tokenizer.decode([unknown]))]
    np.testing.assert_allclose(shift, shift[0], atol=1e-5)


def test_a_model_that_does_not_say_what_it_has_seen_counts_in_full(learnt: Tuned, tmp_path: Path) -> None:
    shutil.copytree(learnt.folder, tmp_path / "old")
    opened = checkpoint.open(learnt.folder)
    arrays = dict(attachments.read(opened, meanings.NAME, "").arrays)
    del arrays["seen"]
    attachments.write(tmp_path / "old", meanings.NAME, Attachment(arrays), attachments.fingerprint(opened))
    meaning = meanings.find(xlmr.load(tmp_path / "old"), len(opened.config.labels))
    assert meaning is not None
    assert meaning.share(np.array([0, 7, 2]), opened.config) == 1


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
