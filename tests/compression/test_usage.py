from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from xlmr import tokenizer
from xlmr.compression import usage
from xlmr.errors import BadInput, BadLine
from xlmr.examples.sources import source
from xlmr.tokenizer import Tokenizer, trimming

TEXTS = ["the cat reads", "le chat boit", "ξ the ξ"]


@pytest.fixture(scope="module")
def whole(tiny: Path) -> Tokenizer:
    return tokenizer.open(tiny)


def test_counts_are_those_of_the_texts_pieces(whole: Tokenizer) -> None:
    wanted = np.bincount([i for text in TEXTS * 300 for i in whole.encode(text).ids], minlength=whole.size)
    np.testing.assert_array_equal(usage.count(whole, (("en", text) for text in TEXTS * 300)), wanted)


def test_how_texts_are_cut_is_counted(whole: Tokenizer) -> None:
    ids = {i for text in TEXTS[1:] for i in whole.encode(text).ids}
    kept, order = trimming.trim(whole.vocabulary, trimming.essential(whole.vocabulary) | ids)
    covered = usage.cover(
        whole, Tokenizer(kept), trimming.renumbered(order, whole.size), zip("ab" * 2, [*TEXTS[:2], "cat", "le"], strict=True)
    )
    assert (covered["a"].texts, covered["a"].same, covered["a"].pieces, covered["a"].kept) == (2, 0, 4, 1)
    assert (covered["b"].texts, covered["b"].same, covered["b"].pieces, covered["b"].unknown_after) == (2, 2, 4, 0)
    assert covered["a"].unknown == 0 < covered["a"].unknown_after
    assert covered["b"].as_json() == {
        "texts": 2, "same": 1.0, "pieces_kept": 1.0, "unknown_before": 0.0, "unknown_after": 0.0, "longer": 1.0
    }  # fmt: skip


def test_a_text_of_the_same_length_with_other_pieces_is_not_the_same(whole: Tokenizer) -> None:
    """Two unknown characters beside each other are one piece, as the piece was that both are of."""
    names = {piece: i for i, (piece, _) in enumerate(whole.vocabulary.pieces)}
    kept, order = trimming.trim(whole.vocabulary, trimming.essential(whole.vocabulary) | {names["s"]})
    (of,) = usage.cover(whole, Tokenizer(kept), trimming.renumbered(order, whole.size), [("en", "cats")]).values()
    assert (of.texts, of.same) == (1, 0)


def test_files_say_which_language_their_texts_are_in(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("eins\n\n  \nzwei\n", encoding="utf-8")
    (tmp_path / "table.tsv").write_text("lang\ttext\nger\tdrei\nfr\tquatre\nwol\tjuróom\n", encoding="utf-8")
    (tmp_path / "bare.jsonl").write_text('{"text": "six"}\n', encoding="utf-8")

    def read(*names: str, among: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        return [*usage.read([source(name.replace("@", f"{tmp_path}/")) for name in names], among)]

    assert read("@plain.txt") == [("plain.txt", "eins"), ("plain.txt", "zwei")]
    assert read("deu=@plain.txt", "@bare.jsonl") == [("de", "eins"), ("de", "zwei"), ("bare.jsonl", "six")]
    assert read("@table.tsv") == [("de", "drei"), ("fr", "quatre"), ("wol", "juróom")]
    assert read("@table.tsv", among=("fr", "en")) == [("fr", "quatre")]


def test_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("lang\ttext\nde\tja\nGermanish!\tnein\n", encoding="utf-8")
    with pytest.raises(BadLine, match=r"table.tsv: line 3: language 'Germanish!' is not known"):
        [*usage.read([source(str(tmp_path / "table.tsv"))])]
    (tmp_path / "lines.jsonl").write_text('{"text": "ja"}\n{"words": 3}\n', encoding="utf-8")
    with pytest.raises(BadLine, match=r"lines.jsonl: line 2: not a JSON object"):
        [*usage.read([source(str(tmp_path / "lines.jsonl"))])]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_is_refused_since_a_corpus_is_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is no file; a corpus is read twice"):
        [*usage.read([source(str(tmp_path / "pipe"))])]


def test_nothing_is_counted_in_no_text(whole: Tokenizer) -> None:
    with pytest.raises(BadInput, match="the corpus has no text in it"):
        usage.count(whole, [])
