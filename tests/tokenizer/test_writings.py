"""Every language, in every form it is written in: SentencePiece's own ids, at places that leave out only what SentencePiece drops."""

import csv
import itertools
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from writings import FORMS, SENTENCES

from xlmr import tokenizer as tokenizers
from xlmr.languages import LANGUAGES
from xlmr.tokenizer import Tokenizer, from_sentencepiece
from xlmr.tokenizer.sentencepiece import read

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
XLMR = SHARED / "tokenizer" / "xlmr_sentencepiece.rebuilt.model.xz"
SENTENCES_OF_EACH = 4

texts = st.one_of(
    st.text(max_size=60),
    st.tuples(st.sampled_from([*FORMS.values()]), st.sampled_from([*SENTENCES.values()])).map(lambda pair: pair[0](pair[1])),
    st.lists(st.sampled_from("".join(SENTENCES.values()) + "\u0301\u3099\uff9e\u200d\ufe0f \u3000\x00…ﷺﬁ"), max_size=20).map("".join),
)


def check(ours: Tokenizer, theirs: SentencePieceProcessor, text: str) -> None:
    """Ids, order, and what the places leave out; each piece is found in what its place becomes."""
    encoding = ours.encode(text)
    wanted = [ours.unk_id if i == theirs.unk_id() else i + 1 for i in theirs.encode(text)]
    assert encoding.ids == [ours.bos_id, *wanted, ours.eos_id]
    places = encoding.offsets[1:-1]
    assert places == sorted(places)
    assert all(0 <= start <= end <= len(text) for start, end in places)
    for i, (start, end) in zip(encoding.ids[1:-1], places, strict=True):
        assert i == ours.unk_id or ours.piece(i).removeprefix("▁") in theirs.normalize(text[start:end])
    ends = itertools.accumulate((end for _, end in places), max, initial=0)
    starts = [*(start for start, _ in places), len(text)]
    for end, start in zip(ends, starts, strict=True):
        assert theirs.normalize(text[end:start]).strip("▁") == ""


@pytest.fixture(scope="module")
def small(train_model: Callable[..., bytes]) -> tuple[Tokenizer, SentencePieceProcessor]:
    """A small vocabulary that has seen each of the sentences, and so knows most of their signs and some of their words."""
    model = train_model([*SENTENCES.values()] * 2, vocab_size=1_100, character_coverage=1.0)
    return Tokenizer(read(model)), SentencePieceProcessor(model_proto=model)


@pytest.fixture(scope="module")
def large() -> tuple[Tokenizer, SentencePieceProcessor]:
    """XLM-R's own vocabulary."""
    if not XLMR.is_file():
        pytest.skip("XLM-R's own vocabulary is not at ../shared/data/tokenizer")
    model = lzma.decompress(XLMR.read_bytes())
    return Tokenizer(read(model)), SentencePieceProcessor(model_proto=model)


@pytest.fixture(scope="module")
def benchmark() -> dict[str, list[str]]:
    """Sentences by language, from a benchmark's development part."""
    path = SHARED / "bench" / "sib200" / "dev.tsv.xz"
    found: dict[str, list[str]] = {}
    if path.is_file():
        with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                found.setdefault(row["lang"], []).append(row["text"])
    return found


def prose(code: str) -> Iterator[str]:
    """Lines of a language's text."""
    for folder in (SHARED / "text", SHARED / "text" / "filler"):
        if (path := folder / f"{code.lower()}.txt.xz").is_file():
            with lzma.open(path, "rt", encoding="utf-8") as file:
                yield from (line.rstrip("\n") for line in file)


def test_the_sentences_are_of_languages_of_the_table():
    assert SENTENCES.keys() <= LANGUAGES.keys()


@pytest.mark.parametrize("form", FORMS)
def test_a_small_vocabulary_cuts_every_sentence_as_sentencepiece_does(small, form):
    for sentence in SENTENCES.values():
        check(*small, FORMS[form](sentence))


@given(texts.filter(lambda text: "<mask>" not in text))
@example("\u1100\u1161\u11a8\u200d\u11ab")
@example("\u0958\u093c e\u0301\u0302")
@example("\uff76\uff9e\u3099")
@example("\U000e0041\U0001f1e7\U0010ffff")
def test_a_small_vocabulary_cuts_any_text_as_sentencepiece_does(small, text):
    check(*small, text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_xlmrs_vocabulary_cuts_every_language_in_every_form_as_sentencepiece_does(large, benchmark, code):
    sentences = [*benchmark.get(code, ())[:SENTENCES_OF_EACH], *itertools.islice(prose(code), SENTENCES_OF_EACH)]
    if not sentences:
        pytest.skip(f"no text in {code} at ../shared/data")
    for sentence, write in itertools.product(sentences, FORMS.values()):
        check(*large, write(sentence).replace("<mask>", ""))


def test_xlmrs_vocabulary_cuts_any_text_as_sentencepiece_does(large):
    @given(texts.filter(lambda text: "<mask>" not in text))
    def cuts_alike(text):
        check(*large, text)

    cuts_alike()


def test_a_folder_of_either_file_gives_the_same_ids(tmp_path, train_model):
    model = train_model([*SENTENCES.values()] * 2, vocab_size=1_100, character_coverage=1.0)
    for name, content in ((tokenizers.FILE, from_sentencepiece(model).encode()), (tokenizers.SENTENCEPIECE, model)):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(content)
    one, other = (tokenizers.open(tmp_path / name) for name in (tokenizers.FILE, tokenizers.SENTENCEPIECE))
    for sentence, write in itertools.product(SENTENCES.values(), FORMS.values()):
        text = f"{write(sentence)} <mask>."
        assert one.encode(text) == other.encode(text)
