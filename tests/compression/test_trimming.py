"""A trimmed model says of text that keeps its pieces what the whole one says; elsewhere it does what is documented."""

from __future__ import annotations

import io
import json
import lzma
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import calibrate
from hypothesis import given
from hypothesis import strategies as st
from speakers import sentences
from tuners import CLASSIFIER, NAMES, TAGGER, TOPICS

import xlmr
from xlmr import checkpoint, scripts, texts
from xlmr.checkpoint import attachments
from xlmr.compression import parts as taking
from xlmr.compression.parts import put, take
from xlmr.compression.trimming import Trim, trim
from xlmr.errors import BadCheckpoint, BadInput, BadLine
from xlmr.tasks import meanings
from xlmr.tokenizer import Tokenizer, from_sentencepiece
from xlmr.tokenizer.vocabulary import parse

LINES = ["the cat and the dog is in the house", "le chat et une maison est dans la ville", "der Hund und die Katze trinkt Wasser"]
BENCH = Path(__file__).parents[2] / ".." / "shared" / "data" / "bench"
LATIN = [text for language, text in sentences() if language in ("en", "de", "fi", "fr")]
RUSSIAN = [text for language, text in sentences() if language == "ru"]


def trimmed(source: Path | None, new: Path, options: Trim) -> dict[str, Any]:
    """The facts; the folder has the model then."""
    new.mkdir(parents=True)
    found = trim(take(checkpoint.open(source)), new, options, lambda _: None)
    json.dumps(found, allow_nan=False)
    return found


def in_latin(text: str) -> bool:
    """Whether all letters of a text are, also as they are normalised: of µ a Greek one comes."""
    return set(map(scripts.of, unicodedata.normalize("NFKC", text))) <= {"Latn", scripts.ANY}


@pytest.fixture(scope="module")
def whole() -> xlmr.Model:
    return xlmr.load(threads=1)


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The model inside, trimmed to two languages, and the facts."""
    folder = tmp_path_factory.mktemp("trimmed") / "model"
    return folder, trimmed(None, folder, Trim(languages=("en", "German")))


@pytest.fixture(scope="module")
def less(latin: tuple[Path, dict[str, Any]]) -> xlmr.Model:
    return xlmr.load(latin[0], threads=1)


def renumber(whole: xlmr.Model, less: xlmr.Model, ids: list[int]) -> list[int]:
    """Ids of the trimmed model as those of the whole, by the pieces' texts."""
    known = {piece: i for i, (piece, _) in enumerate(whole.tokenizer.vocabulary.pieces)}
    return [known[less.tokenizer.piece(i)] for i in ids]


def test_text_in_the_scripts_kept_has_the_pieces_that_it_had(whole: xlmr.Model, less: xlmr.Model) -> None:
    assert less.tokenizer.size < whole.tokenizer.size / 2
    for text in [*LATIN, "Ærøskøbing, 12½ km²!", "e\u0301te\u0301 ﬁn Ｗａｉｔ!!!!!!!!!", "a<mask>b"]:
        old, new = whole.tokenizer.encode(text), less.tokenizer.encode(text)
        assert renumber(whole, less, new.ids) == old.ids
        assert new.offsets == old.offsets


@given(st.text(st.characters(max_codepoint=0x24F), max_size=40).filter(in_latin))
def test_so_has_any_text_of_latin_letters_and_signs(whole: xlmr.Model, less: xlmr.Model, text: str) -> None:
    old, new = whole.tokenizer.encode(text), less.tokenizer.encode(text)
    assert [less.tokenizer.piece(i) for i in new.ids] == [whole.tokenizer.piece(i) for i in old.ids]
    assert new.offsets == old.offsets


def test_its_vectors_and_languages_are_the_same(whole: xlmr.Model, less: xlmr.Model) -> None:
    np.testing.assert_allclose(less.embed(LATIN), whole.embed(LATIN), atol=1e-6)
    np.testing.assert_allclose(less.embed(LATIN, raw=True), whole.embed(LATIN, raw=True), atol=1e-5)
    for old, new in zip(whole.identify_language(LATIN), less.identify_language(LATIN), strict=True):
        assert [(of.code, of.script) for of in new] == [(of.code, of.script) for of in old]
        np.testing.assert_allclose([of.confidence for of in new], [of.confidence for of in old], atol=1e-5)


def test_masks_are_filled_as_by_the_whole_model_with_the_pieces_that_are_left(whole: xlmr.Model, less: xlmr.Model) -> None:
    kept = {piece for piece, _ in less.tokenizer.vocabulary.pieces}
    for text in ("The <mask> is in the garden.", "Wir haben das <mask> gelesen."):
        old = [of for of in whole.fill_mask(text, top=50) if whole.tokenizer.piece(of.ids[0][0]) in kept]
        new = less.fill_mask(text, top=len(old))
        assert [renumber(whole, less, [*of.ids[0]]) for of in new] == [[*of.ids[0]] for of in old]
        assert new[0].score > old[0].score  # what others had is shared out


def test_other_text_is_cut_shorter_or_unknown_and_never_fails(whole: xlmr.Model, less: xlmr.Model) -> None:
    for text in RUSSIAN:
        assert set(less.tokenizer.encode(text).ids[1:-1]) & {less.tokenizer.unk_id}
    assert less.embed(RUSSIAN).shape == whole.embed(RUSSIAN).shape
    assert len(less.identify_language(RUSSIAN)) == len(RUSSIAN)
    mixed = "The word Москва, 12."
    assert less.tokenizer.encode(mixed).ids.count(less.tokenizer.unk_id) == 1  # unknown neighbours are one


def test_the_facts_say_what_there_is_and_how_the_probe_is_cut(
    latin: tuple[Path, dict[str, Any]], whole: xlmr.Model, less: xlmr.Model
) -> None:
    _, facts = latin
    assert (facts["pieces"], facts["of"]) == (less.tokenizer.size, whole.tokenizer.size)
    assert facts["languages"] == ["en", "de"]
    assert facts["attachments"] == {"calibration": "rows kept", "languages": "rows kept"}
    assert {*facts["probe"]} == {"en", "de"}
    for of in facts["probe"].values():
        assert (of["same"], of["pieces_kept"], of["longer"]) == (1, 1, 1)
        assert of["unknown_after"] == of["unknown_before"]
    assert facts["corpus"] == {}
    assert facts["notes"][0] == f"{less.tokenizer.size:,} of {whole.tokenizer.size:,} pieces are left"
    assert [note for note in facts["notes"] if "unknown now" in note] == []


def test_what_is_unknown_now_is_said(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("the cat\nкошка\n", encoding="utf-8")
    facts = trimmed(tiny, tmp_path / "new", Trim(("en",), (tmp_path / "corpus.txt",), min_count=2, drop=("к",)))
    (said,) = [note for note in facts["notes"] if note.startswith("of the pieces of texts of the corpus so many are unknown now")]
    assert "corpus.txt" in said
    assert facts["notes"][-1] == "dropped: 'к'"


def test_it_loads_in_transformers_with_the_same_ids(latin: tuple[Path, dict[str, Any]], less: xlmr.Model) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(latin[0])
    assert theirs(LATIN[:8])["input_ids"] == [less.tokenizer.encode(text).ids for text in LATIN[:8]]
    assert transformers.AutoModelForMaskedLM.from_pretrained(latin[0]).config.vocab_size == less.tokenizer.size


def test_trimmed_twice_is_trimmed_at_once(latin: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(LATIN), encoding="utf-8")
    options = Trim(corpus=(corpus,))
    trimmed(None, tmp_path / "once", options)
    trimmed(latin[0], tmp_path / "twice", options)
    assert {*attachments.names(tmp_path / "once")} == {"calibration", "languages"}
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes(), name
    for name in attachments.names(tmp_path / "once"):
        once, twice = (attachments.read(checkpoint.open(tmp_path / folder), name, "") for folder in ("once", "twice"))
        assert once.facts == twice.facts
        for key, held in once.arrays.items():
            np.testing.assert_array_equal(twice.arrays[key], held)
    with pytest.raises(BadInput, match="pieces are among those to keep: there is nothing to trim"):
        trimmed(latin[0], tmp_path / "again", Trim(languages=("fr",)))


@pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmark data at ../shared/data is not here")
def test_every_bench_text_in_the_scripts_is_cut_as_before(whole: xlmr.Model, less: xlmr.Model) -> None:
    known = {piece: i for i, (piece, _) in enumerate(whole.tokenizer.vocabulary.pieces)}
    old_ids = np.array([known[piece] for piece, _ in less.tokenizer.vocabulary.pieces])
    seen = 0
    for _, (language, text) in texts.rows(BENCH / "sib200" / "dev.tsv.xz", "lang", "text"):
        if in_latin(text):
            seen += language in ("en", "de", "pl", "vi")
            assert old_ids[less.tokenizer.encode(text).ids].tolist() == whole.tokenizer.encode(text).ids, text
    assert seen > 350


# -- by a corpus --


@pytest.mark.parametrize("name", ["corpus.txt", "corpus.jsonl", "corpus.tsv.xz", "de=corpus.txt"])
def test_every_text_of_a_corpus_is_cut_as_before(whole: xlmr.Model, tmp_path: Path, name: str) -> None:
    path = tmp_path / name.removeprefix("de=")
    german = [text for language, text in sentences() if language == "de"]
    rows = {
        "corpus.txt": [*german, "", " "],
        "corpus.jsonl": [json.dumps({"text": text}) for text in german],
        "corpus.tsv.xz": ["lang\ttext", *(f"{language}\t{text}" for language, text in sentences())],
    }[path.name]
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(rows))
    facts = trimmed(None, tmp_path / "new", Trim(("de",), (name.replace("corpus", str(tmp_path / "corpus")),)))
    less = xlmr.load(tmp_path / "new", threads=1)
    for text in german:
        assert renumber(whole, less, less.tokenizer.encode(text).ids) == whole.tokenizer.encode(text).ids
    np.testing.assert_allclose(less.embed(german), whole.embed(german), atol=1e-6)
    ((of, found),) = facts["corpus"].items()
    assert of == ("de" if name in ("de=corpus.txt", "corpus.tsv.xz") else name)
    assert (found["texts"], found["same"]) == (len(german), 1)
    assert facts["notes"][2] == f"texts of the corpus that are cut exactly as before: {of} {len(german):,} of {len(german):,}"
    assert less.tokenizer.size < whole.tokenizer.size / 4
    assert less.tokenizer.encode("œuvre ő ł").ids.count(3) == 0  # characters of the script stay, though the corpus has none of these


def test_rarer_pieces_go_and_what_that_changes_is_said(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(LATIN), encoding="utf-8")
    often, all_of = (trimmed(None, tmp_path / str(least), Trim(corpus=(corpus,), min_count=least)) for least in (3, 1))
    assert often["pieces"] < all_of["pieces"]
    assert all_of["corpus"]["corpus.txt"]["same"] == 1
    found = often["corpus"]["corpus.txt"]
    assert found["same"] < 1
    assert 0 < found["pieces_kept"] < 1
    assert found["longer"] > 1
    assert found["unknown_after"] <= found["unknown_before"] + 1e-9  # in shorter pieces, not unknown


# -- models of every kind --


def test_a_fine_tuned_model_keeps_its_head_and_its_answers(tuned: Callable[..., Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat reads a good book\nle chat boit\n", encoding="utf-8")
    for kind, labels, ask in ((CLASSIFIER, TOPICS, "classify"), (TAGGER, NAMES, "tag")):
        folder = tuned(kind, labels)
        trimmed(folder, tmp_path / ask, Trim(corpus=(corpus,)))
        old, new = (xlmr.load(place, threads=1) for place in (folder, tmp_path / ask))
        for text in ("the cat reads a good book", "le chat boit"):
            assert repr(getattr(new, ask)(text)) == repr(getattr(old, ask)(text))
        assert new.tokenizer.size < old.tokenizer.size


@pytest.mark.parametrize("states", [False, True])
def test_calibrated_vectors_are_the_same_with_their_sequences(tiny: Path, tmp_path: Path, states: bool) -> None:
    folder = calibrate(Path(shutil.copytree(tiny, tmp_path / "model")), states=states)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(LINES), encoding="utf-8")
    trimmed(folder, tmp_path / "new", Trim(corpus=(corpus,)))
    old, new = (xlmr.load(place, threads=1) for place in (folder, tmp_path / "new"))
    assert new.tokenizer.size < old.tokenizer.size
    np.testing.assert_allclose(new.embed(LINES), old.embed(LINES), atol=1e-5)


def test_what_calibrated_vectors_say_of_labels_stays_too(tuned: Callable[..., Path], tmp_path: Path) -> None:
    folder = calibrate(Path(shutil.copytree(tuned(CLASSIFIER, TOPICS), tmp_path / "model")))
    dice = np.random.default_rng(3)
    said = meanings.pack(dice.normal(size=(len(TOPICS), 8)), dice.normal(size=len(TOPICS)))
    attachments.write(folder, meanings.NAME, said, attachments.fingerprint(checkpoint.open(folder)))
    (tmp_path / "corpus.txt").write_text("\n".join(LINES), encoding="utf-8")
    facts = trimmed(folder, tmp_path / "new", Trim(corpus=(tmp_path / "corpus.txt",)))
    assert facts["attachments"] == {"calibration": "rows kept", "classifying": "unchanged"}
    old, new = (xlmr.load(place, threads=1) for place in (folder, tmp_path / "new"))
    for text in LINES:
        np.testing.assert_allclose(*([of.score for of in model.classify(text)] for model in (old, new)), atol=1e-6)
    attachments.path_of(tmp_path / "new", meanings.NAME).unlink()
    without = xlmr.load(tmp_path / "new", threads=1)
    assert [of.score for of in without.classify(LINES[0])] != pytest.approx([of.score for of in old.classify(LINES[0])])


@pytest.mark.parametrize("change", [{"tied": False}, {"pad_id": 1, "types": 2}])
def test_every_table_of_pieces_loses_its_rows(
    tiny: Path, make_checkpoint: Callable[..., Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = make_checkpoint(replace(checkpoint.open(tiny).config, **change))
    trimmed(folder, tmp_path / "new", Trim(languages=("ru", "el")))
    old, new = checkpoint.open(folder), checkpoint.open(tmp_path / "new")
    before, after = (xlmr.load(place, threads=1).tokenizer for place in (folder, tmp_path / "new"))
    known = {piece: i for i, (piece, _) in enumerate(before.vocabulary.pieces)}
    ids = [known[piece] for piece, _ in after.vocabulary.pieces]
    assert new.config == replace(old.config, vocabulary=len(ids))
    assert new.stored.keys() == old.stored.keys()
    for name in new.stored:
        held = checkpoint.read(old, name)
        np.testing.assert_array_equal(checkpoint.read(new, name), held[ids] if len(held) == 500 else held, err_msg=name)
    assert {name for name, of in new.stored.items() if of.shape[0] == len(ids)} >= {"embeddings.words.weight", "head.bias"}


def test_rows_are_read_a_block_at_a_time(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = checkpoint.open(tiny)
    monkeypatch.setattr(taking, "BLOCK", 7 * 32)
    wanted = np.array([0, 1, 2, 3, 9, 13, 14, 250, 498, 499, 6])
    for name in ("embeddings.words.weight", "head.bias"):
        weights = take(opened).weights
        assert isinstance(weights, taking.Read)
        np.testing.assert_array_equal(weights.rows(name, wanted), checkpoint.read(opened, name)[wanted])


def test_a_model_with_sentencepieces_file_alone_gets_a_tokenizer_json(tiny: Path, tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*LATIN, *RUSSIAN] * 3), model_writer=made, minloglevel=2, vocab_size=400, hard_vocab_limit=False, pad_id=-1
    )
    vocabulary = parse(from_sentencepiece(made.getvalue()))
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    size = len(vocabulary.pieces)
    opened = take(checkpoint.open(tiny))
    (tmp_path / "cut").mkdir()
    weights = {name: of[:size] if len(of) == 500 else of for name, of in opened.weights.items()}
    put(replace(opened, config=replace(opened.config, vocabulary=size), weights=weights), tmp_path / "cut")
    for name in ("model.safetensors", "config.json"):
        shutil.copy(tmp_path / "cut" / name, folder / name)
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(made.getvalue())
    trimmed(folder, tmp_path / "new", Trim(languages=("en",)))
    new = xlmr.load(tmp_path / "new", threads=1).tokenizer
    old = Tokenizer(vocabulary)
    for text in LATIN:
        if all(old.piece(i) in {piece for piece, _ in new.vocabulary.pieces} for i in old.encode(text).ids):
            assert [new.piece(i) for i in new.encode(text).ids] == [old.piece(i) for i in old.encode(text).ids]
    assert new.vocabulary.charsmap == vocabulary.charsmap
    assert new.size < size


# -- what is refused --


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says which pieces to keep"),
        ({"languages": ("xx-nonsense",)}, "language 'xx-nonsense' is not known"),
        ({"languages": ("en",), "min_count": 2}, "there is no corpus in which to count"),
        ({"corpus": ("f",), "min_count": 0}, "min_count is 0, wanted a whole number, 1 or more"),
        ({"languages": ("en",), "pieces": True}, "pieces is True"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Trim(**options)


@pytest.mark.parametrize("piece", ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "▁"])
def test_special_pieces_cannot_be_dropped(tiny: Path, tmp_path: Path, piece: str) -> None:
    with pytest.raises(BadInput, match=f"the piece '{piece}' cannot be left out: every text is built with it"):
        trimmed(tiny, tmp_path / "new", Trim(languages=("en",), drop=(piece,)))


def test_a_corpus_that_is_missing_empty_broken_or_a_folder_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "broken.txt").write_bytes(b"good\n\xff\xfe\n")
    for number, (name, error, message) in enumerate(
        [
            ("none.txt", BadInput, "none.txt: cannot be read"),
            ("empty.txt", BadInput, "the corpus has no text in it"),
            ("broken.txt", BadLine, r"broken.txt: line 2: not UTF-8"),
            (".", BadInput, "a corpus is read twice, so it cannot be a pipe or a folder"),
        ]
    ):
        with pytest.raises(error, match=message):
            trimmed(tiny, tmp_path / f"new{number}", Trim(corpus=(tmp_path / name,)))


def test_weights_and_tokenizer_of_two_models_are_refused(tiny: Path, make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    larger = make_checkpoint(replace(checkpoint.open(tiny).config, vocabulary=510))
    shutil.copy(larger / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(BadCheckpoint, match="the weights have 500 pieces and the tokenizer 510"):
        trimmed(folder, tmp_path / "new", Trim(languages=("en",)))


def test_a_broken_attachment_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    opened = checkpoint.open(folder)
    broken = attachments.Attachment({"pieces": np.zeros((3, 3), np.int8)}, {"size": 3, "scale": 1.0})
    attachments.write(folder, "calibration", broken, attachments.fingerprint(opened))
    with pytest.raises(BadCheckpoint, match=r"calibration.safetensors: pieces is int8 \[3, 3\], wanted \[500, 3\]"):
        trimmed(folder, tmp_path / "new", Trim(languages=("en",)))
