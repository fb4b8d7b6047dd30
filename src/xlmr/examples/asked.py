"""Questions on a context with their answers, as rows of SQuAD (Rajpurkar et al. 2016, 2018): a JSON object on each line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import Any

from xlmr import texts
from xlmr.errors import BadInput, BadLine
from xlmr.examples import sources
from xlmr.examples.sources import JSON_LINES, LANGUAGE, Source

WANTED = "a JSON object with 'question', 'context' and 'answers' on each line"
ANSWERS, TEXT, START, IMPOSSIBLE = "answers", "text", "answer_start", "is_impossible"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on a context, and its answers."""

    language: str
    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]
    """Texts with where they begin in the context, in characters; none where the context has no answer."""
    where: str


def read_asked(source: str) -> Iterator[Asked]:
    """The questions of `FILE` or `LANG=FILE`: `.jsonl` with `question`, `context` and `answers`, and perhaps `id`, `lang`, `is_impossible`.

    `answers` is a list of objects with `text` and `answer_start`, in characters, or, as Hugging Face has it, an object of two lists.
    Where it is empty the context has no answer (SQuAD 2.0).

    Raises BadInput where the file cannot be read or has no questions; BadLine, with file and line, where something is missing or an answer
    does not stand in its context where it says.
    """
    of = sources.source(source)
    if texts.kind_of(of.path) not in JSON_LINES:
        raise BadInput(f"{of.path}: wanted {JSON_LINES[0]}, {WANTED}")
    return of.some((_question(of, number, row) for number, row in texts.objects(of.path)), WANTED)


def _question(of: Source, number: int, row: dict[str, Any]) -> Asked:
    language = of.language_of(number, row.get(LANGUAGE))
    try:
        question, context = (sources.text(row.get(name), name) for name in ("question", "context"))
        answers = tuple(_checked(context, *pair) for pair in _pairs(row.get(ANSWERS)))
        if row.get(IMPOSSIBLE) is True and answers:
            raise BadInput(f"{IMPOSSIBLE!r} is true, and there are answers")
        return Asked(language, sources.name(row.get("id", number), "id"), question, context, answers, of.at(number))
    except BadInput as error:
        raise BadLine(f"{of.at(number)}: {error}") from None


def _pairs(value: object) -> list[tuple[object, object]]:
    """Texts with their places, of either form."""
    if isinstance(value, dict):
        found, starts = (value.get(name) for name in (TEXT, START))
        if isinstance(found, list) and isinstance(starts, list) and len(found) == len(starts):
            return list(zip(found, starts, strict=True))
    elif isinstance(value, list) and all(isinstance(answer, dict) for answer in value):
        return [(answer.get(TEXT), answer.get(START)) for answer in value]
    found = "nothing" if value is None else shorten(value)
    raise BadInput(f"found {found} as {ANSWERS!r}, wanted a list of objects, or an object of lists, with {TEXT!r} and {START!r}")


def _checked(context: str, text: object, start: object) -> tuple[str, int]:
    """An answer that stands where it says."""
    answer = sources.text(text, TEXT)
    if isinstance(start, bool) or not isinstance(start, int):
        raise BadInput(f"found {shorten(start)} as {START!r} of {shorten(answer)}, wanted a whole number")
    found = context[start : start + len(answer)] if start >= 0 else ""
    if found != answer:
        place = context.find(answer)
        hint = f"it stands at {place:,}" if place >= 0 else "it stands nowhere in it"
        raise BadInput(f"the context has {shorten(found)} at {start:,}, wanted the answer {shorten(answer)}; {hint}")
    return answer, start
