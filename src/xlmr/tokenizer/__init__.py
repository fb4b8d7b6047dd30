"""Text to ids and back, with the place of each piece in the text.

Ids are SentencePiece's own, also where its rounding decides (`ties`): in a run of one sign (19 `!`), whose cuts have the same score, and in
a text of thousands of pieces.

A `<mask>` typed in a text is the mask; any other special token someone types
(`<s>`, `</s>`, `<pad>`, `<unk>`) stays plain text, so that no text can end early or hide behind padding.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer as Pieces
from tokenizers import models, pre_tokenizers

from xlmr import files
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.tokenizer.normalization import Normalized, Normalizer
from xlmr.tokenizer.sentencepiece import from_sentencepiece as from_sentencepiece
from xlmr.tokenizer.sentencepiece import read as read_sentencepiece
from xlmr.tokenizer.ties import LONG, RUN, Cutter
from xlmr.tokenizer.vocabulary import BOS_ID, EOS_ID, MASK, PAD_ID, SPACE, SPECIAL, UNK_ID, Vocabulary, parse

FILE = "tokenizer.json"
SENTENCEPIECE = "sentencepiece.bpe.model"
"""What XLM-R was published with."""
READERS: Mapping[str, Callable[[bytes], Vocabulary]] = {
    # the first that is there
    FILE: lambda content: parse(content.decode()),
    SENTENCEPIECE: read_sentencepiece,
}
LARGEST_FILE = 1 << 28  # bytes; the largest vocabularies have a quarter of it
REACH = 16  # characters looked at for each token wanted; a piece has at most 16
MARGIN = 32  # tokens beyond those wanted, so that where the text is cut changes none of them


@dataclass(frozen=True, slots=True)
class Encoding:
    """One text's ids, `<s>` … `</s>`, and for each the slice of the text it stands for.

    `<s>` and `</s>` have (0, 0), a lone `▁` an empty slice. Pieces that one character became (`…` can be `..` and `.`) share its slice.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """A vocabulary, ready to use."""

    bos_id, pad_id, eos_id, unk_id = BOS_ID, PAD_ID, EOS_ID, UNK_ID

    def __init__(self, vocabulary: Vocabulary) -> None:
        # A space cannot come out of the normaliser: so renamed, the special pieces match nothing that is typed.
        reachable = [(f" {piece}" if piece in SPECIAL else piece, score) for piece, score in vocabulary.pieces]
        self._pieces = Pieces(models.Unigram(reachable, unk_id=UNK_ID, byte_fallback=False))
        self._pieces.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
        self._normalizer = Normalizer(vocabulary.charsmap)
        self.vocabulary = vocabulary
        self.size = len(vocabulary.pieces)
        self.mask_id = next(i for i in reversed(range(self.size)) if self.piece(i) == MASK)

    def encode(self, text: str, *, longest: int | None = None) -> Encoding:
        """The ids of a text. With `longest`, that many at most, `<s>` and `</s>` among them; text far beyond is not looked at.

        So a single word of thousands of characters may begin with other pieces than it would if it were seen whole.
        Raises BadInput for what is not text: a lone surrogate, or no string at all.
        """
        check(text)
        if longest is None:
            return self._encode(text)
        reach = REACH * longest
        encoding = self._encode(text[:reach])
        while reach < len(text) and len(encoding.ids) < longest + MARGIN:
            reach *= 4
            encoding = self._encode(text[:reach])
        if len(encoding.ids) <= longest:
            return encoding
        return Encoding([*encoding.ids[: longest - 1], EOS_ID], [*encoding.offsets[: longest - 1], (0, 0)])

    def encode_batch(self, texts: Iterable[str]) -> list[Encoding]:
        """The ids of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids, without `<s>`, `</s>` and padding."""
        hidden = (BOS_ID, PAD_ID, EOS_ID)
        return "".join(self.piece(i) for i in ids if i not in hidden).replace(SPACE, " ").removeprefix(" ")

    def piece(self, i: int) -> str:
        """The piece of an id, `▁` for the space before a word."""
        return self.vocabulary.pieces[i][0]

    def _encode(self, text: str) -> Encoding:
        ids, offsets = [BOS_ID], [(0, 0)]
        at = 0
        for i, part in enumerate(text.split(MASK)):
            if i:
                ids.append(self.mask_id)
                offsets.append((at, at + len(MASK)))
                at += len(MASK)
            normalized = self._normalizer.normalize(part)
            found, cuts = self._cut(normalized.text)
            ids += found
            offsets += [(at + start, at + end) for start, end in _places(normalized, cuts)]
            at += len(part)
        return Encoding([*ids, EOS_ID], [*offsets, (0, 0)])

    @cached_property
    def _ties(self) -> Cutter:
        """A quarter of a second for XLM-R's pieces, which texts that are short and without a run need not wait for."""
        return Cutter(self.vocabulary.pieces)

    def _cut(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a normalised text, and the slices of it that they stand for."""
        if not (len(text) > LONG or RUN.search(text)) or not self._ties.bounded:
            found = self._pieces.encode(text, add_special_tokens=False)
            return found.ids, found.offsets
        cuts = self._ties.cut(text)
        return [i for i, _, _ in cuts], [(begin, end) for _, begin, end in cuts]


def open(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder. Raises BadCheckpoint where it is missing or not XLM-R's."""
    path = Path(folder) / file(folder)
    content = files.read_bytes(path, LARGEST_FILE)
    try:
        return Tokenizer(READERS[path.name](content))
    except UnicodeDecodeError as error:
        raise BadCheckpoint(f"{path}: not readable as text in UTF-8 ({error})") from None
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path}: {error}") from None


def file(folder: Path) -> str:
    """The name of the file that a folder's tokenizer is read from: `tokenizer.json`, or what XLM-R was published with."""
    return next((name for name in READERS if (Path(folder) / name).exists()), FILE)


def copy(folder: Path, to: Path) -> None:
    """Write a folder's tokenizer as a `tokenizer.json` at `to`: as it is, or made of what XLM-R was published with."""
    found = files.locate(Path(folder) / file(folder), Path(folder))
    if file(folder) == FILE:
        shutil.copyfile(found, to)
    else:
        to.write_bytes(from_sentencepiece(found.read_bytes()).encode())


def check(text: str) -> str:
    """The text itself. Raises BadInput where it is not text that UTF-8 can write."""
    if not isinstance(text, str):
        raise BadInput(f"found a {type(text).__name__}, wanted a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"character {error.start} of the text is U+{ord(text[error.start]):04X}, a half of a surrogate pair without the other"
        ) from None
    return text


def _places(normalized: Normalized, pieces: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The slice of the original for each slice of the normalised text; the space before a word is not part of it."""
    for begin, end in pieces:
        first = begin + (normalized.text[begin] == SPACE)
        start = normalized.starts[first]
        yield start, normalized.ends[end - 1] if first < end else start
