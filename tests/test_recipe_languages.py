"""The classifier of languages as `make small` fits it."""

import importlib
import lzma
import shutil
from itertools import permutations
from pathlib import Path

import pytest
from speakers import sentences

import xlmr
from xlmr.training.languages import Plan
from xlmr.training.recipes import Data
from xlmr.training.regression import Settings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    found = importlib.import_module("languages")
    for name, value in (
        ("TEXTS", 40),
        ("CHECKED", 10),
        ("PLAN", Plan(layer=1, mixtures=10, left_out=2, settings=Settings(rank=4, runs=500, common=300, passes=1, least=20, batch=64))),
    ):
        monkeypatch.setattr(found, name, value)
    return found


@pytest.fixture
def data(tmp_path) -> Data:
    folder = tmp_path / "text"
    folder.mkdir()
    for code in ("de", "fr", "ru", "ja"):
        own = [text for language, text in sentences() if language == code]
        lines = [f"{one} {other}" for one, other in permutations(own, 2)]
        (folder / f"{code}.txt.xz").write_bytes(lzma.compress("\n".join(lines).encode()))
    return Data(folder=str(folder))


def test_it_is_fitted_once_for_an_encoder_and_a_text(recipe, data, tiny, make_checkpoint, tmp_path):
    model = tmp_path / "half"
    shutil.copytree(tiny, model)
    path = recipe.fit(model, data)
    before = path.stat().st_mtime_ns
    assert xlmr.load(model, threads=1).identify_language("水", among=["ja", "de"], top=1)[0].code == "ja"
    assert recipe.fit(model, data) == path
    assert path.stat().st_mtime_ns == before
    shutil.copyfile(make_checkpoint(seed=9) / "model.safetensors", model / "model.safetensors")
    recipe.fit(model, data)
    assert path.stat().st_mtime_ns != before
    assert xlmr.load(model, threads=1).identify_language("水", among=["ja", "de"], top=1)[0].code == "ja"
