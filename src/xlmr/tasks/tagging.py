"""A tag for each word of a text, such as its part of speech or whether it is of a name, with a head fine-tuned for it.

A word's state is that of its first piece, or the mean of all, after the last layer; the head makes of it a score of each label. Where the
labels are those of IOB2, or the head learnt a conditional random field, the likeliest sequence of tags is looked for as a whole (Viterbi),
and what breaks IOB2 is left out; else each word has its likeliest tag. Texts longer than the model takes are read in windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.heads import classes, crf, iob, pieces
from xlmr.heads.crf import Constraints, Crf
from xlmr.heads.vectors import Layers
from xlmr.tasks import answers, hidden, segmentation, taggers
from xlmr.tasks.embeddings import Place
from xlmr.tasks.taggers import Tagger
from xlmr.tokenizer import Encoding, Tokenizer

LAST = Layers()


@dataclass(frozen=True, slots=True)
class Entity:
    """Words that the tags hold together, such as a name."""

    label: str
    """Such as `PER`: that of its tags, without `B-` and `I-`."""
    text: str
    """The slice `start` to `end` of the text."""
    start: int
    end: int
    score: float
    """The mean of its tags' probabilities."""


@dataclass(frozen=True, slots=True)
class Tagging:
    """The words of a text and their tags."""

    words: tuple[Place, ...]
    """In their order."""
    tags: tuple[str, ...]
    """Of each word."""
    scores: tuple[float, ...]
    """The probability of each tag at its place."""
    entities: tuple[Entity, ...]
    """In their order; none where the labels are not those of IOB."""
    text: str
    """What words and entities are places in: the text as it was given, or that which given words make."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text with its words, in pieces."""

    text: str
    encoding: Encoding
    words: list[pieces.Word]

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.encoding.ids)

    @property
    def held(self) -> int:
        """Bytes of it and of its answer, about."""
        return len(self.text) + 128 * len(self.encoding.ids) + 512 * len(self.words)


@overload
def tag(encoder: Encoder, texts: str, *, stream: Literal[False] = False) -> Tagging: ...  # type: ignore[overload-overlap]  # a str is one
@overload
def tag(encoder: Encoder, texts: Iterable[str], *, stream: Literal[False] = False) -> list[Tagging]: ...
@overload
def tag(encoder: Encoder, texts: str | Iterable[str], *, stream: Literal[True]) -> Iterator[Tagging]: ...
def tag(encoder: Encoder, texts: str | Iterable[str], *, stream: bool = False) -> Tagging | list[Tagging] | Iterator[Tagging]:
    """The words of a text, their tags, and the entities these make; many texts give a list of answers, with `stream` an iterator.

    Words are those of `segmentation.words`, in every language; of words that are given already, see `tag_words`.

    Raises BadInput where a text is too long or no text; BadCheckpoint where the model has no head for tags.
    """
    return answers.like(texts, tagger(encoder), stream)


@overload
def tag_words(encoder: Encoder, sentences: Iterable[Sequence[str]], *, stream: Literal[False] = False) -> list[Tagging]: ...
@overload
def tag_words(encoder: Encoder, sentences: Iterable[Sequence[str]], *, stream: Literal[True]) -> Iterator[Tagging]: ...
def tag_words(encoder: Encoder, sentences: Iterable[Sequence[str]], *, stream: bool = False) -> list[Tagging] | Iterator[Tagging]:
    """The same for sentences whose words are given: one tag for each word. Places are those in the text that the words make.

    Raises as `tag`, and BadInput where a sentence is no sequence of words or a word is empty.
    """
    if isinstance(sentences, str):
        raise BadInput("found a text, wanted sentences, each a sequence of words; a text is for `tag`")
    return answers.like(sentences, word_tagger(encoder), stream)  # type: ignore[return-value,arg-type]  # several sentences


def tag_each(encoder: Encoder, texts: Iterable[answers.Text]) -> Iterator[Tagging | BadInput]:
    """As `tag` with `stream`, but a text that cannot be answered gives its error in its place."""
    return tagger(encoder)(texts)


def tagger(encoder: Encoder) -> answers.Answerer[Tagging]:
    """What answers streams of texts."""
    of = taggers.find(encoder)

    def prepare(text: str) -> Question:
        places = segmentation.words(bounded(text))
        return _question(encoder, text, *encode(encoder.tokenizer, text, places))

    return lambda texts: answers.each(texts, prepare, lambda batch: _answer(encoder, of, batch))


def word_tagger(encoder: Encoder) -> answers.Answerer[Tagging]:
    """What answers streams of sentences whose words are given."""
    of = taggers.find(encoder)

    def prepare(words: Sequence[str]) -> Question:
        text, places = _written(words)
        return _question(encoder, text, *encode(encoder.tokenizer, text, places))

    return lambda sentences: answers.each(sentences, prepare, lambda batch: _answer(encoder, of, batch))


def encode_words(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[Encoding, list[pieces.Word]]:
    """The ids of the text that some words make, and for each word, in order, its place and its pieces, as training and tagging have them.

    Piece i is token i + 1, after `<s>`. A word that no piece was made of has none; its state is zero. Raises BadInput where words are
    no sequence of texts, one is empty, or all are far too long.
    """
    return encode(tokenizer, *_written(words))


def encode(tokenizer: Tokenizer, text: str, places: Sequence[tuple[int, int]]) -> tuple[Encoding, list[pieces.Word]]:
    """The ids of a text, and for each word at `places` its pieces; as `encode_words`."""
    encoding = tokenizer.encode(bounded(text))
    return encoding, pieces.each(places, encoding.offsets[1:-1])


def decode(of: Tagger, states: np.ndarray) -> tuple[list[str], list[float]]:
    """The tags of some words and the probability of each, from their states, float32 `[words, width]`."""
    emissions = hidden.finite(classes.linear(of.weights, states))
    field = of.field
    path = likeliest(field, emissions, of.allowed)
    shares = classes.softmax(emissions) if field is None else crf.marginals(field, emissions, of.allowed)
    return [of.labels[i] for i in path], shares[np.arange(len(path)), path].tolist()


def likeliest(field: Crf | None, emissions: np.ndarray, allowed: Constraints | None) -> np.ndarray:
    """The numbers of the tags of some words, int64 `[words]`, from their emissions, float32 `[words, labels]`; see `Tagger.field`."""
    return emissions.argmax(-1) if field is None else crf.viterbi(field, emissions, allowed)


def _written(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text of some words, and the place of each."""
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise BadInput(f"found a {type(words).__name__}, wanted a sequence of words")
    for number, word in enumerate(words, start=1):
        if not isinstance(word, str) or not word:
            raise BadInput(f"word {number} is {word!r}, wanted a text that is not empty")
    return segmentation.joined(words)


def _question(encoder: Encoder, text: str, encoding: Encoding, words: list[pieces.Word]) -> Question:
    hidden.bounded(len(encoding.ids) + len(words), encoder.config.width)
    return Question(text, encoding, words)


def _answer(encoder: Encoder, of: Tagger, batch: list[Question]) -> list[Tagging]:
    read = hidden.read(encoder, [question.encoding.ids for question in batch], LAST)
    return [_tagged(of, question, states[1:-1]) for question, states in zip(batch, read, strict=True)]


def _tagged(of: Tagger, question: Question, states: np.ndarray) -> Tagging:
    """`states` are those of the pieces, `[pieces, width]`."""
    tags, scores = decode(of, pieces.pool(of.pooling, question.words, states))
    words = tuple(Place(question.text[slice(*word.place)], *word.place) for word in question.words)
    spans = iob.entities(tags) if of.marks_spans else []
    found = tuple(_entity(question.text, span, words, scores) for span in spans)
    return Tagging(words, tuple(tags), tuple(scores), found, question.text)


def _entity(text: str, span: iob.Entity, words: Sequence[Place], scores: Sequence[float]) -> Entity:
    start, end = words[span.first].start, words[span.end - 1].end
    return Entity(span.label, text[start:end], start, end, sum(scores[span.first : span.end]) / (span.end - span.first))
