"""Made-up examples in a few words of two languages, and what a run said of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOUNS = {"en": ("cat", "dog", "house", "book", "water", "city"), "de": ("Katze", "Hund", "Haus", "Buch", "Wasser", "Stadt")}
VERBS = {"en": ("reads", "drinks", "sleeps"), "de": ("liest", "trinkt", "schläft")}
ARTICLE = {"en": "the", "de": "das"}
KINDS = ("animal", "animal", "place", "thing", "thing", "place")
"""Of the nouns."""


def topics(language: str, count: int, seed: int) -> str:
    """A table of texts and what they are of."""
    dice = random.Random(seed)
    rows = []
    for _ in range(count):
        noun = dice.randrange(len(KINDS))
        text = " ".join([ARTICLE[language], NOUNS[language][noun], dice.choice(VERBS[language])][: dice.choice([2, 3, 3])])
        rows.append(f"{text}\t{KINDS[noun]}\n")
    return "text\tlabel\n" + "".join(rows)


def names(language: str, count: int, seed: int) -> str:
    """Sentences in CoNLL; nouns are spans, of one word or two."""
    dice = random.Random(seed)
    sentences = []
    for _ in range(count):
        noun = dice.randrange(len(KINDS))
        kind = KINDS[noun]
        words = [(ARTICLE[language], "O"), (NOUNS[language][noun], f"B-{kind}")]
        words += [(NOUNS[language][noun], f"I-{kind}")] * dice.choice([0, 0, 1]) + [(dice.choice(VERBS[language]), "O")]
        sentences.append("".join(f"{word}\t{tag}\n" for word, tag in words))
    return "\n".join(sentences)


def questions(language: str, count: int, seed: int) -> str:
    """What does a noun do? The first sentence of a context says it, or none does."""
    dice = random.Random(seed)
    lines = []
    for number in range(count):
        nouns = dice.sample(NOUNS[language], 3)
        verbs = [dice.choice(VERBS[language]) for _ in nouns]
        context = " , ".join(f"{ARTICLE[language]} {noun} {verb}" for noun, verb in zip(nouns, verbs, strict=True))
        asked = 0
        start = context.index(nouns[asked]) + len(nouns[asked]) + 1
        answers = [{"text": verbs[asked], "answer_start": start}]
        if number % 5 == 4:
            nouns[asked], answers = next(noun for noun in NOUNS[language] if noun not in nouns), []
        lines.append({"id": str(number), "question": nouns[asked], "context": context, "answers": answers})
    return "".join(json.dumps(line) + "\n" for line in lines)


FILES: dict[str, tuple[Callable[[str, int, int], str], str]] = {
    "classify": (topics, ".tsv"),
    "tag": (names, ".conll"),
    "answer": (questions, ".jsonl"),
}


def log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, but for the time they took."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in log(folder) if "loss" in line]
