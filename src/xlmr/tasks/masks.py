"""Fill masks: the likeliest pieces for a `<mask>` in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.limits import FILLED, TOP, whole
from xlmr.tasks import answers
from xlmr.tokenizer.vocabulary import MASK, SPACE

EXAMPLE = f"Paris est la {MASK} de la France."

# Scripts written without spaces between words: Thai and Lao, Tibetan, Burmese, Khmer, Chinese and Japanese with their punctuation.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class Filling:
    """One way to fill the masks of a text."""

    score: float
    """Its probability: the softmax over the whole vocabulary, special tokens among it, though none of them is ever proposed."""
    words: tuple[str, ...]
    """What stands for each mask, in their order."""
    ids: tuple[tuple[int, ...], ...]
    """The pieces of each word."""
    text: str
    """The text, filled: nothing outside the masks is changed."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text with one mask, cut into pieces."""

    text: str
    ids: list[int]


@overload
def fill_mask(encoder: Encoder, texts: str, *, top: int = 5, stream: Literal[False] = False) -> list[Filling]: ...  # type: ignore[overload-overlap]  # a str is one text
@overload
def fill_mask(encoder: Encoder, texts: Iterable[str], *, top: int = 5, stream: Literal[False] = False) -> list[list[Filling]]: ...
@overload
def fill_mask(encoder: Encoder, texts: str | Iterable[str], *, top: int = 5, stream: Literal[True]) -> Iterator[list[Filling]]: ...
def fill_mask(
    encoder: Encoder, texts: str | Iterable[str], *, top: int = 5, stream: bool = False
) -> list[Filling] | list[list[Filling]] | Iterator[list[Filling]]:
    """The likeliest fillings of the `<mask>` in a text, best first, `top` of them at most.

    One text gives one list; many give a list of them in the same order, with `stream` an iterator that reads a window of texts at a time.

    Raises BadInput where a text has no mask or several, is blank, too long for the model or for `top` copies of it, or no text.
    """
    return answers.like(texts, lambda many: fill_each(encoder, many, top=top), stream)


def fill_each(encoder: Encoder, texts: Iterable[str | BadInput], *, top: int = 5) -> Iterator[list[Filling] | BadInput]:
    """As `fill_mask` with `stream`, but a text that cannot be answered gives its error in its place."""
    top = whole("top", top, TOP)

    def answer(batch: list[Question]) -> list[list[Filling]]:
        mask_id = encoder.tokenizer.mask_id
        picks = [(row, question.ids.index(mask_id)) for row, question in enumerate(batch)]
        logits = encoders.mlm_logits(encoder, [question.ids for question in batch], picks)
        return [fillings(encoder, question.text, scores, top) for question, scores in zip(batch, logits, strict=True)]

    return answers.each(texts, lambda text: ask(encoder, text, top), lambda question: len(question.ids), answer)


def ask(encoder: Encoder, text: str, top: int) -> Question:
    """The question in a text. Raises BadInput where there is none, or where it or its `top` fillings are too long."""
    encoding = encoders.encode(encoder, text)
    if not text.strip():
        raise BadInput(f"the text is empty; wanted one with {MASK}, such as {EXAMPLE!r}")
    masks = text.count(MASK)
    if masks == 0:
        raise BadInput(f"the text has no {MASK}; put it where a word is missing, as in {EXAMPLE!r}")
    if masks > 1:
        raise BadInput(f"the text has {masks} masks; several are filled together from a later version on, this one fills one at a time")
    if len(text) * top > FILLED:
        raise BadInput(
            f"{top:,} fillings of a text of {len(text):,} characters have more than {FILLED:,} together; "
            f"at most {FILLED // len(text):,} are given for this one"
        )
    return Question(text, encoding.ids)


def fillings(encoder: Encoder, text: str, logits: np.ndarray, top: int) -> list[Filling]:
    """The best fillings of a text from the logits at its mask, `[vocabulary]`. Equals come in the order of their ids."""
    tokenizer = encoder.tokenizer
    logits = logits.astype(np.float64)
    peak = logits.max()
    if not np.isfinite(peak):
        raise BadCheckpoint("the model answers with numbers that are not finite; its weights are broken")
    total = np.exp(logits - peak).sum()
    special = [tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id]
    logits[special] = -np.inf
    top = min(top, len(logits) - len(special))
    near = np.flatnonzero(logits >= np.partition(logits, -top)[-top])
    best = near[np.argsort(-logits[near], kind="stable")][:top]
    scores = np.exp(logits[best] - peak) / total
    return [_filling(text, int(i), tokenizer.piece(i), float(score)) for i, score in zip(best, scores, strict=True)]


def _filling(text: str, i: int, piece: str, score: float) -> Filling:
    before, after = text.split(MASK)
    word = piece.removeprefix(SPACE)
    space = " " if word != piece and _ends_a_word(before) else ""
    return Filling(score, (word,), ((i,),), f"{before}{space}{word}{after}")


def _ends_a_word(before: str) -> bool:
    """Whether a word that follows needs a space: after a letter, digit, mark or closing sign, unless in a script without spaces."""
    last = before[-1:]
    return bool(last) and (unicodedata.category(last)[0] in "LMN" or last in ".,;:!?%)]}»…") and not UNSPACED.match(last)
