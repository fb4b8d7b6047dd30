"""Fill masks: the likeliest pieces, whole words or candidates for each `<mask>` in a text, several masks together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import exp
from typing import Literal, TypedDict, Unpack, overload

from xlmr import batching, languages, scripts
from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.limits import BEAM, FILLED, MASKS, PATHS, PIECES, TOP, whole
from xlmr.tasks import answers, candidates, joint, lexicon, queries
from xlmr.tasks.choices import Choices, OnePiece
from xlmr.tasks.joint import Layout, Path
from xlmr.tasks.spelling import needs_space
from xlmr.tasks.words import WholeWords, stands_apart
from xlmr.tokenizer.vocabulary import MASK

LONGEST_WORD = 4
"""Pieces of a whole word, where nothing else is asked for."""
EXAMPLE = f"Paris est la {MASK} de la France."


@dataclass(frozen=True, slots=True)
class Filling:
    """One way to fill the masks of a text."""

    score: float
    """Its probability, see `fill_mask`; special tokens have their share beside it, though none of them is ever proposed."""
    words: tuple[str, ...]
    """What stands for each mask, in their order."""
    ids: tuple[tuple[int, ...], ...]
    """The pieces of each word."""
    text: str
    """The text, filled: nothing outside the masks is changed."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text with its masks, ready to be searched."""

    text: str
    choices: list[Choices]
    ways: list[Layout]
    held: int
    """Characters of its answer, about."""

    @property
    def length(self) -> int:
        """Tokens of its longest row."""
        return max(len(way.row) for way in self.ways)


class Options(TypedDict, total=False):
    """What `fill_mask` may be asked for."""

    top: int
    candidates: Iterable[str] | None
    whole_word: bool
    longest_word: int | None
    script: str | None
    language: str | None
    per_piece: bool
    beam: int


@overload
def fill_mask(encoder: Encoder, texts: str, *, stream: Literal[False] = False, **options: Unpack[Options]) -> list[Filling]: ...  # type: ignore[overload-overlap]  # a str is one text
@overload
def fill_mask(
    encoder: Encoder, texts: Iterable[str], *, stream: Literal[False] = False, **options: Unpack[Options]
) -> list[list[Filling]]: ...
@overload
def fill_mask(
    encoder: Encoder, texts: str | Iterable[str], *, stream: Literal[True], **options: Unpack[Options]
) -> Iterator[list[Filling]]: ...
def fill_mask(
    encoder: Encoder, texts: str | Iterable[str], *, stream: bool = False, **options: Unpack[Options]
) -> list[Filling] | list[list[Filling]] | Iterator[list[Filling]]:
    """The likeliest fillings of the masks in a text, best first, `top` (5) of them at most.

    One text gives one list; many give a list of them in the same order, with `stream` an iterator that reads a window of texts at a time.

    A mask stands for one piece of the vocabulary; with `whole_word=True` for a word of 1 to `longest_word` (4) pieces; with
    `candidates`, a list of words and phrases, for one of these. Pieces and words can be restricted to a `script` (ISO 15924, `Cyrl`)
    or to the scripts that a `language` is written in.

    The score of one piece is its probability: the softmax over the whole vocabulary, however it is restricted. Of several,
    in one mask or in several masks, it is the product of a chain of such, left to right, each given those before it and masks in the
    place of those after it (see `xlmr.tasks.joint`). So a word of three pieces is compared with one of a single piece as probabilities
    given that there are so many pieces: every length counts as equally likely, and its words share a sum of one. This is how Schick and
    Schütze 2021 ("It's not just size that matters", section 3) compare candidates and Kauf and Ivanova 2023 score words. With
    `per_piece=True` the score is the geometric mean over the pieces, as Jiang et al. 2020 ("X-FACTR") have it for answers of unknown
    length, which brings longer ones forward.

    The search keeps the `beam` (16) best beginnings, or `top`, or as many as there are candidates (with several masks, 1,000 of them at
    most), whichever is most.

    A text longer than the model takes is seen through a window with the masks in its middle.

    Raises BadInput where a text has no mask or too many, is blank or no text, where its masks are too far apart to be seen at once, or
    where an option is none that can be answered.
    """
    return answers.like(texts, lambda many: fill_each(encoder, many, **options), stream)


def fill_each(encoder: Encoder, texts: Iterable[answers.Text], **options: Unpack[Options]) -> Iterator[list[Filling] | BadInput]:
    """As `fill_mask` with `stream`, but a text that cannot be answered gives its error in its place."""
    return filler(encoder, **options)(texts)


def filler(
    encoder: Encoder,
    *,
    top: int = 5,
    candidates: Iterable[str] | None = None,
    whole_word: bool = False,
    longest_word: int | None = None,
    script: str | None = None,
    language: str | None = None,
    per_piece: bool = False,
    beam: int = 16,
) -> answers.Answerer[list[Filling]]:
    """What answers streams of texts, its options checked once."""
    top = whole("top", top, TOP)
    width = max(top, whole("beam", beam, BEAM))
    choose = chooser(encoder, candidates, longest(whole_word, longest_word), in_scripts(script, language))

    def beginnings(asked: Question) -> int:
        return len(asked.ways) * wide(width, asked.choices)

    def answer(batch: list[Question]) -> list[list[Filling]]:
        together = batching.windows(batch, first=len(batch), weight=beginnings, heaviest=PATHS)
        return [found for some in together for found in searched(some)]

    def searched(some: list[Question]) -> list[list[Filling]]:
        found = queries.lead(encoder, [joint.search(asked.ways, asked.choices, wide(width, asked.choices)) for asked in some])
        return [fillings(asked, paths, top, per_piece) for asked, paths in zip(some, found, strict=True)]

    return lambda texts: answers.each(texts, lambda text: ask(encoder, text, choose, top), answer)


def longest(whole_word: bool, pieces: int | None) -> int | None:
    """How many pieces a whole word has at most; None where words are not asked for. Raises BadInput where only their length is."""
    if pieces is not None and not whole_word:
        raise BadInput(f"longest_word is {pieces!r}, but whole words are not asked for; wanted whole_word (--whole-word) beside it")
    return whole("longest_word", LONGEST_WORD if pieces is None else pieces, PIECES) if whole_word else None


def wide(width: int, choices: list[Choices]) -> int:
    """Partial fillings to keep: so many, or as many as a mask has candidates; with several masks, whose product grows, `BEAM` at most."""
    least = max(of.least for of in choices)
    return max(width, least if len(choices) == 1 else min(least, BEAM))


def in_scripts(script: str | None, language: str | None) -> frozenset[str] | None:
    """The scripts that are asked for, None for any. Raises BadInput where one is not known, or both are given."""
    if script is not None and language is not None:
        raise BadInput("both a script and a language are given; wanted one of them")
    if script is not None:
        return scripts.parts([scripts.find(script)])
    return None if language is None else scripts.parts(languages.written(language))


def chooser(encoder: Encoder, among: Iterable[str] | None, longest: int | None, allowed: frozenset[str] | None) -> Callable[[str], Choices]:
    """From the text before a mask to what may stand for it. Raises BadInput for options that exclude each other."""
    tokenizer = encoder.tokenizer
    pieces = lexicon.of(tokenizer)
    if allowed is not None and not len(pieces.roles(allowed).every):
        raise BadInput(f"the model's vocabulary has no piece in {', '.join(sorted(allowed))}; wanted a script that it knows")
    if among is not None:
        if longest or allowed:
            raise BadInput("candidates are given, and whole words, a script or a language as well; candidates are all that is proposed")
        after_space = candidates.cut(tokenizer, candidates.read(among))
        joined = cache(lambda: after_space.joined(pieces))
        return lambda before: joined() if before[-1:].strip() else after_space
    if longest is not None:
        words = {apart: WholeWords(tokenizer, pieces, longest, apart, allowed) for apart in (True, False)}
        return lambda before: words[stands_apart(before)]
    any_piece = OnePiece(pieces, allowed)
    return lambda _: any_piece


def ask(encoder: Encoder, text: str, choose: Callable[[str], Choices], top: int) -> Question:
    """The question in a text. Raises BadInput where there is none, or where it or its `top` fillings are too long."""
    if not bounded(text).strip():
        raise BadInput(f"the text is empty; wanted one with {MASK}, such as {EXAMPLE!r}")
    *before, _ = text.split(MASK)
    if not before:
        raise BadInput(f"the text has no {MASK}; put it where a word is missing, as in {EXAMPLE!r}")
    if len(before) > MASKS:
        raise BadInput(f"the text has {len(before):,} masks, and at most {MASKS} are filled together; split it")
    if len(text) * top > FILLED:
        raise BadInput(
            f"{top:,} fillings of a text of {len(text):,} characters have more than {FILLED:,} together; "
            f"at most {FILLED // len(text):,} are given for this one"
        )
    choices = [choose(part or MASK * (i > 0)) for i, part in enumerate(before)]  # a mask right after another is seen as such
    return Question(text, choices, joint.layouts(encoder, encoder.tokenizer.encode(text).ids, choices), len(text) * top)


def fillings(asked: Question, found: list[list[Path]], top: int, per_piece: bool) -> list[Filling]:
    """The best fillings of a text from the paths found in each of its ways, best first; of several cuts of the same words the best."""
    flat = [
        (path.total / len(path.pieces) if per_piece else path.total, way.divided(path.pieces))
        for paths, way in zip(found, asked.ways, strict=True)
        for path in paths
    ]
    best: dict[tuple[tuple[str, bool], ...], Filling] = {}
    for total, ids in sorted(flat, key=lambda row: -row[0]):
        words = [word for choices, pieces in zip(asked.choices, ids, strict=True) if (word := choices.word(pieces))]
        if len(words) == len(ids) and tuple(words) not in best:
            best[tuple(words)] = Filling(exp(total), tuple(word for word, _ in words), ids, filled(asked.text, words))
        if len(best) == top:
            break
    return list(best.values())


def filled(text: str, words: list[tuple[str, bool]]) -> str:
    """A text with words for its masks, a space before those that bring one where they would meet another word."""
    out, *after = text.split(MASK)
    for (word, spaced), part in zip(words, after, strict=True):
        out += (" " if spaced and needs_space(out) else "") + word + part
    return out
