"""What `xlmr fit` does with a model's folder and with what it holds out."""

import shutil

import pytest
from translated import pairs

from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.errors import BadInput
from xlmr.training import contrast, corpus, fitting
from xlmr.training.contrast import Settings

SETTINGS = Settings(size=8, sequences=20, steps=3, batch=16, projected=1, layers=1)


@pytest.fixture
def model(tiny, tmp_path):
    """A model that has a classifier of languages, or a file that says so."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    attachments.write(folder, "languages", Attachment({}, {"of": "tests"}), attachments.fingerprint(checkpoint.open(folder)))
    return {"source": str(folder), "revision": None, "runtime": "onnx", "threads": 1}


def fit(model, rows, output, settings=SETTINGS):
    return [*fitting.calibration(model, rows, output, settings)]


def test_a_copy_has_what_was_fitted_to_the_model_before(model, tmp_path):
    fit(model, [("tests", *pair) for pair in pairs(120)], tmp_path / "copy")
    assert attachments.names(tmp_path / "copy") == ["calibration", "languages"]
    read = attachments.read(checkpoint.open(tmp_path / "copy"), "languages", "")
    assert read.facts == {"of": "tests"}


def test_nothing_that_is_asked_about_was_learnt_from(model, tmp_path, monkeypatch):
    """Neither as it is nor in other capitals or with another point, in whatever domain."""
    seen = []
    monkeypatch.setattr(fitting, "tokenised", lambda encoder, lines: seen.append(lines))
    monkeypatch.setattr(contrast, "fit", lambda *_: (_ for _ in ()).throw(BadInput("seen")))
    rows = [(domain, *pair) for domain in ("news", "tales") for pair in pairs(120)]
    rows += [("news", code, text.upper(), english + ".") for code, text, english in pairs(120)]
    with pytest.raises(BadInput, match="seen"):
        fit(model, rows, tmp_path / "copy")
    train, heldout = ({corpus.key(line.text) for line in lines} for lines in seen)
    assert train
    assert heldout
    assert not train & heldout


def test_a_row_without_its_english_is_left_out():
    assert [*fitting.translated("tests", "fr", "le chat", "")] == []
    assert len([*fitting.translated("tests", "fr", "le chat", "the cat")]) == 2


def test_a_calibration_that_could_not_be_kept_is_refused_before_the_work(model, tmp_path):
    def rows():
        raise AssertionError("the texts were read")
        yield

    with pytest.raises(BadInput, match=r"a calibration of 500 pieces and 1,000,000 sequences, 1,024 numbers each, has 1,028,577,664 bytes"):
        fit(model, rows(), tmp_path / "copy", Settings(size=1_024, sequences=1_000_000))
    assert not (tmp_path / "copy").exists()
