"""How answers look: for people, and as JSON whose shapes are those of `xlmr/schemas`."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from math import prod
from typing import Any, TypeVar

import click

from xlmr.batching import Pause
from xlmr.checkpoint import Checkpoint, sentences
from xlmr.cli.jobs import Shown
from xlmr.cli.options import Source
from xlmr.cli.terminal import say, visible
from xlmr.config import Config
from xlmr.errors import BadInput
from xlmr.evaluation.labelled import Evaluated
from xlmr.heads import vectors
from xlmr.heads.vectors import Dense, Normalize, Pooling, Recipe, Unknown
from xlmr.languages import LANGUAGES
from xlmr.tasks.answers import Text
from xlmr.tasks.identification import Identified
from xlmr.tasks.masks import Filling
from xlmr.tasks.scoring import Score
from xlmr.texts import Line
from xlmr.tokenizer.vocabulary import MASK, SPACE

R = TypeVar("R")

BAR = 12
SHOWN = 8
"""Labels of a head shown to people."""
LINE_ENDS = {chr(code): f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
"""Line ends to some readers of JSON lines, though not to JSON."""


def answers(source: Source, shown: Shown, as_json: bool) -> int:
    """Print what is shown for each text as soon as it is there; what failed in its place, or on standard error. Gives the exit status."""
    waiting: deque[Line] = deque()

    def texts() -> Iterator[Text]:
        for line in source.lines:
            if isinstance(line, Pause):
                yield line
            else:
                waiting.append(line)
                yield line.text

    failed = False
    for found in progress(shown(texts())):
        line = waiting.popleft()
        if not isinstance(found, BadInput):
            say(found)
            continue
        failed = True
        if as_json:
            say(dumped({"line": line.number, "error": {"kind": found.kind, "message": str(found)}}))
        else:
            click.echo(f"xlmr: {source.unit} {line.number}: {visible(str(found))}", err=True)
    return int(failed)


def fillings(text: str, found: list[Filling]) -> str:
    """A text and its fillings, for people."""
    head = visible(text).replace(MASK, click.style(MASK, bold=True))
    return "\n".join(
        [head, *(f"  {share(filling.score)} {bar(filling.score)} {' | '.join(map(_shown, filling.words))}" for filling in found), ""]
    )


def fillings_json(text: str, found: list[Filling]) -> str:
    """A text and its fillings, as JSON."""
    return dumped({"text": text, "fillings": [asdict(filling) for filling in found]})


def score(text: str, found: Score) -> str:
    """A text and its score, and that of each token, for people."""
    head = f"{found.score:9.3f}  {click.style(visible(text), bold=True)}"
    return "\n".join([head, *(f"{token.score:9.3f}    {_shown(token.text)}" for token in found.tokens), ""])


def score_json(text: str, found: Score) -> str:
    """A text and its score, as JSON."""
    return dumped({"text": text, **asdict(found)})


def language(text: str, found: Identified) -> str:
    """A text and its languages, and its parts where they were asked for, for people."""
    head = click.style(visible(text), bold=True)
    rows = [f"  {share(of.confidence)} {bar(of.confidence)} {of.code:8}{of.script}  {_named(of.code)}".rstrip() for of in found.languages]
    parts = [f"  {of.code:8}{share(of.confidence)}  {visible(text[of.start : of.end])}" for of in found.spans or ()]
    return "\n".join([head, *rows, *parts, ""])


def language_json(text: str, found: Identified) -> str:
    """A text and its languages, as JSON."""
    spans = {} if found.spans is None else {"spans": [asdict(of) for of in found.spans]}
    return dumped({"text": text, "languages": [asdict(of) for of in found.languages], "known": found.known, **spans})


def _named(code: str) -> str:
    return LANGUAGES[code].name if code in LANGUAGES else ""


def evaluated(found: Evaluated) -> str:
    """A score for each language and their mean, for people."""
    rows = [f"  {code:8}{share(of)} {bar(of)} {_named(code)}".rstrip() for code, of in found.languages.items()]
    return "\n".join([f"{click.style(found.task, bold=True)}  {found.metric}", *rows, f"  {'mean':8}{share(found.mean)}"])


def evaluated_json(found: Evaluated) -> dict[str, Any]:
    """The same, as `evaluate --json` has it."""
    return {**asdict(found), "mean": found.mean}


def _shown(word: str) -> str:
    return visible(word) or SPACE


def facts(name: str, found: Checkpoint) -> dict[str, Any]:
    """What a model is, as `info --json` has it."""
    config = found.config
    return {
        "model": name,
        "folder": str(found.folder),
        "parameters": sum(prod(tensor.shape) for tensor in found.stored.values()),
        "bytes": sum(tensor.length for tensor in found.stored.values()),
        "types": sorted({tensor.dtype for tensor in found.stored.values()}),
        "vocabulary": config.vocabulary,
        "width": config.width,
        "layers": config.layers,
        "heads": config.heads,
        "inner": config.inner,
        "longest": config.longest,
        "fills_masks": found.has_mlm_head,
        "head": found.task and {"task": found.task.task, "labels": list(found.task.labels)},
        "vectors": _vectors(sentences.read(found.folder, config), config),
    }


def described(facts: dict[str, Any]) -> str:
    """What a model is, for people."""
    rows = {
        "folder": facts["folder"],
        "parameters": f"{facts['parameters']:,} ({', '.join(facts['types'])}, {facts['bytes'] / 1e6:,.1f} MB)",
        "layers": f"{facts['layers']}, of width {facts['width']:,}, with {facts['heads']} heads and {facts['inner']:,} inner units",
        "vocabulary": f"{facts['vocabulary']:,} pieces",
        "longest text": f"{facts['longest']:,} tokens",
        "fills masks": "yes" if facts["fills_masks"] else "no, it has no head for that",
        **({"head": _head(**facts["head"])} if facts["head"] else {}),
        "text vectors": _made(facts["vectors"]),
    }
    return "\n".join([click.style(facts["model"], bold=True), *(f"  {name:13} {value}" for name, value in rows.items())])


def _vectors(recipe: Recipe, config: Config) -> dict[str, Any]:
    """How a model makes vectors of texts, as `info --json` has it."""
    unknown = next((step.reason for step in recipe.steps if isinstance(step, Unknown)), None)
    return {
        "size": None if unknown else vectors.width(recipe, config.width),
        "steps": [step for of in recipe.steps for step in STEP_NAMES[type(of)](of)],
        "prompts": sorted(recipe.prompts),
        "longest": recipe.longest,
        "unknown": unknown,
    }


STEP_NAMES: dict[type, Callable[[Any], Iterable[str]]] = {
    Pooling: lambda step: step.modes,
    Dense: lambda step: ["dense"],
    Normalize: lambda step: ["normalize"],
    Unknown: lambda step: ["unknown"],
}


def _head(task: str, labels: list[str]) -> str:
    named = f" into {', '.join(labels[:SHOWN])}{f' … ({len(labels)} labels)' if len(labels) > SHOWN else ''}" if labels else ""
    return visible(f"{task}{named}; it is found and not run yet")


def _made(facts: dict[str, Any]) -> str:
    if facts["unknown"]:
        return visible(f"none ({facts['unknown']})")
    cut = f", cut after {facts['longest']:,} tokens" if facts["longest"] else ""
    prompts = f", prompts {', '.join(facts['prompts'])}" if facts["prompts"] else ""
    return visible(f"{facts['size']:,} numbers: {', '.join(facts['steps'])}{cut}{prompts}")


def dumped(value: dict[str, Any]) -> str:
    """One line of JSON."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for end, escaped in LINE_ENDS.items():  # str.translate takes fifty times as long
        line = line.replace(end, escaped)
    return line


def share(of: float) -> str:
    """A share of one in five characters: 0.123, or 1e-05 where that would be nothing."""
    return f"{of:.3f}" if of >= 0.0005 or not of else f"{of:.0e}"


def bar(share: float) -> str:
    """A share of one, drawn in eighths of a character."""
    eighths = round(share * BAR * 8)
    drawn = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
    return click.style(f"{drawn:{BAR}.{BAR}}", fg="cyan")


def progress(items: Iterator[R]) -> Iterator[R]:
    """The items, counted on standard error where that is a terminal and the answers go elsewhere."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield from items
        return
    begin = shown = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):
        yield item
        if (now := time.monotonic()) > shown + 0.2:
            shown = now
            click.echo(f"\r{count:,} texts, {count / (now - begin):,.0f} a second ", nl=False, err=True)
    click.echo(f"\r{count:,} texts, {count / (time.monotonic() - begin):,.0f} a second ", err=True)
