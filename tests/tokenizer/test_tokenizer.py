"""Ids against SentencePiece, against transformers around masks; places in the text; files that are no vocabulary."""

import json
import lzma
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from xlmr import tokenizer as tokenizers
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tokenizer import Tokenizer, from_sentencepiece
from xlmr.tokenizer.sentencepiece import read
from xlmr.tokenizer.vocabulary import parse

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "tokenizer"
TRICKY = "ea \t\n\u00a0\u2581\u0301\u0323\u1100\u1161\u11a8ｶﾞ①…\x85\x00\x07\u200b</s><unk>"
PLAIN = [" ", "  ", "\n", "the", " book", "livre", "école", "книгу", "早上孩子们", "，", "हैं", "책을", "☃", "x", ".", "<", "mask>"]

texts = st.one_of(st.text(max_size=40), st.text(TRICKY, max_size=12), st.lists(st.sampled_from([*PLAIN, "</s>", "<pad>"])).map("".join))
masked = st.lists(st.sampled_from([*PLAIN, "<mask>", " <mask>", "<mask> "])).map("".join)


@pytest.fixture(scope="module")
def theirs(model, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "tokenizer.json").write_text(from_sentencepiece(model), encoding="utf-8")
    return transformers.XLMRobertaTokenizer.from_pretrained(folder)


@given(texts.filter(lambda text: "<mask>" not in text))
@example("</s> <s><pad> a<unk>b")
@example("＜mask＞")
@example("ｶﾞ")
@example("")
def test_ids_are_sentencepieces(tokenizer, true_ids, text):
    assert tokenizer.encode(text).ids == true_ids(text)


@pytest.mark.parametrize("sign", "!.-a")
def test_a_run_of_one_sign_is_cut_as_sentencepiece_does(train_model, sign):
    """Cuts of equal score, in which rounding decides."""
    model = train_model([f"yes{sign} and again{sign * 2} and then{sign * 3} so{sign * 6}"] * 80, vocab_size=210)
    ours, theirs = Tokenizer(read(model)), SentencePieceProcessor(model_proto=model)
    for length in range(1, 60):
        for text in (sign * length, f"and then {sign * length}☃☃☃ so yes{sign * 5}"):
            assert ours.encode(text).ids[1:-1] == [3 if i == 0 else i + 1 for i in theirs.encode(text)]


def test_a_long_text_is_cut_as_sentencepiece_does(model):
    """Two cuts that differ in the sixth digit: float32 tells them apart in a short text only."""
    protos = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    proto = protos.ModelProto.FromString(model)
    for piece, score in (("QX", -7.0), ("Z", -3.0), ("Q", -5.0), ("XZ", -5.0001)):
        proto.pieces.add(piece=piece, score=score)
    content = proto.SerializeToString()
    text = " QXZ" * 4_000
    true = [i + 1 for i in SentencePieceProcessor(model_proto=content).encode(text)]
    assert len(set(true)) == 5  # both cuts, and the mark before the word
    assert Tokenizer(read(content)).encode(text).ids[1:-1] == true


@given(masked)
@example("un<mask>able")
@example("<mask>")
@example(" <mask>  <mask>")
def test_ids_around_masks_are_those_of_transformers(tokenizer, theirs, text):
    assert tokenizer.encode(text).ids == theirs(text)["input_ids"]


@pytest.mark.parametrize("typed", ["<s>", "<pad>", "</s>", "<unk>"])
def test_a_special_token_someone_types_is_plain_text(tokenizer, theirs, typed):
    special = {0, 1, 2, tokenizer.mask_id}
    assert not special & set(tokenizer.encode(f"the {typed} book").ids[1:-1])
    assert theirs(f"the {typed} book")["input_ids"] != tokenizer.encode(f"the {typed} book").ids  # so this is ours to take care of


@given(st.one_of(texts, masked))
def test_places_lie_in_the_text_and_in_order(tokenizer, text):
    encoding = tokenizer.encode(text)
    places = encoding.offsets[1:-1]
    assert len(encoding.offsets) == len(encoding.ids)
    assert encoding.offsets[0] == encoding.offsets[-1] == (0, 0)
    assert places == sorted(places)
    assert all(0 <= start <= end <= len(text) for start, end in places)


@given(st.lists(st.sampled_from([*PLAIN, "<mask>"])).map("".join))
def test_slices_are_the_pieces_where_normalising_changes_nothing(tokenizer, text):
    encoding = tokenizer.encode(text)
    for i, (start, end) in list(zip(encoding.ids, encoding.offsets, strict=True))[1:-1]:
        if i != tokenizer.unk_id and "，" not in text[start:end]:
            assert text[start:end] == tokenizer.piece(i).removeprefix("▁")


@given(texts)
def test_places_cover_every_letter(tokenizer, text):
    covered = {at for start, end in tokenizer.encode(text).offsets for at in range(start, end)}
    assert all(at in covered for at, char in enumerate(text) if char.isalnum())


def test_places_in_decomposed_text_are_whole_letters(tokenizer):
    encoding = tokenizer.encode("ca\u0301c e\u0302m")
    assert "".join("ca\u0301c e\u0302m"[start:end] for start, end in encoding.offsets) == "ca\u0301ce\u0302m"


@given(masked, st.integers(2, 12), st.integers(1, 200))
@example("☃", 2, 5000)
def test_the_first_tokens_are_those_of_the_whole(tokenizer, text, longest, times):
    text = f"{text} " * times
    whole = tokenizer.encode(text)
    head = tokenizer.encode(text, longest=longest)
    if len(whole.ids) <= longest:
        assert head == whole
    else:
        assert head.ids == [*whole.ids[: longest - 1], 2]
        assert head.offsets == [*whole.offsets[: longest - 1], (0, 0)]


def test_a_megabyte_is_not_looked_at_for_a_few_tokens(tokenizer, monkeypatch):
    seen = []
    normalize = tokenizer._normalizer.normalize
    monkeypatch.setattr(tokenizer._normalizer, "normalize", lambda text: seen.append(len(text)) or normalize(text))
    assert len(tokenizer.encode("the children read " * 60_000, longest=20).ids) == 20
    assert sum(seen) < 10_000


@given(st.lists(st.sampled_from(["the", " book", " <mask>", " livre", " книгу"]), max_size=8).map("".join))
def test_decoding_gives_the_text_back(tokenizer, text):
    assert tokenizer.encode(tokenizer.decode(tokenizer.encode(text).ids)).ids == tokenizer.encode(text).ids
    assert tokenizer.decode(tokenizer.encode(text.replace(" <mask>", "")).ids) == text.replace(" <mask>", "").strip()


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "the \ud83d book"])
def test_half_a_surrogate_pair_is_refused(tokenizer, text):
    with pytest.raises(BadInput, match=r"U\+D[8-F][0-9A-F]{2}, a half of a surrogate pair"):
        tokenizer.encode(text)


def test_what_is_no_text_is_refused(tokenizer):
    with pytest.raises(BadInput, match="found a bytes, wanted a text"):
        tokenizer.encode(b"the book")


def test_nul_is_unknown_and_other_control_characters_are_nothing(tokenizer):
    assert tokenizer.encode("the\x00book").ids.count(tokenizer.unk_id) == 1
    assert tokenizer.encode("th\x01e\x1f\x7f book\x08").ids == tokenizer.encode("the book").ids


def content_of(model: bytes) -> dict:
    return json.loads(from_sentencepiece(model))


def open_content(content: object, folder: Path) -> Tokenizer:
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return tokenizers.open(folder)


def test_truncation_and_padding_in_a_file_do_nothing(model, tokenizer, tmp_path):
    content = content_of(model)
    content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {"strategy": {"Fixed": 50}, "direction": "Right", "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}
    stored = open_content(content, tmp_path)
    assert stored.encode("the children read a book").ids == tokenizer.encode("the children read a book").ids


def test_what_transformers_saves_gives_the_same_ids(theirs, tokenizer, tmp_path):
    theirs.save_pretrained(tmp_path)
    saved = tokenizers.open(tmp_path)
    assert saved.encode("les <mask> lisent ｶﾞ").ids == tokenizer.encode("les <mask> lisent ｶﾞ").ids
    assert saved.vocabulary == tokenizer.vocabulary


def test_a_mask_that_only_the_added_tokens_have_is_taken(model, tokenizer, tmp_path):
    content = content_of(model)
    content["model"]["vocab"].pop()
    assert open_content(content, tmp_path).vocabulary == tokenizer.vocabulary


SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}}


@pytest.mark.parametrize(
    "more",
    [[SPACES | {"content": " "}], [{"type": "Strip", "strip_left": False, "strip_right": True}, SPACES | {"content": "▁"}]],
    ids=["2020", "2024"],
)
def test_normalisers_of_spaces_change_nothing(model, tokenizer, tmp_path, more):
    content = content_of(model)
    content["normalizer"] = {"type": "Sequence", "normalizers": [content["normalizer"], *more]}
    assert open_content(content, tmp_path).vocabulary == tokenizer.vocabulary


def test_what_transformers_makes_of_a_sentencepiece_file_is_read(model, tokenizer, tmp_path):
    converters = pytest.importorskip("transformers.convert_slow_tokenizer")
    pytest.importorskip("google.protobuf")
    (tmp_path / "sentencepiece.bpe.model").write_bytes(model)
    slow = SimpleNamespace(vocab_file=str(tmp_path / "sentencepiece.bpe.model"), convert_tokens_to_ids=["<s>", "<pad>", "</s>"].index)
    converters.XLMRobertaConverter(slow).converted().save(str(tmp_path / "tokenizer.json"))
    assert tokenizers.open(tmp_path).vocabulary == tokenizer.vocabulary


@pytest.mark.parametrize(
    "marks",
    [{"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True},
     {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}],
    ids=["2020", "2024"],
)  # fmt: skip
def test_marks_of_spaces_are_written_in_two_ways(model, tokenizer, tmp_path, marks):
    assert open_content(content_of(model) | {"pre_tokenizer": marks}, tmp_path).vocabulary == tokenizer.vocabulary


def changed(path: str, value: object):
    """A change of one place in the file's content, named with dots."""

    def change(content: dict) -> object:
        *parents, last = path.split(".")
        place = content
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        place[int(last) if isinstance(place, list) else last] = value
        return content

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "its content is a list, wanted a dict"),
        (changed("model", None), "its model is a NoneType"),
        (changed("model.type", "BPE"), "its model is 'BPE'"),
        (changed("model.byte_fallback", True), "with bytes"),
        (changed("model.unk_id", 0), "its unk_id is 0"),
        (changed("model.vocab", {"a": 1}), "its vocab is a dict"),
        (changed("model.vocab.7", ["a"]), r"not a list of \[piece, score\]"),
        (changed("model.vocab.7", [7, -1.0]), "a piece that is no text"),
        (changed("model.vocab.7", ["the", float("nan")]), "not a finite number"),
        (changed("model.vocab.7", ["<mask>", -1.0]), "'<mask>' is there twice"),
        (changed("model.vocab.-1", ["mask", 0.0]), "adds the token '<mask>' as id .*, which is its piece 'mask'"),
        (lambda content: changed("model.vocab.-1", ["mask", 0.0])(content | {"added_tokens": None}), "no piece '<mask>'"),
        (lambda content: changed("model.vocab.1", ["<PAD>", 0.0])(content | {"added_tokens": None}), "its first pieces are"),
        (changed("added_tokens.4", {"id": 100_000, "content": "<city>"}), "adds the token '<city>'"),
        (changed("pre_tokenizer", {"type": "BertPreTokenizer"}), "cuts text into words with {'type': 'BertPreTokenizer'}, XLM-R at spaces"),
        (changed("pre_tokenizer.pretokenizers.0", {"type": "Digits"}), "cuts text into words with {'type': 'Digits'}"),
        (changed("pre_tokenizer.pretokenizers.1.prepend_scheme", "never"), "cuts text into words with {'prepend_scheme': 'never'"),
        (changed("pre_tokenizer", {"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}), "cuts text into words with"),
        (changed("pre_tokenizer.pretokenizers.1.replacement", "_"), "cuts text into words with .*'replacement': '_'"),
        (changed("pre_tokenizer", {"type": "WhitespaceSplit"}), "does not mark spaces with '▁'"),
        (changed("pre_tokenizer", None), "does not mark spaces with '▁'"),
        (changed("normalizer", {"type": "Lowercase"}), "normalises text with {'type': 'Lowercase'}, XLM-R"),
        (changed("normalizer", {"type": "Replace", "pattern": {"Regex": "x"}, "content": " "}), "normalises text with {.*'Replace'"),
        (changed("added_tokens.0.content", "<city>"), "adds the token '<city>' as id 0, which is its piece '<s>'"),
        (changed("added_tokens.0", "<s>"), "an added token is a str"),
        (changed("added_tokens.0.id", -1), "adds the token '<s>' to its"),
        (changed("model.vocab.7", ["a" * 1_000_000, -1.0]), "piece 7 has 1,000,000 characters, at most 1,000 are taken"),
        (changed("model.vocab.7", ["\ud800", -1.0]), r"piece 7, '\\ud800', has a half of a surrogate pair"),
        (changed("model.vocab.7", ["the", 10**400]), r"not a list of \[piece, score\]"),
        (changed("normalizer.precompiled_charsmap", "?"), "not base64"),
        (changed("normalizer.precompiled_charsmap", "AAAA"), "normalisation table"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_its_path(model, tmp_path, change, message):
    with pytest.raises(BadCheckpoint, match=rf"tokenizer\.json: .*{message}"):
        open_content(change(content_of(model)), tmp_path)


def test_a_file_that_is_missing_or_not_json_is_refused(tmp_path):
    with pytest.raises(BadCheckpoint, match=r"tokenizer\.json: not found"):
        tokenizers.open(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(BadCheckpoint, match="not readable"):
        tokenizers.open(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[" * 100_000)
    with pytest.raises(BadCheckpoint, match="not readable as JSON"):
        tokenizers.open(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="XLM-R's own vocabulary is not at ../shared/data/tokenizer")
def test_published_texts_get_the_published_ids():
    published = json.loads((SHARED / "published_ids.json").read_text(encoding="utf-8"))
    model = lzma.decompress((SHARED / "xlmr_sentencepiece.rebuilt.model.xz").read_bytes())
    tokenizer = Tokenizer(parse(from_sentencepiece(model)))
    assert (tokenizer.size, tokenizer.mask_id) == (250_002, 250_001)
    assert [tokenizer.encode(one["text"]).ids for one in published["texts"]] == [one["ids"] for one in published["texts"]]
