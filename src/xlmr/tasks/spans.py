"""Which words of a text are in which language, where it changes within: code-switched text.

Each word is asked about alone, by the states that its tokens have in the text, its pieces, its characters and its script; then the
likeliest sequence of languages is found in which every change has its price (Viterbi 1967). What stands together is asked about again, as
a text of its own, which says how sure it is and whether it is known at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from xlmr import scripts
from xlmr.encoder import Encoder
from xlmr.heads import loglinear, ngrams
from xlmr.heads.loglinear import Evidence
from xlmr.tasks import evidence as evidences
from xlmr.tasks import recognition
from xlmr.tasks.recognition import Asked

WINDOW = 256
"""Characters that are encoded together, about."""
LONGEST = 12
"""Characters of a word in a script without spaces between words."""
UNSPACED = frozenset({"Hani", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
JOINED = {"Hira": "Hani", "Kana": "Hani"}
"""Scripts that stand together in a word."""
TOGETHER = 64
"""Parts that are asked about again at once."""
LEAST = -12.0
"""The logarithm of the least probability that a word can give a class: no single word rules one out."""
RUNS = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Span:
    """Words that stand together and are in one language."""

    start: int
    end: int
    """Where they stand: the slice `start` to `end` of the text."""
    code: str
    script: str
    confidence: float


def spans(encoder: Encoder, text: str, asked: Asked) -> Iterator[Span]:
    """The parts of a text, in their order."""
    places = words(text)
    if not places:
        return
    path = likeliest(word_scores(encoder, text, asked), asked.classifier.switch)
    codes = [evidences.code_of(asked.classifier.classes[kind]) for kind in path]
    parts = []
    for _, group in groupby(range(len(places)), key=codes.__getitem__):
        held = list(group)
        parts.append((places[held[0]][0], places[held[-1]][1], path[held[0]]))
    for begin in range(0, len(parts), TOGETHER):
        yield from _named(encoder, text, parts[begin : begin + TOGETHER], asked)


def word_scores(encoder: Encoder, text: str, asked: Asked) -> np.ndarray:
    """The logarithm of each class's probability for each of a text's `words`, float32 `[words, classes]`."""
    found = [_scores(encoder, text, window, asked) for window in windows(words(text))]
    return np.concatenate(found) if found else np.zeros((0, len(asked.classifier.classes)), np.float32)


def words(text: str) -> list[tuple[int, int]]:
    """The words of a text, as places in it: what stands between spaces, from its first letter to its last, cut where the script changes."""
    found: list[tuple[int, int]] = []
    for run in RUNS.finditer(text):
        script, begin, end = "", 0, 0
        for place, char in enumerate(run[0], run.start()):
            of = JOINED.get(own := scripts.of(char), own)
            if of == scripts.ANY:
                end += place == end and unicodedata.category(char)[0] == "M"  # an accent goes with its letter
                continue
            if script and (of != script or (of in UNSPACED and place - begin >= LONGEST)):
                found.append((begin, end))
            if not script or found[-1:] == [(begin, end)]:
                script, begin = of, place
            end = place + 1
        if script:
            found.append((begin, end))
    return found


def windows(places: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Words in windows of about so many characters."""
    held: list[tuple[int, int]] = []
    for place in places:
        if held and place[1] - held[0][0] > WINDOW:
            yield held
            held = []
        held.append(place)
    if held:
        yield held


def likeliest(scores: np.ndarray, switch: float) -> list[int]:
    """The sequence of classes with the largest sum of scores `[words, classes]`, less `switch` for each change from one to another."""
    best, came = scores[0].astype(np.float64), np.zeros(scores.shape, np.int64)
    own = np.arange(scores.shape[1])
    for i, row in enumerate(scores[1:], start=1):
        other = int(best.argmax())
        stays = best >= best[other] - switch
        came[i] = np.where(stays, own, other)
        best = np.where(stays, best, best[other] - switch) + row
    path = [int(best.argmax())]
    for row in came[:0:-1]:
        path.append(int(row[path[-1]]))
    return path[::-1]


def _scores(encoder: Encoder, text: str, window: list[tuple[int, int]], asked: Asked) -> np.ndarray:
    """The logarithm of each class's probability for each word of a window, float32 `[words, classes]`."""
    begin, end = window[0][0], window[-1][1]
    encoding = encoder.tokenizer.encode(text[begin:end], longest=encoder.config.longest)
    (states,) = encoder.runtime.hidden_states(np.array([encoding.ids]), [asked.classifier.layer])
    middles = np.array([begin + (start + stop) / 2 for start, stop in encoding.offsets[1:-1]])
    held = [np.flatnonzero((middles >= start) & (middles <= stop)) + 1 for start, stop in window]
    pooled = np.stack([states[0][rows].mean(0) if len(rows) else np.zeros(states.shape[-1], np.float32) for rows in held])
    pieces, piece_starts = evidences.joined([[encoding.ids[i] for i in rows] for rows in held])
    parts = [text[start:stop] for start, stop in window]
    shares = evidences.shares([scripts.counted(part) for part in parts], asked.scripts)
    found = loglinear.evidence(asked.classifier, Evidence(pooled, pieces, piece_starts, *ngrams.hashes(parts), shares))
    if asked.chosen is not None:
        found = np.where(asked.chosen, found, -np.inf)
    with np.errstate(divide="ignore"):
        scores: np.ndarray = np.maximum(np.log(loglinear.probabilities(found)), LEAST)
    return scores


def _named(encoder: Encoder, text: str, parts: Sequence[tuple[int, int, int]], asked: Asked) -> Iterator[Span]:
    """Parts with the language of each, as the classifier has it of the part alone; unknown where that does not know it."""
    whole = replace(asked, top=len(asked.classifier.classes) + 1)
    texts = [evidences.look_at(encoder, text[start:end]) for start, end, _ in parts]
    for (start, end, kind), (found, known) in zip(parts, recognition.recognise(encoder, texts, whole), strict=True):
        code = evidences.code_of(asked.classifier.classes[kind])
        language = next((of for of in found if of.code == code), found[0]) if known else found[0]
        yield Span(start, end, language.code, language.script, language.confidence)
