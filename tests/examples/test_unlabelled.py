"""Texts without labels, each with its language where the source says which."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from xlmr.errors import BadInput, BadLine
from xlmr.examples import UNDETERMINED, Unlabelled, read_unlabelled


def test_lines_are_texts_of_the_language_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "news.txt.gz"
    path.write_bytes(gzip.compress(b"Es regnet.\n\n \nEs schneit.\n"))
    assert [*read_unlabelled(f"de={path}")] == [Unlabelled("de", "Es regnet."), Unlabelled("de", "Es schneit.")]
    assert {of.language for of in read_unlabelled(str(path))} == {UNDETERMINED}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.tsv", "lang\ttext\nfr\tIl pleut.\n\tEs regnet.\n"),
        ("texts.jsonl", '{"lang": "fr", "text": "Il pleut."}\n{"lang": "", "text": "Es regnet."}\n'),
    ],
)
def test_a_column_says_the_language_where_there_is_one(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert [*read_unlabelled(str(tmp_path / name))] == [Unlabelled("fr", "Il pleut."), Unlabelled(UNDETERMINED, "Es regnet.")]
    assert {of.language for of in read_unlabelled(f"de={tmp_path / name}")} == {"de"}


def test_a_table_without_languages_is_read(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\nIl pleut.,rain\n", encoding="utf-8")
    assert [*read_unlabelled(str(tmp_path / "texts.csv"))] == [Unlabelled(UNDETERMINED, "Il pleut.")]


def test_what_cannot_be_read_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("lang\ttext\nfr\tIl pleut.\n???\tEs regnet.\n", encoding="utf-8")
    with pytest.raises(BadLine, match="line 3"):
        [*read_unlabelled(str(tmp_path / "texts.tsv"))]
    with pytest.raises(BadInput, match="cannot be read"):
        [*read_unlabelled(str(tmp_path / "nowhere.txt"))]
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no examples"):
        [*read_unlabelled(str(tmp_path / "empty.txt"))]
