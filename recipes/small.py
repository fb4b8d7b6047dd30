"""Everything that ships inside the package, from text files: train, measure, install. `make small` runs it and rewrites the pages' numbers.

    python recipes/small.py

It goes on from wherever it was stopped, and does nothing again that is done. Of the first run's folder it needs no more than `model/` and
`static/`, of the last's `model/` and `data/`, of one between `model/`, so that runs made elsewhere can be brought here.

- `runs/small/`       the first of the `RUNS`; its `half/` is the model in float16, with the calibration of text vectors
                      (recipes/calibration.py) beside its weights, the teacher of the others
- `runs/taught/`      the second, which goes on from there; and so on
- `…/inside/`         of the last run what ships and is measured: its model in float16, packed to fewer bytes, with a calibration and the
                      classifier of languages (recipes/languages.py)
- `recipes/small/`    `scores.json`, all that is measured; a log of each run and `loss.svg`, the loss over all
- `src/xlmr/small/`   the model inside the package; its README.md is the model card
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import calibration
import languages
import numpy as np
import tables
from tqdm import tqdm

from xlmr import checkpoint
from xlmr.checkpoint.folder import CONFIG, TOKENIZER, WEIGHTS
from xlmr.evaluation import scores
from xlmr.training import corpus, pretraining, recipes, states
from xlmr.training.beginning import CORPUS, HELDOUT
from xlmr.training.recipes import Recipe

RUNS = (Path("recipes/small.toml"), Path("recipes/taught.toml"), Path("recipes/grown.toml"))
"""Each goes on from the one before."""
BENCH = Path("../shared/data/bench")
INSIDE = Path("src/xlmr/small")
ROWS = 200
"""Of the loss curve."""
STEPS, TINY = 16, 1e-6
"""How many steps a row's root mean square is, about, and what it is at least."""


def main() -> None:
    """Train, measure, install, print."""
    runs = [recipes.read(path) for path in RUNS]
    folders = [Path(recipe.output) for recipe in runs]
    for before, recipe, folder in zip((None, *folders), runs, folders, strict=False):
        train(recipe, None if before is None else str(before / "half"))
        halve(folder / "model", folder / "half")
        if before is None:
            calibration.fit(folder / "half", recipe.data, calibration.TEACHER)
    inside = folders[-1] / "inside"
    halve(folders[-1] / "model", inside, fewer)
    calibration.fit(inside, runs[-1].data)
    languages.fit(inside, runs[-1].data)
    measure(inside, folders[-1], folders[0] / "static")
    publish(*folders)
    install(inside, INSIDE)
    for name in ("training", "small", "short"):
        print(tables.TABLES[name]())


def train(recipe: Recipe, start: str | None = None) -> None:
    """Run the recipe to its end, unless that has been done; from a model `start`, where it goes on from one."""
    if not finished(recipe):
        pretraining.run(recipe, start=start, resume=states.find(Path(recipe.output) / "state") is not None)


def finished(recipe: Recipe) -> bool:
    """Whether `model/` is what the recipe makes: newer than the run's state, and that at its last step; or there without any state."""
    folder = Path(recipe.output)
    weights, state = folder / "model" / WEIGHTS, states.find(folder / "state")
    if not weights.exists() or state is None:
        return weights.exists()
    plan, progress = pretraining.plan(recipe), states.read_progress(state)
    newer = weights.stat().st_mtime >= (state / states.FILES[-1]).stat().st_mtime
    return newer and (progress["identity"], progress["step"]) == (plan.identity, plan.steps)


def halve(model: Path, to: Path, change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> None:
    """The model in float16, half its size, its weights changed. Written only where that changes it, so that its scores stay good."""
    found, partial = checkpoint.open(model), to.with_name(to.name + ".partial")
    weights = {name: change(weight) for name, weight in checkpoint.weights(found).items()}
    checkpoint.save(partial, found.config, weights, tokenizer=model / TOKENIZER, dtype="float16")
    if all((to / name).exists() and (to / name).read_bytes() == (partial / name).read_bytes() for name in (CONFIG, TOKENIZER, WEIGHTS)):
        shutil.rmtree(partial)
    else:
        shutil.rmtree(to, ignore_errors=True)
        partial.rename(to)


def fewer(weight: np.ndarray) -> np.ndarray:
    """A matrix whose rows are multiples of a power of two, near a 16th of their root mean square; of a vector nothing is changed.

    Numbers of few digits pack well: 0.99 bytes each in a wheel instead of 1.85. A 24th makes it 1.09, and saves 0.003 bits per character.
    """
    if weight.ndim < 2:
        return weight
    spread = np.sqrt(np.square(weight, dtype=np.float32).mean(1, keepdims=True))
    step = np.exp2(np.round(np.log2(np.maximum(spread, TINY) / STEPS)))
    coarse: np.ndarray = np.round(weight / step) * step
    return coarse


def measure(model: Path, run: Path, static: Path) -> None:
    """Everything, of what ships and of the static vectors it began with; parts that are measured already are not measured again."""
    subject = scores.Subject(
        model=model,
        start=static,
        corpus_file=run / "data" / CORPUS,
        corpus=lambda: corpus.load(run / "data" / CORPUS),
        heldout_file=run / "data" / HELDOUT,
        bench=BENCH,
        counts=scores.Counts(),
    )
    for part in (bar := tqdm(scores.measure(subject, run / "scores.json"), "measuring", len(scores.PARTS), disable=None)):
        bar.set_postfix_str(part)


def publish(*runs: Path) -> None:
    """What was measured, beside the recipe; of a run whose log is not at hand the curve stays as it is."""
    tables.FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(runs[-1] / "scores.json", tables.SCORES)
    for run, path in zip(runs, tables.LOGS, strict=True):
        if (run / "log.jsonl").exists():
            write(list(curve(run / "log.jsonl", ROWS)), path)
    draw(tables.logs(), tables.FOLDER / "loss.svg")


def curve(log: Path, rows: int) -> Iterator[dict[str, Any]]:
    """The run's log in so many rows at most: losses are the means of the lines a row stands for, `heldout` the last measured among them."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    heldout = {line["step"]: line["heldout"]["loss"] for line in lines if "heldout" in line}
    steps = [line for line in lines if "masked" in line]
    each, before = -(-len(steps) // rows), 0
    for part in (steps[i : i + each] for i in range(0, len(steps), each or 1)):
        last = part[-1]
        measured = [loss for step, loss in heldout.items() if before < step <= last["step"]]
        losses = {name: round(mean(line[name] for line in part), 4) for name in ("masked", "contrast", "told") if name in last}
        yield {"tokens": last["tokens"], "seconds": last["seconds"], **losses, "heldout": round(measured[-1], 4) if measured else ""}
        before = last["step"]


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """The curve as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(runs: list[list[dict[str, str]]], path: Path) -> None:
    """The curves of the runs, one after another, as a picture."""
    import matplotlib  # of the dependency group `plot`, which nothing else needs

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "xlmr", "svg.fonttype": "none", "font.size": 9}  # the same picture from the same numbers
    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    before = 0.0
    for i, rows in enumerate(runs):
        for name, (label, look, colour) in CURVES.items():
            points = [(before + int(row["tokens"]) / 1e6, float(row[name])) for row in rows if row.get(name) and float(row[name])]
            if points:
                axes.plot(
                    *zip(*points, strict=True), look, color=colour, linewidth=1, markersize=3, label=label if i == SHOWN[name] else None
                )
        before += int(rows[-1]["tokens"]) / 1e6
    axes.set(xlabel="million tokens", ylabel="loss", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


CURVES = {
    "masked": ("training batches, sampled pieces for most of the run, nats", "-", "#4477aa"),
    "heldout": ("held-out lines, all pieces, mean of the languages, nats", "o-", "#cc6677"),
    "contrast": ("contrast of translations, nats", "-", "#999933"),
    "told": ("what the teacher says, 1 less the cosine", "-", "#44aa99"),
}
"""Columns of the logs, and how they look."""
SHOWN = {"masked": 0, "heldout": 0, "contrast": 0, "told": 1}
"""Which run's curve has the label."""


def install(model: Path, inside: Path) -> None:
    """Put the model into the package, beside its card. Each file appears whole."""
    inside.mkdir(exist_ok=True)
    for file in sorted(model.iterdir()):
        partial = inside / f"{file.name}.partial"
        shutil.copyfile(file, partial)
        partial.replace(inside / file.name)


if __name__ == "__main__":
    if not BENCH.is_dir():
        sys.exit(f"{BENCH} not found: it holds what the model is measured on; see docs/pretraining.md")
    main()
