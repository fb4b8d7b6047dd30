"""Texts from Parquet files: what was written is read, row by row, and what cannot be read is told."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr import texts, writers
from xlmr.errors import BadInput, BadLine, MissingExtra
from xlmr.heads.forms import Form
from xlmr.limits import LINE
from xlmr.texts import Line
from xlmr.writers import Row

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = ["кошка 水", "", "a\nb\x00", "the cat"]
STRINGS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.large_binary()]


def write(path: Path, rows: object, name: str = "text", **options: object) -> Path:
    parquet.write_table(pa.table({"id": pa.nulls(len(rows), pa.int8()), name: rows}), path, **options)
    return path


@given(st.lists(WRITTEN | st.none(), max_size=30), st.integers(1, 9))
def test_what_our_writer_wrote_is_read(tmp_path_factory, found, rows):
    path = tmp_path_factory.mktemp("written") / "a.parquet"
    with pytest.MonkeyPatch.context() as patch, writers.open(path, "text", Form(2)) as writer:
        patch.setattr("xlmr.writers.parquet.ROWS", rows)
        for number, text in enumerate(found, start=1):
            vector = np.ones(2, np.float32)
            writer.write(Row(number, text or "", BadInput("why") if text is None else vector))
    read = list(texts.read(path))
    assert [line.number for line in read] == [*range(1, len(found) + 1)]
    assert [None if isinstance(line.text, BadLine) else line.text for line in read] == found


@pytest.mark.parametrize("kind", STRINGS, ids=str)
@pytest.mark.parametrize("options", [{}, {"row_group_size": 2, "compression": "gzip", "use_dictionary": False}], ids=["", "groups"])
def test_every_kind_of_string_is_read(tmp_path, kind, options):
    held = [text.encode() if "binary" in str(kind) else text for text in TEXTS]
    path = write(tmp_path / "a.PARQUET", pa.array([*held, None, held[0]], kind), **options)
    *found, null, last = texts.read(path)
    assert [line.text for line in found] == TEXTS
    assert (last.number, last.text) == (6, TEXTS[0])
    assert isinstance(null.text, BadLine)
    assert (null.number, str(null.text)) == (5, "'text' is null, wanted a text")


def test_whole_numbers_are_names_and_no_texts(tmp_path):
    """As in `.jsonl`."""
    path = tmp_path / "a.parquet"
    held = {"id": pa.array([1, None, -3], pa.int16()), "text": pa.array([1, 2, 3]), "score": [0.5, 1.0, 2.0]}
    parquet.write_table(pa.table(held | {"lang": ["de", "fr", "ru"]}), path)
    assert texts.fields(path) == {"id", "text", "lang"}
    assert [str(line.text) for line in texts.read(path, "id")] == ["1", "'id' is null, wanted a text", "-3"]
    for field, message in [("text", "holds int64, wanted strings$"), ("score", "holds double, wanted strings or whole numbers$")]:
        with pytest.raises(BadInput, match=message):
            list(texts.read(path, field))


def test_a_row_that_is_no_text_is_told_in_its_place(tmp_path):
    whole = pa.array([b"good", b"caf\xe9", b"x" * (LINE + 1), b"good"])
    broken = pa.Array.from_buffers(pa.large_string(), 4, whole.cast(pa.large_binary()).buffers())  # strings that are not UTF-8
    for rows in (whole, broken):
        first, second, third, last = texts.read(write(tmp_path / "a.parquet", rows))
        assert first.text == last.text == "good"
        assert str(second.text) == "not UTF-8 (byte 4 is 0xe9)"
        assert str(third.text) == "the text has more than 4,000,000 bytes"


def test_columns_are_read_side_by_side(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"english": ["house", "cat"], "lang": ["de", "fr"], "source": ["Haus", "chat"]}), path)
    assert list(texts.rows(path, "lang", "source", "english")) == [(1, ["de", "Haus", "house"]), (2, ["fr", "chat", "cat"])]
    parquet.write_table(pa.table({"lang": ["de", None], "text": ["Haus", "chat"]}), path)
    with pytest.raises(BadLine, match=r"a.parquet: line 2: 'lang' is null"):
        list(texts.rows(path, "lang", "text"))


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        (pa.array(TEXTS), "Text", "its columns are ['id', 'Text']; wanted one called 'text'"),
        (pa.array([1, 2]), "text", "column 'text' holds int64, wanted strings"),
        (pa.nulls(2), "text", "column 'text' holds null, wanted strings"),
        (pa.array([["a"], []]), "text", "column 'text' holds list<element: string>, wanted strings"),
        (pa.array([{"text": "a"}]), "text", "column 'text' holds struct<text: string>, wanted strings"),
    ],
)
def test_a_table_without_texts_is_refused(tmp_path, rows, name, message):
    path = write(tmp_path / "a.parquet", rows, name)
    with pytest.raises(BadInput) as error:
        list(texts.read(path))
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("cut", [lambda file: b"", lambda file: b"text\n", lambda file: file[:-20], lambda file: file[:4] + file[30:]])
def test_a_broken_file_is_refused_with_its_path(tmp_path, cut):
    path = write(tmp_path / "a.parquet", pa.array(TEXTS))
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(BadInput, match=r"a\.parquet: cannot be read as Parquet \(.+\)$") as error:
        list(texts.read(path))
    assert "\n" not in str(error.value)


def test_of_a_broken_file_no_columns_are_told(tmp_path):
    path = write(tmp_path / "a.parquet", pa.array(TEXTS))
    content = path.read_bytes()
    described = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: -8 - described] + b"\xff" * described + content[-8:])
    with pytest.raises(BadInput, match=r"a\.parquet: cannot be read as Parquet \([^\n]+\)$"):
        texts.fields(path)


def test_parquet_in_a_package_is_refused(tmp_path):
    for suffix in (".gz", ".xz"):
        (tmp_path / f"a.parquet{suffix}").write_bytes(b"")
        with pytest.raises(BadInput, match="is Parquet, which packs its columns itself, packed once more; unpack it"):
            list(texts.read(tmp_path / f"a.parquet{suffix}"))


def test_without_its_extra_it_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", pa.array(TEXTS))
    monkeypatch.delitem(sys.modules, "xlmr.parquet", raising=False)
    monkeypatch.delattr("xlmr.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"reading Parquet needs packages .* pip install 'xlmr\[data\]'"):
        list(texts.read(path))


def test_of_long_texts_one_is_unpacked_at_a_time(tmp_path):
    path = write(tmp_path / "a.parquet", pa.array([f"{i} {'x' * 100_000}" for i in range(250)]))
    next(texts.read(path))
    tracemalloc.start()
    assert sum(1 for _ in texts.read(path)) == 250
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 2 << 20  # of 25 MB


def test_of_a_large_group_a_few_rows_are_held(tmp_path):
    path = write(tmp_path / "a.parquet", pa.array([f"{i} " * 200 for i in range(20_000)]), use_dictionary=False)
    assert parquet.ParquetFile(path).num_row_groups == 1
    next(texts.read(path))  # what is imported once is not counted
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    most = 0
    for line in texts.read(path):
        most = max(most, pa.total_allocated_bytes() - before) if line.number % 100 == 0 else most
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert line == Line(20_000, "19999 " * 200)
    assert most < 4 << 20  # of 24 MB
    assert held < 1 << 20
