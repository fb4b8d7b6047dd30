"""`xlmr compress trim`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import valid

import xlmr


def trim(run, model: Path, output: Path, *options: object):
    return run("compress", "trim", "--model", model, "--output", output, "--sentences", 1, *options)


def test_it_prints_what_is_left_and_how_texts_are_cut(run, tiny: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat reads a good book\nthe dog sleeps\n", encoding="utf-8")
    done = trim(run, tiny, tmp_path / "out", "--languages", "en, de", "--corpus", f"en={corpus}", "--json")
    assert done.code == 0, done.err
    (found,) = done.lines
    assert valid("compress.json", found)
    assert (found["method"], found["steps"]) == ("trim", ["trim"])
    facts = found["facts"]
    assert facts["pieces"] == xlmr.load(tmp_path / "out", threads=1).tokenizer.size < facts["of"] == 500
    assert facts["languages"] == ["en", "de"]
    assert facts["corpus"]["en"] | {"longer": 1.0} == facts["corpus"]["en"]
    assert facts["corpus"]["en"]["same"] == 1
    assert {*facts["probe"]} == {"en", "de"} == {*found["comparison"]["languages"]}
    assert "texts of the corpus that are cut exactly as before: en 2 of 2" in found["notes"]
    step = json.loads((tmp_path / "out" / "compression.json").read_text(encoding="utf-8"))["steps"][-1]
    assert step["options"] == {"languages": ["en", "de"], "corpus": [f"en={corpus}"], "min_count": 1, "pieces": None, "drop": []}
    assert "writing" in done.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "nothing says which pieces to keep; wanted languages, or a corpus, or both"),
        (("--languages", "en,klingon"), "language 'klingon' is not known"),
        (("--languages", "en", "--drop", "<mask>"), "the piece '<mask>' cannot be left out"),
        (("--languages", "en", "--pieces", 20), "pieces is 20, and"),
        (("--corpus", "none.txt"), "none.txt"),
    ],
)
def test_what_cannot_be_kept_is_told_and_nothing_is_left(run, tiny: Path, tmp_path: Path, given: tuple[object, ...], said: str) -> None:
    done = trim(run, tiny, tmp_path / "out", *given)
    assert done.code == 1
    assert said in done.err
    assert not [*tmp_path.iterdir()]
