"""How answers look: for people, and as JSON whose shapes are those of `xlmr/schemas`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from math import isfinite, prod
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from xlmr.checkpoint import Checkpoint, attachments, sentences
from xlmr.cli.jobs import Shown, answered
from xlmr.cli.options import PAIR, Source
from xlmr.cli.terminal import say, visible
from xlmr.config import Config
from xlmr.errors import BadInput
from xlmr.evaluation.reports import Evaluated
from xlmr.evaluation.retrieval import Retrieved
from xlmr.heads import vectors
from xlmr.heads.vectors import Dense, Normalize, Pooling, Recipe, Unknown
from xlmr.languages import LANGUAGES
from xlmr.tasks.alignment import Alignment
from xlmr.tasks.answering import Answer
from xlmr.tasks.answers import Pair
from xlmr.tasks.classification import Label
from xlmr.tasks.embeddings import Embedded, Parts
from xlmr.tasks.identification import Identified
from xlmr.tasks.masks import Filling
from xlmr.tasks.recognition import Language
from xlmr.tasks.scoring import Score
from xlmr.tasks.tagging import Tagging
from xlmr.tasks.tuned import COMMANDS
from xlmr.tokenizer.vocabulary import MASK, SPACE
from xlmr.writers import jsonl
from xlmr.writers.jsonl import dumped as dumped

if TYPE_CHECKING:
    from xlmr.compression import Compressed
    from xlmr.export import Exported
    from xlmr.training.finetuning.runs import Tuned
    from xlmr.training.finetuning.seeding import Seeded

R = TypeVar("R")

NUMBERS = 5
"""Of a vector shown to people."""
BAR = 12
SHOWN = 8
"""Labels of a head shown to people."""
OUTSIDE = "O"
"""The tag of a word that is in no entity."""


def answers(source: Source, shown: Shown[str], as_json: bool) -> int:
    """Print what is shown for each text as soon as it is there; what failed in its place, or on standard error. Gives the exit status."""
    failed = False
    for line, found in progress(answered(source, shown), not sys.stdout.isatty()):
        if not isinstance(found, BadInput):
            say(found)
            continue
        failed = True
        if as_json:
            say(dumped(jsonl.failed(line.number, found)))
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
    parts = [f"  {of.code:8}{share(of.confidence)}  {visible(text[of.start : of.end])}" for of in found.spans or ()]
    return "\n".join([head, *_ranked(found.languages), *parts, ""])


def _ranked(found: Iterable[Language]) -> list[str]:
    return [f"  {share(of.confidence)} {bar(of.confidence)} {of.code:8}{of.script}  {_named(of.code)}".rstrip() for of in found]


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


def retrieved(found: Retrieved) -> str:
    """The accuracy of each language, both ways, and among how many pairs; and their mean, for people."""
    head = f"{click.style(found.task, bold=True)}  {found.metric}, the mean of both ways; to and from English; pairs"
    rows = [
        f"  {code:8}{share(of.accuracy)} {bar(of.accuracy)} {share(of.to_english)} {share(of.from_english)} {of.pairs:7,}  {_named(code)}"
        for code, of in found.pools.items()
    ]
    return "\n".join([head, *(row.rstrip() for row in rows), f"  {'mean':8}{share(found.mean)}"])


def evaluated_json(found: Evaluated) -> dict[str, Any]:
    """The same, as `evaluate --json` has it."""
    return {**asdict(found), "mean": found.mean}


def tuned(found: Tuned) -> str:
    """What a fine-tuning has made, for people."""
    rows = [f"  {code:8}{share(of)} {bar(of)} {_named(code)}".rstrip() for code, of in found.scores.items()]
    head = f"  {found.metric} on the development data, after step {found.step:,} of {found.steps:,}"
    scores = [head, *rows, f"  {'mean':8}{share(found.mean)}"] if found.mean is not None else []
    left = [f"  left out, as the encoder is another now: {', '.join(found.dropped)}"] if found.dropped else []
    return "\n".join([click.style(str(found.folder), bold=True), *scores, f"  {found.seconds:,.0f} seconds", *left])


def exported(found: Exported) -> str:
    """What an export has made, and how far it is from the model, for people."""
    width = max(map(len, found.files))
    files = [f"  {name:{width}}  {size / 1e6:10,.2f} MB" for name, size in found.files.items()]
    apart = [
        f"  {of.artefact}, {of.task}: {of.output} at most {of.largest:.1e} from the model's, {of.mean:.1e} on average"
        for of in found.parity.differences
    ]
    took = f"  written in {found.seconds['write']:.2f} s, proven in {found.seconds['prove']:.1f} s"
    return "\n".join([click.style(str(found.folder), bold=True), *files, *apart, took, *(f"  {note}" for note in found.notes)])


def compressed(found: Compressed) -> str:
    """What compressing has made and what it cost, for people."""
    from xlmr.compression import card, table

    rows = [*table.rows(found.comparison)]
    name, before, after = (max(len(getattr(row, column)) for row in rows) for column in ("name", "before", "after"))
    head = f"{click.style(str(found.folder), bold=True)}  {found.method}: {visible(card.described(found.options)) or 'no options'}"
    title = f"  {'':{name}}  {'before':>{before}}  {'after':>{after}}"
    shown = [f"  {row.name:{name}}  {row.before:>{before}}  {row.after:>{after}}  {row.change}".rstrip() for row in rows]
    said = (*table.sentences(found.comparison), table.memory_note(found.comparison), *map(visible, found.notes))
    took = f"  made in {found.seconds['compress']:.1f} s, compared in {found.seconds['compare']:.1f} s"
    return "\n".join([head, title, *shown, *(f"  {sentence}" for sentence in said), took])


def seeded(found: Seeded) -> str:
    """The same of several seeds, with mean and spread."""
    rows = [f"  {of.folder}  {share(of.mean) if of.mean is not None else ''}".rstrip() for of in found.runs.values()]
    said = [f"  mean {found.spread[0]:.3f}, standard deviation {found.spread[1]:.3f}"] if found.spread else []
    return "\n".join([tuned(found.best), "", *rows, *said])


def embedding(text: str, found: np.ndarray | Parts | Embedded[list[Language]]) -> str:
    """A text and its vector, with its languages, or its words or tokens and theirs, for people: the first numbers, and how long it is."""
    head = click.style(visible(text), bold=True)
    if isinstance(found, Embedded):
        return "\n".join([head, f"  {_numbers(found.vectors)}", *_ranked(found.languages), ""])
    if isinstance(found, np.ndarray):
        return f"{head}\n  {_numbers(found)}\n"
    rows = (f"  {_numbers(vector)}  {_shown(place.text)}" for place, vector in zip(found.places, found.vectors, strict=True))
    return "\n".join([head, *rows, ""])


def embedding_json(text: str, found: np.ndarray | Parts | Embedded[list[Language]]) -> str:
    """A text and its vector, with its languages, or its words or tokens and theirs, as JSON."""
    return dumped(jsonl.vectors(text, found))


def alignment(found: Alignment) -> str:
    """The pairs of an alignment, for people."""
    source, target = found.words
    rows = (f"  {pair.score:6.3f}  {_shown(source[pair.source].text)} – {_shown(target[pair.target].text)}" for pair in found.pairs)
    return "\n".join(rows)


def alignment_json(found: Alignment) -> str:
    """An alignment as JSON."""
    pairs = [[pair.source, pair.target, pair.score] for pair in found.pairs]
    return dumped({"pairs": pairs, "words": [[place.text for place in of] for of in found.words]})


def classification(text: str | Pair, found: list[Label]) -> str:
    """A text, or two, and the labels, for people; of a regression the numbers."""
    shares = all(0 <= of.score <= 1 for of in found)
    rows = (f"{share(of.score)} {bar(of.score)} {visible(of.label)}" if shares else f"{of.score:9.3f}  {visible(of.label)}" for of in found)
    return "\n".join([_asked(text), *(f"  {row}" for row in rows), ""])


def classification_json(text: str | Pair, found: list[Label]) -> str:
    """A text, or two, and the labels, as JSON."""
    asked = {"text": text} if isinstance(text, str) else dict(zip(PAIR, text, strict=True))
    return dumped({**asked, "labels": [asdict(of) for of in found]})


def tagging(text: str, found: Tagging) -> str:
    """A text and its entities, or the tags of its words where they mark none, for people."""
    spans = [f"  {share(of.score)} {bar(of.score)} {visible(of.label):8}{visible(of.text)}" for of in found.entities]
    if spans or not {*found.tags} - {OUTSIDE}:
        return "\n".join([_asked(text), *spans, ""])
    rows = zip(found.words, found.tags, found.scores, strict=True)
    return "\n".join(
        [_asked(text), *(f"  {share(score)} {bar(score)} {visible(tag):8}{_shown(word.text)}" for word, tag, score in rows), ""]
    )


def tagging_json(text: str, found: Tagging) -> str:
    """A text, its words, their tags and its entities, as JSON."""
    words = [word.text for word in found.words]
    return dumped({"text": text, "words": words, "tags": found.tags, "entities": [asdict(of) for of in found.entities]})


def answer(pair: Pair, found: list[Answer]) -> str:
    """A question and its answers, for people."""
    rows = [f"  {share(of.score)} {bar(of.score)} {'no answer' if of.answer is None else visible(of.answer)}" for of in found]
    return "\n".join([_asked(pair[0]), *rows, ""])


def answer_json(pair: Pair, found: list[Answer]) -> str:
    """The answer to a question, as JSON."""
    return dumped(asdict(found[0]))


def answers_json(pair: Pair, found: list[Answer]) -> str:
    """The answer to a question, and all that were asked for, as JSON."""
    return dumped({**asdict(found[0]), "answers": [asdict(of) for of in found]})


def _asked(text: str | Pair) -> str:
    return "\n".join(click.style(visible(part), bold=True) for part in ([text] if isinstance(text, str) else text))


def _numbers(vector: np.ndarray) -> str:
    if vector.dtype == np.uint8:
        return f"{vector.size * 8:,} bits: {' '.join(f'{byte:08b}' for byte in vector[:NUMBERS])}{' …' * (vector.size > NUMBERS)}"
    numbers = vector["vector"] * vector["scale"] if vector.dtype.names else vector.astype(np.float32)
    first = " ".join(f"{number:6.3f}" for number in numbers[:NUMBERS])
    return f"{numbers.size:,} numbers of length {np.linalg.norm(numbers):6.3f}: {first}{' …' * (numbers.size > NUMBERS)}"


def _shown(word: str) -> str:
    return visible(word) or SPACE


def facts(name: str, found: Checkpoint) -> dict[str, Any]:
    """What a model is, as `info --json` has it."""
    config = found.config
    return {
        "model": name,
        "folder": str(found.folder),
        "parameters": sum(prod(tensor.shape) for tensor in found.stored.values()),
        "bytes": found.size,
        "types": sorted({tensor.dtype for tensor in found.stored.values()}),
        "vocabulary": config.vocabulary,
        "width": config.width,
        "layers": config.layers,
        "heads": config.heads,
        "head_width": config.head_width,
        "inner": config.inner,
        "longest": config.longest,
        "fills_masks": found.has_mlm_head,
        "head": found.task and {"task": found.task.task, "labels": list(found.task.labels)},
        "vectors": _vectors(sentences.read(found.folder, config), config),
        "attachments": attachments.names(found.folder),
    }


def described(facts: dict[str, Any]) -> str:
    """What a model is, for people."""
    rows = {
        "folder": facts["folder"],
        "parameters": f"{facts['parameters']:,} ({', '.join(facts['types'])}, {facts['bytes'] / 1e6:,.1f} MB)",
        "layers": f"{facts['layers']}, of width {facts['width']:,}, with {_heads(facts)} and {facts['inner']:,} inner units",
        "vocabulary": f"{facts['vocabulary']:,} pieces",
        "longest text": f"{facts['longest']:,} tokens",
        "fills masks": "yes" if facts["fills_masks"] else "no, it has no head for that",
        **({"head": _head(**facts["head"])} if facts["head"] else {}),
        "text vectors": ("calibrated; raw ones: " if "calibration" in facts["attachments"] else "") + _made(facts["vectors"]),
        **({"attachments": ", ".join(facts["attachments"])} if facts["attachments"] else {}),
    }
    return "\n".join([click.style(facts["model"], bold=True), *(f"  {name:13} {value}" for name, value in rows.items())])


def _heads(facts: dict[str, Any]) -> str:
    """How many; of what width where that is not the usual one, because others were pruned."""
    usual = facts["heads"] * facts["head_width"] == facts["width"]
    return f"{facts['heads']} heads" + ("" if usual else f" of {facts['head_width']}")


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
    use = f"for `xlmr {COMMANDS[task]}`" if task in COMMANDS else "no command runs it"
    return visible(f"{task}{named}; {use}")


def _made(facts: dict[str, Any]) -> str:
    if facts["unknown"]:
        return visible(f"none ({facts['unknown']})")
    cut = f", cut after {facts['longest']:,} tokens" if facts["longest"] else ""
    prompts = f", prompts {', '.join(facts['prompts'])}" if facts["prompts"] else ""
    return visible(f"{facts['size']:,} numbers: {', '.join(facts['steps'])}{cut}{prompts}")


def share(of: float) -> str:
    """A share of one in five characters: 0.123, or 1e-05 where that would be nothing; what is less than nothing has its sign before it."""
    return f"{of:.3f}" if abs(of) >= 0.0005 or not of else f"{of:.0e}"


def bar(share: float) -> str:
    """A share of one, drawn in eighths of a character."""
    eighths = round(max(0.0, share) * BAR * 8) if isfinite(share) else 0
    drawn = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
    return click.style(f"{drawn:{BAR}.{BAR}}", fg="cyan")


def progress(items: Iterator[R], elsewhere: bool) -> Iterator[R]:
    """The items, counted on standard error where that is a terminal and the answers go elsewhere."""
    if not sys.stderr.isatty() or not elsewhere:
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
