"""Everything that ships inside the package, from text files: train, measure, install. `make small` runs it and rewrites the pages' numbers.

    python recipes/small.py

It goes on from wherever it was stopped, and does nothing again that is done. Of the run's folder it needs no more than `model/`, `static/`,
`log.jsonl` and `data/`, so that a run made elsewhere can be brought here.

- `runs/small/`       the run (recipes/small.toml says where); `half/` is the model in float16, as it ships and as it is measured, with the
                      classifier of languages (recipes/languages.py) and the calibration of text vectors
                      (recipes/calibration.py) beside its weights
- `recipes/small/`    `scores.json`, all that is measured; `log.csv` and `loss.svg`, the loss over the run
- `src/xlmr/small/`   the model inside the package; its README.md is the model card
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import calibration
import languages
import tables
from tqdm import tqdm

from xlmr import checkpoint
from xlmr.checkpoint.folder import CONFIG, TOKENIZER, WEIGHTS
from xlmr.evaluation import scores
from xlmr.training import corpus, pretraining, recipes, states
from xlmr.training.beginning import CORPUS, HELDOUT
from xlmr.training.recipes import Recipe

RECIPE = Path("recipes/small.toml")
BENCH = Path("../shared/data/bench")
INSIDE = Path("src/xlmr/small")
ROWS = 200
"""Of the loss curve."""


def main() -> None:
    """Train, measure, install, print."""
    recipe = recipes.read(RECIPE)
    folder = Path(recipe.output)
    train(recipe)
    halve(folder / "model", folder / "half")
    languages.fit(folder / "half", recipe.data)
    calibration.fit(folder / "half", recipe.data)
    measure(folder)
    publish(folder)
    install(folder / "half", INSIDE)
    for name in ("training", "small", "short"):
        print(tables.TABLES[name]())


def train(recipe: Recipe) -> None:
    """Run the recipe to its end, unless that has been done."""
    if not finished(recipe):
        pretraining.run(recipe, resume=states.find(Path(recipe.output) / "state") is not None)


def finished(recipe: Recipe) -> bool:
    """Whether `model/` is what the recipe makes: newer than the run's state, and that at its last step; or there without any state."""
    folder = Path(recipe.output)
    weights, state = folder / "model" / WEIGHTS, states.find(folder / "state")
    if not weights.exists() or state is None:
        return weights.exists()
    plan, progress = pretraining.plan(recipe), states.read_progress(state)
    newer = weights.stat().st_mtime >= (state / states.FILES[-1]).stat().st_mtime
    return newer and (progress["identity"], progress["step"]) == (plan.identity, plan.steps)


def halve(model: Path, to: Path) -> None:
    """The model in float16: half its size, and what ships. Written only where that changes it, so that its scores stay good."""
    found, partial = checkpoint.open(model), to.with_name(to.name + ".partial")
    checkpoint.save(partial, found.config, checkpoint.weights(found), tokenizer=model / TOKENIZER, dtype="float16")
    if all((to / name).exists() and (to / name).read_bytes() == (partial / name).read_bytes() for name in (CONFIG, TOKENIZER, WEIGHTS)):
        shutil.rmtree(partial)
    else:
        shutil.rmtree(to, ignore_errors=True)
        partial.rename(to)


def measure(folder: Path) -> None:
    """Everything, of what ships; parts that are measured already are not measured again."""
    subject = scores.Subject(
        model=folder / "half",
        start=folder / "static",
        corpus_file=folder / "data" / CORPUS,
        corpus=lambda: corpus.load(folder / "data" / CORPUS),
        heldout_file=folder / "data" / HELDOUT,
        bench=BENCH,
        counts=scores.Counts(),
    )
    for part in (bar := tqdm(scores.measure(subject, folder / "scores.json"), "measuring", len(scores.PARTS), disable=None)):
        bar.set_postfix_str(part)


def publish(folder: Path) -> None:
    """What was measured, beside the recipe."""
    tables.FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(folder / "scores.json", tables.SCORES)
    rows = list(curve(folder / "log.jsonl", ROWS))
    write(rows, tables.LOG)
    draw(rows, tables.FOLDER / "loss.svg")


def curve(log: Path, rows: int) -> Iterator[dict[str, Any]]:
    """The run's log in so many rows at most: losses are the means of the lines a row stands for, `heldout` the last measured among them."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    heldout = {line["step"]: line["heldout"]["loss"] for line in lines if "heldout" in line}
    steps = [line for line in lines if "masked" in line]
    each, before = -(-len(steps) // rows), 0
    for part in (steps[i : i + each] for i in range(0, len(steps), each or 1)):
        last = part[-1]
        measured = [loss for step, loss in heldout.items() if before < step <= last["step"]]
        losses = {name: round(mean(line[name] for line in part), 4) for name in ("masked", "contrast")}
        yield {"tokens": last["tokens"], "seconds": last["seconds"], **losses, "heldout": round(measured[-1], 4) if measured else ""}
        before = last["step"]


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """The curve as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """The curve as a picture."""
    import matplotlib  # of the dependency group `plot`, which nothing else needs

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "xlmr", "svg.fonttype": "none", "font.size": 9}  # the same picture from the same numbers
    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
    tokens = [row["tokens"] / 1e6 for row in rows]
    measured = [(row["tokens"] / 1e6, row["heldout"]) for row in rows if row["heldout"] != ""]
    axes.plot(
        tokens, [row["masked"] for row in rows], color="#4477aa", linewidth=1, label="training batches, sampled pieces for most of the run"
    )
    axes.plot(*zip(*measured, strict=True), "o-", color="#cc6677", markersize=3, label="held-out lines, all pieces, mean of the languages")
    axes.plot(tokens, [row["contrast"] for row in rows], color="#999933", linewidth=1, label="contrast of translations")
    axes.set(xlabel="million tokens", ylabel="loss, nats", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


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
