"""What an experiment is, and the runner of all of them: learn from train files, measure on development files, keep what was found.

    python recipes/finetuning/topics.py              a script's experiments with the model inside, those that are not measured yet
    python recipes/finetuning/topics.py --quick      the same, much shortened, to see that it works; nothing of it is kept
    python recipes/finetuning/topics.py --model DIR --results FILE      of another model
    python recipes/finetuning/everything.py          all scripts, one after another

A run that was stopped goes on. `results.json` holds what was measured beside the model's fingerprint and all settings: where one of them
has changed, the experiment is run again. Each script says its own time and scores in its docstring, after `Measured:`; the runner writes
that line. Runs lie in `runs/finetuning/`, their models only until they are measured.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import portions
import torch
from portions import Part

from xlmr import checkpoint, encoder
from xlmr.checkpoint import attachments
from xlmr.checkpoint.folder import CONFIG, TOKENIZER
from xlmr.encoder import Encoder
from xlmr.evaluation import reports, scoring
from xlmr.evaluation.reports import Scored
from xlmr.examples import Classified, Tagged
from xlmr.runtimes.torch import build, export
from xlmr.tasks import answering, classification, tagging
from xlmr.training import states
from xlmr.training.finetuning import growth, runs, seeding
from xlmr.training.finetuning.runs import REPORT, RUN, Tuned
from xlmr.training.finetuning.settings import Settings

RESULTS = Path(__file__).with_name("results.json")
RUNS = Path("runs/finetuning")
SMALL, RANDOM = "small", "random"
QUICK_TRAIN, QUICK_DEV = 64, 8
"""Examples of a part and of a language in a shortened run."""
Results = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is learnt from what, and on what it is measured."""

    name: str
    task: str
    train: tuple[Part, ...]
    dev: Mapping[str, tuple[Part, ...]]
    """By what the measurement is called; its score is the mean of its languages."""
    watched: tuple[Part, ...] = ()
    """Development data of the training language, on which it is measured while it learns."""
    start: str = SMALL
    """`small`, the model that is asked about, or `random`: its architecture with random weights."""
    seeds: tuple[int, ...] = (1,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Other than `Settings` has them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where things lie, and how much is done."""

    model: str | None
    results: Path
    runs: Path
    quick: bool


def main(
    script: str, experiments: Sequence[Experiment], said: Callable[[Results], str], draw: Callable[[Results], None] | None = None
) -> None:
    """The command of a script: its experiments, then what `said` makes of the results, on standard output and in its docstring."""

    @click.command(help=f"The experiments of {Path(script).name}; those that are measured already are not run again.")
    @click.option("--model", metavar="DIR", help="A folder or hub id; the model inside without it.")
    @click.option(
        "--results", type=click.Path(path_type=Path), default=RESULTS, help="Where the scores are kept, beside this script by default."
    )
    @click.option("--quick", is_flag=True, help="Much shortened, to see that it works.")
    def command(model: str | None, results: Path, quick: bool) -> None:
        place = Place(model, RUNS / "quick" / "results.json" if quick else results, RUNS / "quick" if quick else RUNS, quick)
        found = run(experiments, place)
        line = said(found)
        print(line)
        if not quick and results == RESULTS:
            measured(Path(script), line)
            if draw is not None:
                draw(found)

    command()


def run(experiments: Sequence[Experiment], place: Place) -> Results:
    """All of them, with each seed, unless that has been done; gives all results there are."""
    found: Results = json.loads(place.results.read_text(encoding="utf-8")) if place.results.exists() else {}
    opened = checkpoint.open(place.model)
    for one in experiments:
        one = shortened(one) if place.quick else one
        of = identity(one, opened)
        held = found.get(one.name)
        if held is None or held["of"] != of:
            held = found[one.name] = {"of": of, "seeds": {}}
        for seed in one.seeds:
            if str(seed) not in held["seeds"]:
                held["seeds"][str(seed)] = learn(one, seed, place)
                save(found, place.results)
    return found


def identity(one: Experiment, opened: checkpoint.Checkpoint) -> dict[str, Any]:
    """What tells an experiment's results from those of another model, data or settings, the defaults among them; as JSON gives it back."""
    settings = asdict(Settings(task=one.task, **one.settings))
    settings["rate"] = settings["rate"] or growth.rate(opened.config.width)
    of = {"model": attachments.fingerprint(opened), **asdict(one), "settings": settings}
    kept: dict[str, Any] = json.loads(json.dumps({name: value for name, value in of.items() if name != "seeds"}))
    return kept


def shortened(one: Experiment) -> Experiment:
    """Two steps, one seed, few examples."""

    def cut(parts: tuple[Part, ...], most: int) -> tuple[Part, ...]:
        return tuple(replace(part, first=0, count=min(most, part.count or most)) for part in parts)

    dev = {name: cut(parts, QUICK_DEV) for name, parts in one.dev.items()}
    settings = {**one.settings, "epochs": 1}
    return replace(
        one, train=cut(one.train, QUICK_TRAIN), dev=dev, watched=cut(one.watched, QUICK_DEV), seeds=one.seeds[:1], settings=settings
    )


def save(found: Results, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


# -- one run --


def learn(one: Experiment, seed: int, place: Place) -> dict[str, Any]:
    """Fine-tune with a seed, and measure; seconds are those of all of it."""
    begun = time.monotonic()
    folder = place.runs / one.name.replace(" ", "-").replace(",", "") / str(seed)
    train, watched = folder / "data" / "train.jsonl", folder / "data" / "watched.jsonl"
    examples = portions.read(one.task, one.train, seed)
    portions.write(train, examples)
    if one.watched:
        portions.write(watched, portions.read(one.task, one.watched, 0))
    settings = Settings(task=one.task, seed=seed, **one.settings)
    tuned = tune(start(one, seed, place), [str(train)], [str(watched)] if one.watched else [], folder / "model", settings)
    learnt = time.monotonic() - begun
    opened = encoder.load(str(folder / "model"))
    scores = {name: measure(one.task, opened, portions.read(one.task, parts, 0)) for name, parts in one.dev.items()}
    shutil.rmtree(folder)
    return {
        "measured": scores, "examples": len(examples), "steps": tuned.steps, "step": tuned.step,
        "learning": round(learnt, 1), "seconds": round(time.monotonic() - begun, 1), "processors": os.cpu_count(),
    }  # fmt: skip


def tune(model: str | None, train: Sequence[str], dev: Sequence[str], output: Path, settings: Settings) -> Tuned:
    """`runs.run`, from where it was stopped; what it made, where it has ended."""
    if (output / CONFIG).exists() and (output / REPORT).exists():
        return seeding.read(output)
    resume = states.find(output / RUN / "state") is not None
    if not resume:
        shutil.rmtree(output, ignore_errors=True)
    return runs.run({"source": model, "revision": None}, train, dev, output, settings, resume=resume)


def start(one: Experiment, seed: int, place: Place) -> str | None:
    """The model that learns. Random weights are drawn with the run's seed; their folder is made once."""
    if one.start == SMALL:
        return place.model
    folder = place.runs / f"{RANDOM}-{seed}"
    if not folder.exists():
        opened = checkpoint.open(place.model)
        torch.manual_seed(seed)
        checkpoint.save(folder, opened.config, export(build(opened.config)), tokenizer=opened.folder / TOKENIZER)
    return str(folder)


def measure(task: str, model: Encoder, examples: Sequence[Any]) -> dict[str, Any]:
    """What is served, on the ONNX runtime: the metric of each language and their mean, with its 95 % interval."""
    found = reports.report(SCORED[task](examples, ANSWERED[task](model, examples)))
    of = found.metrics[found.metric]
    return {
        "metric": found.metric,
        "languages": {code: round(score, 4) for code, score in of.languages.items()},
        "mean": round(of.mean, 4),
        "interval": [round(bound, 4) for bound in of.interval or ()],
    }


def labels(examples: Sequence[Classified], found: Sequence[str]) -> Scored:
    """Known are all labels there are: from a few examples a model has not learnt them all, and is wrong where it should say another."""
    return scoring.labels(examples, found, sorted({*found, *(label for of in examples for label in of.labels)}))


def tags(examples: Sequence[Tagged], found: Sequence[Sequence[str]]) -> Scored:
    """As `labels`."""
    return scoring.tags(examples, found, sorted({*chain.from_iterable(found), *chain.from_iterable(of.tags for of in examples)}))


ANSWERED: Mapping[str, Callable[[Encoder, Sequence[Any]], list[Any]]] = {
    "classify": lambda model, asked: [found[0].label for found in classification.classify(model, [of.text for of in asked], top=1)],
    "tag": lambda model, asked: [found.tags for found in tagging.tag_words(model, [of.words for of in asked])],
    "answer": lambda model, asked: [of.answer for of in answering.answer_each(model, [(of.question, of.context) for of in asked])],
}
SCORED: Mapping[str, Callable[[Sequence[Any], list[Any]], Scored]] = {"classify": labels, "tag": tags, "answer": scoring.replies}


# -- what is said of it --


def score(found: Results, name: str, of: str, language: str | None = None) -> str:
    """A score in percent, the mean of the seeds, with their standard deviation where there are several; a dash where none is measured."""
    values = [100 * value for value in scores(found, name, of, language)]
    if not values:
        return "–"
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def scores(found: Results, name: str, of: str, language: str | None = None) -> list[float]:
    """Of each seed: that of a language, or the mean of the languages."""
    seeds = [one["measured"][of] for one in found.get(name, {"seeds": {}})["seeds"].values()]
    if language is None:
        return [one["mean"] for one in seeds]
    return [one["languages"][language] for one in seeds if language in one["languages"]]


def minutes(found: Results, names: Sequence[str]) -> str:
    """That the runs took, together."""
    seconds = sum(one["seconds"] for name in names for one in found.get(name, {"seeds": {}})["seeds"].values())
    return "–" if not seconds else f"{seconds / 60:.{0 if seconds > 600 else 1}f} minutes"


MEASURED = re.compile(r"^Measured: (?:.+\n)+", re.MULTILINE)
WIDTH = 140
"""Of a line."""


def measured(script: Path, line: str) -> None:
    """Put the line into a script's docstring, where a paragraph waits for it."""
    text = script.read_text(encoding="utf-8")
    changed = MEASURED.sub(lambda _: textwrap.fill(f"Measured: {line}", WIDTH) + "\n", text, count=1)
    if changed != text:
        partial = script.with_suffix(".partial")
        partial.write_text(changed, encoding="utf-8")
        partial.replace(script)
