"""The calibration of text vectors as `make small` fits it."""

import importlib
import lzma
import random
import shutil
from pathlib import Path

import pytest
from translated import WORDS

import xlmr
from xlmr.training.contrast import Settings
from xlmr.training.recipes import Data

ROOT = Path(__file__).resolve().parent.parent
QUICK = Settings(size=8, sequences=50, steps=20, batch=32, projected=2, layers=1)


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    return importlib.import_module("calibration")


@pytest.fixture
def data(tmp_path) -> Data:
    folder = tmp_path / "text" / "parallel" / "tales"
    folder.mkdir(parents=True)
    dice = random.Random(0)
    sentences = [[dice.randrange(15) for _ in range(5)] for _ in range(120)]
    for code, words in WORDS.items():
        rows = "".join(f"{i}\t{' '.join(words[word] for word in of)}\n" for i, of in enumerate(sentences))
        (folder / f"{code}.tsv.xz").write_bytes(lzma.compress(rows.encode()))
    return Data(folder=str(tmp_path / "text"), parallel=("tales",), heldout_ids=5)


def test_it_is_fitted_once_for_an_encoder_and_a_text(recipe, data, tiny, make_checkpoint, tmp_path):
    model = tmp_path / "half"
    shutil.copytree(tiny, model)
    path = recipe.fit(model, data, QUICK)
    before = path.stat().st_mtime_ns
    assert xlmr.load(model, threads=1).embed("le chat").shape == (8,)
    assert recipe.fit(model, data, QUICK) == path
    assert path.stat().st_mtime_ns == before
    shutil.copyfile(make_checkpoint(seed=9) / "model.safetensors", model / "model.safetensors")
    recipe.fit(model, data, QUICK)
    assert path.stat().st_mtime_ns != before
    assert xlmr.load(model, threads=1).embed("le chat").shape == (8,)
