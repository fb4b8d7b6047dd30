"""Which language a text is in, and in which script; and which of its words are in which.

A log-linear classifier (`heads.loglinear`) over the states of one lower layer, pieces, characters and script, fitted for the encoder and
kept beside its weights. Of a text the first 128 tokens, of the first 1,000 characters, are looked at; for spans all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, overload

import numpy as np

from xlmr import languages
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.heads.loglinear import Classifier
from xlmr.limits import TOP, whole
from xlmr.tasks import answers, classifiers, recognition
from xlmr.tasks import evidence as evidences
from xlmr.tasks.evidence import Text
from xlmr.tasks.recognition import Asked, Language
from xlmr.tasks.spans import Span
from xlmr.tasks.spans import spans as parts_of


@dataclass(frozen=True, slots=True)
class Identified:
    """All that is said of a text."""

    languages: tuple[Language, ...]
    """Best first; `und` before all others where it is not known."""
    known: bool
    spans: tuple[Span, ...] | None = None
    """Where they were asked for: in the order of the text, none overlapping another."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text."""

    text: str
    beginning: Text
    """What of it is looked at as a whole."""

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.beginning.ids)

    @property
    def held(self) -> int:
        """Characters of its answer, about: some for each word."""
        return 256 + 4 * len(self.text)


class Options(TypedDict, total=False):
    """What `identify_language` may be asked for."""

    top: int
    among: Sequence[str] | None


@overload
def identify_language(  # type: ignore[overload-overlap]  # a str is one text
    encoder: Encoder, texts: str, *, spans: Literal[False] = False, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[Language]: ...
@overload
def identify_language(  # type: ignore[overload-overlap]  # likewise
    encoder: Encoder, texts: str, *, spans: Literal[True], stream: Literal[False] = False, **options: Unpack[Options]
) -> list[Span]: ...
@overload
def identify_language(
    encoder: Encoder, texts: Iterable[str], *, spans: Literal[False] = False, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[list[Language]]: ...
@overload
def identify_language(
    encoder: Encoder, texts: Iterable[str], *, spans: Literal[True], stream: Literal[False] = False, **options: Unpack[Options]
) -> list[list[Span]]: ...
@overload
def identify_language(
    encoder: Encoder, texts: str | Iterable[str], *, spans: Literal[False] = False, stream: Literal[True], **options: Unpack[Options]
) -> Iterator[list[Language]]: ...
@overload
def identify_language(
    encoder: Encoder, texts: str | Iterable[str], *, spans: Literal[True], stream: Literal[True], **options: Unpack[Options]
) -> Iterator[list[Span]]: ...
def identify_language(
    encoder: Encoder, texts: str | Iterable[str], *, spans: bool = False, stream: bool = False, **options: Unpack[Options]
) -> list[Language] | list[Span] | list[list[Language]] | list[list[Span]] | Iterator[list[Language]] | Iterator[list[Span]]:
    """The likeliest languages of a text, best first, `top` (3) of them; many texts give a list of answers, with `stream` an iterator.

    Where a text is in none of the languages the classifier knows, `und` comes first, with its script and with the probability that this is
    so. A text without letters is `und` alone. `among` restricts the answer to some languages, by code or name; the best of them is then
    given however badly it fits. With `spans` the answer is instead the parts of the text by language, as places in it.

    Raises BadInput where a text is too long or no text, or `top` or `among` are wrong; BadCheckpoint where the model has no classifier.
    """

    def answer(many: Iterable[answers.Text]) -> Iterator[list[Language] | list[Span] | BadInput]:
        for found in identify_each(encoder, many, spans=spans, **options):
            yield found if isinstance(found, BadInput) else list(found.spans or ()) if spans else list(found.languages)

    return answers.like(texts, answer, stream)  # type: ignore[return-value]  # which of them, the overloads say


def identify_each(
    encoder: Encoder, texts: Iterable[answers.Text], *, spans: bool = False, **options: Unpack[Options]
) -> Iterator[Identified | BadInput]:
    """All that is said of each text; one that cannot be answered gives its error in its place."""
    return identifier(encoder, spans=spans, **options)(texts)


def identifier(encoder: Encoder, *, top: int = 3, among: Sequence[str] | None = None, spans: bool = False) -> answers.Answerer[Identified]:
    """What answers streams of texts, its options checked once."""
    classifier = classifiers.find(encoder)
    top = whole("top", top, TOP)
    asked = Asked(classifier, _chosen(classifier, among), top)

    def answer(batch: list[Question]) -> list[Identified]:
        found = recognition.recognise(encoder, [question.beginning for question in batch], asked)
        parts = (tuple(parts_of(encoder, question.text, asked)) if spans else None for question in batch)
        return [Identified(*of, part) for of, part in zip(found, parts, strict=True)]

    return lambda texts: answers.each(texts, lambda text: Question(text, evidences.look_at(encoder, text)), answer)


def _chosen(classifier: Classifier, among: Sequence[str] | None) -> np.ndarray | None:
    if among is None:
        return None
    if isinstance(among, str) or not among:
        raise BadInput(f"among is {among!r}, wanted some languages, such as ['en', 'de']")
    codes = {languages.find(name).code for name in among}
    known = [evidences.code_of(kind) for kind in classifier.classes]
    if strange := sorted(codes - {*known}):
        raise BadInput(f"among: the classifier does not know {', '.join(strange)}; it knows {', '.join(dict.fromkeys(known))}")
    return np.array([code in codes for code in known])


def language_vectors(encoder: Encoder) -> Mapping[str, np.ndarray]:
    """The place of each language in the space of the classifier's layer: the mean of its texts' pooled states, float32 `[width]` by code.

    Raises BadCheckpoint where the model has no classifier.
    """
    of = classifiers.find(encoder)
    return dict(zip(of.classes, of.means * of.spread + of.centre, strict=True))
