"""Files that are not what a checkpoint's small files are; no reader may wait for them or fill the memory with them."""

import os
from pathlib import Path

import pytest

from xlmr import config as configs
from xlmr import files
from xlmr import tokenizer as tokenizers
from xlmr.errors import BadCheckpoint

READERS = {"config.json": lambda folder: configs.read(folder / "config.json"), "tokenizer.json": tokenizers.open}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("put", ["/dev/zero", "pipe", "folder"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has other kinds of files")
def test_what_is_no_plain_file_is_never_opened(name, put, tmp_path):
    path = tmp_path / name
    {"/dev/zero": lambda: path.symlink_to(put), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[put]()
    with pytest.raises(BadCheckpoint, match=rf"{name}: is no plain file"):
        READERS[name](tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_too_large_is_never_read(name, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", None)
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, (1 << 28) + 1)
    with pytest.raises(BadCheckpoint, match=rf"{name}: has 268,435,457 bytes; at most [\d,]+ are read"):
        READERS[name](tmp_path)


def test_what_may_not_be_read_says_why(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "config.json").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadCheckpoint, match=r"config\.json: cannot be read \(Permission denied\)$"):
        configs.read(tmp_path / "config.json")


def test_text_comes_as_it_is_written(tmp_path):
    (tmp_path / "file").write_text("ŝafo 羊", encoding="utf-8")
    assert files.read(tmp_path / "file", 9) == "ŝafo 羊"
