import gzip
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tales import WORDS, sentences, write

from xlmr.errors import BadRecipe
from xlmr.training import corpus
from xlmr.training.recipes import Data


def settings(data: Path) -> Data:
    return Data(folder=str(data), parallel=("tales", "lexicon"), phrases=("lexicon",), heldout_ids=20)


def spell(texts: list[str]) -> list[list[int]]:
    return [[min(ord(letter), 60_000) for letter in text] for text in texts]


def test_every_line_of_the_folder_is_read_once(data: Path) -> None:
    lines = list(corpus.read(settings(data)))
    tales = [line for line in lines if line.source == "tales"]
    assert {line.language for line in lines} == set(WORDS)
    assert len(tales) == sum(len(sentences(language)) for language in WORDS)
    assert len({(line.source, line.id, line.language, line.text) for line in lines}) == len(lines)


def test_filler_is_read_only_where_prose_is_short(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "en.txt.xz", ["a long enough line of prose"])
    write(tmp_path / "filler" / "en.txt.xz", ["File not found"])
    assert [line.text for line in corpus.read(Data(folder=str(tmp_path), filler_below=10))] == ["a long enough line of prose"]
    assert len(list(corpus.read(Data(folder=str(tmp_path), filler_below=10_000)))) == 2


@pytest.mark.parametrize(("name", "opened"), [("en.txt", open), ("en.txt.gz", gzip.open), ("en.txt.xz", lzma.open)])
def test_text_may_be_packed_or_not(tmp_path: Path, name: str, opened) -> None:
    with opened(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write("a line of prose\n\nand another\n")
    found = list(corpus.read(Data(folder=str(tmp_path), filler_below=0)))
    assert [(line.language, line.text) for line in found] == [("en", "a line of prose"), ("en", "and another")]


def test_a_cap_keeps_the_same_ids_in_every_language(data: Path) -> None:
    lines = [line for line in corpus.read(replace(settings(data), cap=50)) if line.source == "tales"]
    ids = {language: {line.id for line in lines if line.language == language} for language in WORDS}
    assert all(kept == ids["en"] for kept in ids.values())
    assert len(ids["en"]) == 50


def test_no_heldout_text_is_trained_on_under_any_id(data: Path) -> None:
    train, heldout = corpus.split(corpus.read(settings(data)), settings(data))
    assert heldout
    assert not {corpus.key(line.text) for line in train} & {corpus.key(line.text) for line in heldout}


def test_a_heldout_id_is_held_out_in_all_languages(data: Path) -> None:
    _, heldout = corpus.split(corpus.read(settings(data)), settings(data))
    tales = [line for line in heldout if line.source == "tales"]
    assert {(line.id, language) for line in tales for language in WORDS} == {(line.id, line.language) for line in tales}


def test_two_copies_of_a_text_have_one_key() -> None:
    assert corpus.key("Ein Hund – bellt!") == corpus.key("ein hund bellt")
    assert corpus.key("Ein Hund bellt") != corpus.key("Ein Hund bellt nicht")


def test_a_corpus_gives_back_each_line_and_groups_lie_together(data: Path, tmp_path: Path) -> None:
    lines = list(corpus.read(settings(data)))
    made = corpus.encode(lines, spell, 60_001, ("lexicon",))
    texts = {"".join(map(chr, made.line(i))) for i in range(len(made.group))}
    assert texts == {line.text for line in lines}
    changes = np.flatnonzero(np.diff(made.group)) + 1
    assert len(np.unique(made.group)) == len(changes) + 1
    corpus.save(made, tmp_path / "corpus.safetensors")
    again = corpus.load(tmp_path / "corpus.safetensors")
    assert again.languages == made.languages
    for name in ("tokens", "starts", "language", "group", "phrase"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))


@pytest.mark.parametrize(
    ("part", "spoil", "message"),
    [
        ("starts", lambda of: of[:-1], "lines, of"),
        ("starts", lambda of: of[[0, 2, 1, *range(3, len(of))]], "one after another"),
        ("starts", lambda of: of + 1, "one after another"),
        ("language", lambda of: of + np.uint8(200), "found language 2"),
    ],
    ids=["a line less", "two swapped", "shifted", "unknown language"],
)
def test_a_corpus_whose_parts_contradict_each_other_is_refused(
    data: Path, tmp_path: Path, part: str, spoil: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    made = corpus.encode(list(corpus.read(settings(data)))[:50], spell, 60_001, ("lexicon",))
    corpus.save(replace(made, **{part: spoil(getattr(made, part))}), tmp_path / "corpus.safetensors")
    with pytest.raises(BadRecipe, match=message):
        corpus.load(tmp_path / "corpus.safetensors")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="nowhere not found"):
        list(corpus.read(Data(folder=str(tmp_path / "nowhere"))))


def test_a_packed_file_cut_short_is_named(tmp_path: Path) -> None:
    write(tmp_path / "en.txt.xz", [f"line {i}" for i in range(1_000)])
    whole = (tmp_path / "en.txt.xz").read_bytes()
    (tmp_path / "en.txt.xz").write_bytes(whole[:-100])
    with pytest.raises(BadRecipe, match=r"en\.txt\.xz: not readable as UTF-8 text, packed as \.xz"):
        list(corpus.read(Data(folder=str(tmp_path))))


@pytest.mark.parametrize("content", [b"no xz at all", lzma.compress("Grüße\n".encode("latin-1"))], ids=["not packed", "Latin-1"])
def test_a_file_that_is_not_packed_or_not_utf8_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "de.txt.xz").write_bytes(content)
    with pytest.raises(BadRecipe, match=r"de\.txt\.xz: not readable"):
        list(corpus.read(Data(folder=str(tmp_path))))


def test_a_row_without_a_tab_is_told_where(tmp_path: Path) -> None:
    write(tmp_path / "parallel" / "tales" / "en.tsv.xz", ["t1\ta cat", "a dog"])
    with pytest.raises(BadRecipe, match=r"en\.tsv, line 2 of those that are not empty: found 'a dog', wanted id, tab, text"):
        list(corpus.read(Data(folder=str(tmp_path), parallel=("tales",))))


def test_another_text_has_another_digest(data: Path) -> None:
    lines = list(corpus.read(Data(folder=str(data), parallel=("tales",))))[:50]

    def encoded(lines: list[corpus.Line]) -> corpus.Corpus:
        return corpus.encode(lines, lambda texts: [[len(word) for word in text.split()] for text in texts], 600, ())

    assert corpus.digest(encoded(lines)) == corpus.digest(encoded(lines))
    assert corpus.digest(encoded(lines)) != corpus.digest(encoded(lines[:-1]))
