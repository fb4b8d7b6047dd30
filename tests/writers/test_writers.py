"""Files of vectors: what is read of them is what was written, in every format, and they appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from xlmr import writers
from xlmr.errors import BadInput, BadLine, MissingExtra
from xlmr.heads.forms import DTYPES, Form
from xlmr.tasks.embeddings import Embedded, Parts, Place
from xlmr.tasks.recognition import Language
from xlmr.writers import Row

FORMATS = sorted(writers.FORMATS)
TEXTS = ["", "кошка 水\u2028", "a" * 3000]
VECTORS = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)
FAILED = Row(2, "\ud83d", BadLine("not UTF-8"))


def written(path: Path, form: Form, rows: Iterable[Row], level: str = "text", languages: bool = False) -> Path:
    with writers.open(path, level, form, languages) as writer:
        for row in rows:
            writer.write(row)
    return path


def parts(form: Form) -> list[Parts]:
    """Of three texts: three words, none, one."""
    places = [(Place("the", 0, 3), Place("cat", 4, 7), Place("", 7, 7)), (), (Place("水", 0, 1),)]
    return [Parts("word", of, form.of(VECTORS[: len(of)])) for of in places]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_is_read_as_it_was_written(tmp_path, dtype):
    form = Form(12, dtype=dtype)
    wanted = form.of(VECTORS)
    path = written(
        tmp_path / "a.npy", form, [Row(i + 1, text, wanted[i : i + 1].reshape(wanted.shape[1:])) for i, text in enumerate(TEXTS)]
    )
    for mode in (None, "r"):
        found = np.load(path, mmap_mode=mode)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
    assert np.load(written(tmp_path / "none.npy", form, [])).shape == (0, *wanted.shape[1:])


def test_an_array_of_many_rows_has_them_all(tmp_path):
    row = Row(1, "", np.arange(3, dtype=np.float32))
    assert np.load(written(tmp_path / "a.npy", Form(3), [row] * 100_000)).shape == (100_000, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_are_read_as_they_were_written(tmp_path, dtype):
    form = Form(12, dtype=dtype)
    rows = [Row(1, TEXTS[0], form.of(VECTORS[0])), FAILED, Row(3, TEXTS[1], form.of(VECTORS[1]))]
    first, failed, last = map(json.loads, written(tmp_path / "a.jsonl", form, rows).read_text(encoding="utf-8").splitlines())
    assert failed == {"line": 2, "error": {"kind": "BadLine", "message": "not UTF-8"}}
    for found, text, vector in ((first, TEXTS[0], rows[0].found), (last, TEXTS[1], rows[2].found)):
        assert found["text"] == text
        for name in vector.dtype.names or ("vector",):
            wanted = vector[name] if vector.dtype.names else vector
            assert np.array_equal(np.array(found[name], wanted.dtype), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_hold_places_and_vectors_of_words(tmp_path, dtype):
    form = Form(12, dtype=dtype)
    rows = [Row(i + 1, text, of) for i, (text, of) in enumerate(zip(TEXTS, parts(form), strict=True))]
    lines = written(tmp_path / "a.jsonl", form, rows, "word").read_text(encoding="utf-8").splitlines()
    for line, row in zip(lines, rows, strict=True):
        found = json.loads(line)["words"]
        assert [Place(word["text"], word["start"], word["end"]) for word in found] == [*row.found.places]
        for word, vector in zip(found, row.found.vectors, strict=True):
            assert np.array_equal(word["vector"], vector["vector"] if dtype == "int8" else vector)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group", [2, 1 << 14])
def test_a_table_is_read_as_it_was_written(tmp_path, monkeypatch, dtype, group):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("xlmr.writers.parquet.ROWS", group)
    form = Form(12, dtype=dtype)
    rows = [Row(1, TEXTS[0], form.of(VECTORS[0])), FAILED, Row(3, TEXTS[1], form.of(VECTORS[1]))]
    path = written(tmp_path / "a.parquet", form, rows)
    assert parquet.ParquetFile(path).num_row_groups == (2 if group == 2 else 1)
    found = parquet.read_table(path).to_pylist()
    assert [row["line"] for row in found] == [1, 2, 3]
    assert [row["text"] for row in found] == [TEXTS[0], None, TEXTS[1]]
    assert [row["error"] for row in found] == [None, {"kind": "BadLine", "message": "not UTF-8"}, None]
    assert found[1]["vector"] is None
    for row, wanted in ((found[0], rows[0].found), (found[2], rows[2].found)):
        assert np.array_equal(np.array(row["vector"]), wanted["vector"] if dtype == "int8" else wanted)
        assert dtype != "int8" or row["scale"] == wanted["scale"]
    assert parquet.read_table(written(tmp_path / "none.parquet", form, [])).num_rows == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_table_holds_places_and_vectors_of_words(tmp_path, dtype):
    parquet = pytest.importorskip("pyarrow.parquet")
    form = Form(12, dtype=dtype)
    rows = [Row(1, "the cat", parts(form)[0]), FAILED, *(Row(3 + i, "", of) for i, of in enumerate(parts(form)[1:]))]
    found = parquet.read_table(written(tmp_path / "a.parquet", form, rows, "word")).to_pylist()
    assert [row["words"] is None for row in found] == [False, True, False, False]
    for row, wanted in zip([found[0], *found[2:]], parts(form), strict=True):
        assert [Place(word["text"], word["start"], word["end"]) for word in row["words"]] == [*wanted.places]
        for word, vector in zip(row["words"], wanted.vectors, strict=True):
            assert np.array_equal(word["vector"], vector["vector"] if dtype == "int8" else vector)


def test_a_table_holds_a_group_of_rows_and_no_more(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("xlmr.writers.parquet.GROUP", 1000)
    with writers.open(tmp_path / "a.parquet", "text", Form(12)) as writer:
        for number in range(300):
            writer.write(Row(number + 1, "x", VECTORS[0]))
            assert writer._bytes < 1000


SAID = [Language("de", "Latn", 0.75), Language("und", "Zyyy", 0.25)]
NAMED = [Row(1, "a", Embedded(VECTORS[0], SAID)), FAILED, Row(3, "b", Embedded(VECTORS[1], []))]
AS_JSON = [asdict(of) for of in SAID]


def test_a_table_holds_languages_too(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(written(tmp_path / "a.parquet", Form(12), NAMED, languages=True)).to_pylist()
    assert [row["languages"] for row in found] == [AS_JSON, None, []]
    assert np.array_equal(found[0]["vector"], VECTORS[0])
    assert "languages" not in parquet.read_schema(written(tmp_path / "b.parquet", Form(12), [])).names


def test_lines_hold_languages_too(tmp_path):
    rows = written(tmp_path / "a.jsonl", Form(12), NAMED, languages=True).read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0]) == {"text": "a", "vector": VECTORS[0].tolist(), "languages": AS_JSON}
    assert "error" in json.loads(rows[1])


def test_an_array_has_no_place_for_languages(tmp_path):
    with pytest.raises(BadInput, match=r"holds vectors and nothing else, and languages were asked for; write .parquet or .jsonl"):
        written(tmp_path / "a.npy", Form(12), NAMED, languages=True)
    assert list(tmp_path.iterdir()) == []


def test_an_array_has_no_place_for_a_failure(tmp_path):
    with pytest.raises(BadLine, match=r"line 2: not UTF-8. A .npy file has no place for that, .jsonl and .parquet have"):
        written(tmp_path / "a.npy", Form(12), [Row(1, "", VECTORS[0]), FAILED])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", ["word", "token"])
def test_an_array_holds_one_vector_for_each_text(tmp_path, level):
    with pytest.raises(BadInput, match=f"a .npy file holds one vector for each text, and level is '{level}'; write .parquet or .jsonl"):
        written(tmp_path / "a.npy", Form(12), [], level)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_appears_at_the_end_and_replaces_what_lay_there(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a{suffix}"
    path.write_text("old")
    with writers.open(path, "text", Form(12)) as writer:
        writer.write(Row(1, "", VECTORS[0]))
        assert path.read_text() == "old"
    assert path.read_bytes() != b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_goes_wrong_leaves_nothing(tmp_path, suffix, error):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")

    def rows():
        yield Row(1, "", VECTORS[0])
        raise error

    with pytest.raises(error):
        written(tmp_path / f"a{suffix}", Form(12), rows())
    assert list(tmp_path.iterdir()) == []


WRITING = """
import sys
import numpy as np
from pathlib import Path
from xlmr import writers
from xlmr.heads.forms import Form
with writers.open(Path(sys.argv[1]), "text", Form(512)) as writer:
    for number in range(1 << 40):
        writer.write(writers.Row(number + 1, "x", np.ones(512, np.float32)))
"""


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_nothing_that_looks_finished(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    with subprocess.Popen([sys.executable, "-c", WRITING, tmp_path / f"a{suffix}"], stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not any(path.stat().st_size > 1 << 20 for path in tmp_path.iterdir()):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".a{suffix}.")
    assert left.suffix == ".partial"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.bin", r"a.bin: wanted a file whose name ends in one of .npy, .parquet, .jsonl"),
        ("none/a.npy", r"a.npy: its folder is not there; make it first"),
        ("folder.npy", r"folder.npy: is a folder; wanted the name of a file"),
    ],
)
def test_what_cannot_be_written_is_told_before_any_work(tmp_path, name, message):
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(BadInput, match=message):
        written(tmp_path / name, Form(12), [])


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device; nothing was written") as caught:
        written(tmp_path / "a.npy", Form(12), [])
    assert caught.value.filename == str(tmp_path / "a.npy")
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "xlmr.writers.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"writing Parquet needs packages .* pip install 'xlmr\[data\]'"):
        written(tmp_path / "a.parquet", Form(12), [])
    assert list(tmp_path.iterdir()) == []
