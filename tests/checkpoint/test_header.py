import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from xlmr.checkpoint import header
from xlmr.errors import BadCheckpoint

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple)
tables = st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"), shapes, max_size=8)


def made(entries: object, body: int = 0) -> bytes:
    """A file of these header entries, or of this header text, and so many bytes."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


def entry(begin: int, end: int, shape: list[int], dtype: object = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@in_one_folder
@given(tables, st.sampled_from([np.float32, np.float16, np.int64, np.int8]))
def test_what_the_library_writes_is_found_where_it_lies(tmp_path: Path, table: dict[str, tuple[int, ...]], dtype: Any) -> None:
    arrays = {name: np.random.default_rng(i).integers(-9, 9, shape).astype(dtype) for i, (name, shape) in enumerate(table.items())}
    path = tmp_path / "library.safetensors"
    save_file(arrays, path, metadata={"format": "pt", "note": "x"})
    stored, content = header.read(path), path.read_bytes()
    assert stored.keys() == arrays.keys()
    for name, where in stored.items():
        assert where.shape == arrays[name].shape
        assert content[where.offset : where.offset + where.length] == arrays[name].tobytes()


@in_one_folder
@given(tables, st.sampled_from(sorted(header.NAMES)))
def test_the_library_reads_what_is_laid_out_here(tmp_path: Path, table: dict[str, tuple[int, ...]], dtype: str) -> None:
    head, order = header.layout(table.items(), dtype)
    size = np.dtype("<f4" if dtype == "float32" else "<u2").itemsize
    bodies = {name: bytes([i + 1]) * int(np.prod(table[name])) * size for i, name in enumerate(order)}
    path = tmp_path / "ours.safetensors"
    path.write_bytes(head + b"".join(bodies.values()))
    with safe_open(path, "numpy") as file:
        assert set(file.keys()) == set(table)
        assert file.metadata() == {"format": "pt"}
        assert all(tuple(file.get_slice(name).get_shape()) == shape for name, shape in table.items())
    stored = header.read(path)
    assert {name: where.dtype for name, where in stored.items()} == dict.fromkeys(table, dtype)
    if dtype != "bfloat16":  # which NumPy cannot hold
        assert {name: array.tobytes() for name, array in load_file(path).items()} == bodies
    for where in stored.values():
        assert where.offset % 64 == 0 or where.length % 64


def test_tensors_of_a_round_size_begin_at_multiples_of_64_bytes(tmp_path: Path) -> None:
    head, order = header.layout([("odd", (3,)), ("a", (16, 2)), ("b", (32,))], "float32")
    path = tmp_path / "model.safetensors"
    path.write_bytes(head + bytes(12 + 128 + 128))
    stored = header.read(path)
    assert order == ["a", "b", "odd"]
    assert [stored[name].offset % 64 for name in order] == [0, 0, 0]


@in_one_folder
@given(st.data())
def test_what_the_library_refuses_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "changed.safetensors"
    good = made({"a": entry(0, 8, [2]), "b": entry(8, 20, [3, 1])}, 20)
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(len(good), begin + 4)))
    path.write_bytes(
        good[:begin] + data.draw(st.sampled_from([b"", b"0", b"1", b"9", b"-", b'"', b"[", b"\xff", b" ", b",", b"}"])) + good[end:]
    )
    refused = False
    try:
        header.read(path)
    except BadCheckpoint:
        refused = True
    try:
        safe_open(path, "numpy")
    except SafetensorError:
        assert refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are too few for a safetensors file; it is truncated. Copy or download it again"),
        (bytes(7), "7 bytes are too few"),
        (struct.pack("<Q", 2**24 + 1), "the header claims 16777217 bytes, at most 16777216 are read; is this a safetensors file?"),
        (pickle.dumps({"a": [1.0] * 99}), "the header claims .* is this a safetensors file?"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "is a pointer of Git LFS, which stands for the file; .*: git lfs pull",
        ),
        (struct.pack("<Q", 99) + b"{}", "the header claims 99 bytes, the file has 10; it is truncated"),
        (made(b'{"a": '), "the safetensors header is not valid JSON"),
        (made(b"\xff\xfe"), "the safetensors header is not valid JSON"),
        (made(b"[" * 99_999), "the safetensors header is not valid JSON"),
        (made(b'{"a": ' + b"9" * 9_999 + b"}"), "the safetensors header is not valid JSON"),
        (made(b'{"a": 1, "b": 2, "a": 1}'), r"the safetensors header is not valid JSON \('a' stands there twice\)"),
        (made([1]), "the safetensors header is a list, wanted an object"),
        (made({"a": 5}), "tensor a: its header entry is not of dtype, shape and data_offsets"),
        (made({"a": {"dtype": "F32", "shape": []}}), "tensor a: its header entry is not of dtype, shape and data_offsets"),
        (made({"a": entry(0, 4, [1], "F99")}, 4), "tensor a: dtype 'F99' is not known; wanted one of F32, F16, BF16"),
        (made({"a": entry(0, 4, [1], [])}, 4), r"tensor a: dtype \[\] is not known"),
        (made({"a": entry(0, 4, [-1])}, 4), r"tensor a: shape is \[-1\], wanted a list of sizes"),
        (made({"a": entry(0, 4, [True])}, 4), r"tensor a: shape is \[True\], wanted a list of sizes"),
        (made({"a": entry(0, 4, [2**64])}, 4), r"tensor a: shape is \[18446744073709551616\], wanted a list of sizes"),
        (made({"a": entry(0, 4, [1] * 9)}, 4), r"tensor a: shape is \[1, .*\], wanted a list of sizes"),
        (made(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', 4), r"tensor a: shape is \[nan\], wanted"),
        (
            made(b'{"a": {"dtype": "F32", "data_offsets": [0, 4], "shape": ' + b"[" * 700 + b"]" * 700 + b"}}", 4),
            r"tensor a: shape is \[\[\[",
        ),
        (made({"a" * 300: entry(0, 8, [1])}, 8), rf"tensor {'a' * 200}…: takes 8 bytes"),
        (made({"a": entry(8, 4, [1])}, 8), r"tensor a: data_offsets are \[8, 4\], wanted \[begin, end\]"),
        (made({"a": entry(0, 4, [1]) | {"data_offsets": [0]}}, 4), r"tensor a: data_offsets are \[0\], wanted"),
        (made({"a": entry(0, 8, [2])}, 7), "tensor a: ends at byte 77, the file has 76; it is truncated. Copy or download it again"),
        (made({"a": entry(0, 8, [3])}, 8), r"tensor a: takes 8 bytes, its shape \[3\] in F32 needs 12"),
        (made({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, 12), "tensor b begins at byte .*, inside the one that ends at"),
        (made({"a": entry(0, 8, [2]), "b": entry(0, 8, [2])}, 8), "tensor b begins at byte .*, inside the one that ends at"),
        (made({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, 12), "bytes .* to .*, before tensor b, belong to no tensor"),
        (made({"a": entry(0, 4, [1])}, 9), "5 bytes after the last tensor belong to none"),
    ],
)
def test_a_broken_file_is_refused_and_told_why(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=f"model.safetensors: {message}"):
        header.read(path)


def test_too_many_tensors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(made({name: entry(0, 0, [0]) for name in "abc"}))
    assert len(header.read(path)) == 3
    monkeypatch.setattr(header, "MOST_TENSORS", 2)
    with pytest.raises(BadCheckpoint, match="holds 3 tensors, at most 2 are read"):
        header.read(path)


def test_a_missing_file_is_a_bad_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"cannot be read .No such file"):
        header.read(tmp_path / "model.safetensors")
