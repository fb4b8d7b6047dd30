"""How alike two models answer: what they put in the place of masks, what their heads say, where their vectors of texts point."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.compression.parts import Step
from xlmr.compression.probe import Texts
from xlmr.compression.progress import Progress
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint
from xlmr.heads import classes
from xlmr.tasks import answering, calibrations, classification, embeddings, hidden, tagging, tuned
from xlmr.tokenizer import Encoding

EVERY = 7
"""Of so many pieces one is hidden at a time, about the share (15 %) that masked language models were trained with."""
TOP = 5
SURE = 0.5
"""Of several labels at once those hold whose probability is as high."""


@dataclass(frozen=True, slots=True)
class Shares:
    """A share for each language."""

    languages: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Of the languages."""
        return float(np.mean([*self.languages.values()]))

    @property
    def worst(self) -> str:
        """The language with the least."""
        return min(self.languages, key=self.languages.__getitem__)

    def as_json(self) -> dict[str, Any]:
        """As `compression.json` has it."""
        return {"mean": self.mean, "worst": self.languages[self.worst], "worst_language": self.worst, "languages": dict(self.languages)}


# -- masks --


@dataclass(frozen=True, slots=True)
class Fillings:
    """What is filled in, at every piece of the texts."""

    top1: Shares
    """How often both think the same piece the likeliest."""
    top5: Shares
    """What share of the five likeliest pieces of the one are among those of the other."""
    places: int
    """Pieces that were hidden."""
    alike: float
    """What share of the pieces of the texts that is: those that both cut out of the text alike."""

    def as_json(self) -> dict[str, Any]:
        """As `compression.json` has it."""
        return {"places": self.places, "alike": self.alike, "top1": self.top1.as_json(), "top5": self.top5.as_json()}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text as each of two models reads it."""

    language: str
    rows: tuple[list[int], list[int]]
    """Ids, `<s>` … `</s>`."""
    places: list[tuple[int, int]]
    """Where both have the same piece of the same characters: its place in the one row and in the other."""

    @property
    def length(self) -> int:
        """Tokens of the longer row."""
        return max(map(len, self.rows))


@dataclass(frozen=True, slots=True)
class Masked:
    """A sentence with some of its places hidden."""

    of: Sentence
    places: list[tuple[int, int]]

    def row(self, side: int, mask_id: int) -> list[int]:
        """Its ids for the one model or the other."""
        row = list(self.of.rows[side])
        for place in self.places:
            row[place[side]] = mask_id
        return row


Sides = tuple[Encoder, Encoder]
"""The model, and what was made of it."""


def sentences(sides: Sides, texts: Texts) -> list[Sentence]:
    """The texts as both models read them; of one that is longer than a model takes, the beginning."""
    longest = min(side.config.longest for side in sides)
    return [_sentence(sides, language, text, longest) for language, of in texts.items() for text in of]


def _sentence(sides: Sides, language: str, text: str, longest: int) -> Sentence:
    one, other = (encoders.encode(side, text, cut=longest) for side in sides)
    return Sentence(language, (one.ids, other.ids), _common(sides, (one, other)))


def _common(sides: Sides, found: tuple[Encoding, Encoding]) -> list[tuple[int, int]]:
    pieces = [[side.tokenizer.piece(i) for i in of.ids] for side, of in zip(sides, found, strict=True)]
    if pieces[0] == pieces[1]:
        return [(i, i) for i in range(1, len(pieces[0]) - 1)]
    keys = [[*zip(of.offsets, cut, strict=True)] for of, cut in zip(found, pieces, strict=True)]
    there = {key: place for place, key in enumerate(keys[1]) if 0 < place < len(keys[1]) - 1}
    return [(place, there[key]) for place, key in enumerate(keys[0]) if 0 < place < len(keys[0]) - 1 and key in there]


def masked(every: Sequence[Sentence], rounds: Sequence[int] = range(EVERY)) -> list[Masked]:
    """The sentences with every seventh place hidden, once for each that it begins with: after all `rounds` each was hidden once."""
    cut = (Masked(of, of.places[first::EVERY]) for of in every for first in rounds)
    return [of for of in cut if of.places]


def fillings(sides: Sides, texts: Texts, step: Step = lambda _: None) -> Fillings | None:
    """How alike masks are filled; special tokens count as little as they are ever proposed. None where no piece is cut alike.

    Raises BadCheckpoint where one of them has no MLM head, or numbers that are not finite.
    """
    every = sentences(sides, texts)
    rows = masked(every)
    progress, known = Progress(step, "texts with masks filled", len(rows)), _names(sides)
    firsts: dict[str, list[bool]] = {}
    fives: dict[str, list[float]] = {}
    for batch in ([rows[i] for i in batch] for batch in batching.group([of.of.length for of in rows])):
        ours, theirs = (best(side, batch, number) for number, side in enumerate(sides))
        theirs = theirs if known is None else known[theirs]
        languages = [of.of.language for of in batch for _ in of.places]
        for language, one, other in zip(languages, ours, theirs, strict=True):
            firsts.setdefault(language, []).append(bool(one[0] == other[0]))
            fives.setdefault(language, []).append(float(np.isin(one, other).mean()))
        progress.add(len(batch))
    if not firsts:
        return None
    order = [language for language in texts if language in firsts]
    top1, top5 = (Shares({language: float(np.mean(of[language])) for language in order}) for of in (firsts, fives))
    hidden_places = sum(map(len, firsts.values()))
    return Fillings(top1, top5, hidden_places, hidden_places / sum(len(of.rows[0]) - 2 for of in every))


def best(encoder: Encoder, batch: Sequence[Masked], side: int) -> np.ndarray:
    """The likeliest pieces at each hidden place of a batch, best first: int64 `[places, 5]`."""
    rows, picks = question(encoder, batch, side)
    logits = hidden.finite(encoders.mlm_logits(encoder, rows, picks))
    of = encoder.tokenizer
    logits[:, [of.bos_id, of.pad_id, of.eos_id, of.unk_id, of.mask_id]] = -np.inf
    found = np.argpartition(-logits, TOP - 1)[:, :TOP]
    order = np.argsort(-np.take_along_axis(logits, found, 1), kind="stable")
    return np.take_along_axis(found, order, 1)


def question(encoder: Encoder, batch: Sequence[Masked], side: int) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """The rows of a batch for one of the models, and the picks: (row, token)."""
    mask = encoder.tokenizer.mask_id
    return [of.row(side, mask) for of in batch], [(row, place[side]) for row, of in enumerate(batch) for place in of.places]


def _names(sides: Sides) -> np.ndarray | None:
    """From the second model's ids to the first one's of the same pieces, -1 where it has none; None where they are the same."""
    ours, theirs = ([piece for piece, _ in side.tokenizer.vocabulary.pieces] for side in sides)
    if ours == theirs:
        return None
    ids = {piece: i for i, piece in enumerate(ours)}
    return np.array([ids.get(piece, -1) for piece in theirs])


# -- heads --

Said = Mapping[Hashable, Hashable]
"""What a head says: by what was asked, a text, a word or a question."""


def _labels(encoder: Encoder, texts: Sequence[str]) -> Said:
    problem = classification.find(encoder).problem
    if problem == classes.REGRESSION:
        return {}  # numbers are never the same
    found = enumerate(classification.classify(encoder, texts))
    if problem == classes.MULTI:
        return {text: frozenset(of.label for of in labels if of.score >= SURE) for text, labels in found}
    return {text: labels[0].label for text, labels in found}


def _tags(encoder: Encoder, texts: Sequence[str]) -> Said:
    found = tagging.tag(encoder, texts)
    return {(text, word.start, word.end): tag for text, of in enumerate(found) for word, tag in zip(of.words, of.tags, strict=True)}


def _replies(encoder: Encoder, texts: Sequence[str]) -> Said:
    found = answering.answer(encoder, texts, " ".join(texts))
    return {text: (of.start, of.end) for text, of in enumerate(found)}


HEADS: Mapping[str, tuple[str, Callable[[Encoder, Sequence[str]], Said]]] = {
    tuned.CLASSIFICATION: ("labels of texts", _labels),
    tuned.TAGGING: ("tags of words", _tags),
    tuned.ANSWERING: ("answers", _replies),
}
"""By the head's task: what it says, and how it is asked; questions are the texts themselves, about all of the language's together."""


def asked(encoder: Encoder, texts: Sequence[str]) -> Said:
    """What a model's head says of texts; nothing where it has none that is known."""
    task = encoder.head.of.task if encoder.head else ""
    return HEADS[task][1](encoder, texts) if task in HEADS else {}


def said(sides: Sides, texts: Texts, step: Step = lambda _: None) -> tuple[str, Shares] | None:
    """What the heads say, and how often both say the same; None where there is no head that is known, or it says numbers."""
    task = sides[0].head.of.task if sides[0].head else ""
    if task not in HEADS:
        return None
    what = HEADS[task][0]
    progress, shares = Progress(step, f"languages whose {what} were found", len(texts)), dict[str, float]()
    for language, of in texts.items():
        ours, theirs = (asked(side, of) for side in sides)
        if keys := {*ours, *theirs}:
            shares[language] = sum(key in ours and key in theirs and ours[key] == theirs[key] for key in keys) / len(keys)
        progress.add(1)
    return (what, Shares(shares)) if shares else None


# -- vectors --


@dataclass(frozen=True, slots=True)
class Vectors:
    """Cosines between the vectors that two models make of the same texts."""

    shares: Shares
    """The mean of each language."""
    mean: float
    """Of all texts."""
    least: float

    def as_json(self) -> dict[str, Any]:
        """As `compression.json` has it."""
        return {"mean": self.mean, "least": self.least, "languages": dict(self.shares.languages)}


def vectors(sides: Sides, texts: Texts, *, raw: bool = False) -> Vectors | None:
    """How alike vectors of texts are: those of `xlmr embed`, or of `--raw`. None where they are not of one size."""
    flat = [text for of in texts.values() for text in of]
    ours, theirs = (embedded(side, flat, raw=raw) for side in sides)
    if ours.shape != theirs.shape:
        return None
    found = _cosines(ours, theirs)
    ends = np.cumsum([len(of) for of in texts.values()])[:-1]
    means = {language: float(part.mean()) for language, part in zip(texts, np.split(found, ends), strict=True)}
    return Vectors(Shares(means), float(found.mean()), float(found.min()))


def calibrated(sides: Sides) -> bool:
    """Whether vectors of texts are others than raw ones: then the encoder may have no part in them."""
    return any(calibrations.find(side) is not None for side in sides)


def embedded(encoder: Encoder, texts: Sequence[str], *, raw: bool = False) -> np.ndarray:
    """Vectors of texts as `xlmr embed` makes them, or `--raw`; means of the states where a model's own files ask for what is not known."""
    try:
        embeddings.plan(encoder, raw=raw)
    except BadCheckpoint:
        return embeddings.embed(encoder, texts, pooling="mean")
    return embeddings.embed(encoder, texts, raw=raw)


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of each row with its counterpart, float64 `[rows]`; of two that are zero 1, of one 0."""
    one, other = (np.linalg.norm(of.astype(np.float64), axis=1) for of in (ours, theirs))
    products = (ours.astype(np.float64) * theirs).sum(1)
    cosines: np.ndarray = np.where(one * other > 0, products / np.maximum(one * other, 1e-300), (one == 0) & (other == 0))
    return cosines.clip(-1, 1)
