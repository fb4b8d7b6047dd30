"""`fit calibration` as it is called, and what is made of it."""

import json

import numpy as np
import pytest
from translated import pairs

from xlmr import checkpoint
from xlmr.checkpoint import attachments

TABLE = "lang\tsource\tenglish\n" + "".join("\t".join(row) + "\n" for row in pairs(120))
QUICK = ["--steps", 30, "--size", 8, "--sequences", 50, "--threads", 1]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_a_calibration_is_fitted_used_and_left_out(run, tiny, table, tmp_path):
    folder = tmp_path / "fitted"
    done = run("fit", "calibration", "--model", tiny, "--data", table, "--output", folder, *QUICK)
    assert (done.code, done.out.splitlines()[0]) == (0, str(folder / "calibration.safetensors"))
    assert attachments.fingerprint(checkpoint.open(folder)) == attachments.fingerprint(checkpoint.open(tiny))
    size = {
        option: len(json.loads(run("embed", "--model", folder, "--json", *option, "le chat").out)["vector"]) for option in [(), ("--raw",)]
    }
    assert size == {(): 8, ("--raw",): 32}
    assert "  text vectors  calibrated; raw ones: 32 numbers: mean\n  attachments   calibration\n" in run("info", "--model", folder).out
    scores = [run("evaluate", "retrieve", "--model", folder, table, "--json", *option).lines[0]["mean"] for option in ([], ["--raw"])]
    assert scores[0] != scores[1]


def test_the_same_data_give_the_same_file(run, tiny, table, tmp_path):
    files = []
    for name in ("one", "two"):
        assert run("fit", "calibration", "--model", tiny, "--data", table, "--output", tmp_path / name, *QUICK).code == 0
        files.append((tmp_path / name / "calibration.safetensors").read_bytes())
    assert files[0] == files[1]
    assert np.frombuffer(files[0], np.uint8).size > 500 * 8


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("lang\tsource\tenglish\n", "found 0 translated texts"),
        ("lang\tsource\nde\tHaus\n", "wanted one called 'english'"),
        ("lang\tsource\tenglish\nxx\tHaus\thouse\n", "pairs.tsv: line 2: language 'xx' is not known"),
    ],
)
def test_wrong_data_are_told_and_nothing_is_written(run, tiny, table, tmp_path, content, complaint):
    table.write_text(content, encoding="utf-8")
    done = run("fit", "calibration", "--model", tiny, "--data", table, "--output", tmp_path / "fitted", *QUICK)
    assert done.code == 1
    assert complaint in done.err
    assert not (tmp_path / "fitted").exists()
