"""How loss and transfer go with tokens in the last run of the model inside, and what ten times as many would buy.

    python recipes/scaling.py

Reads the models that the run kept (`keep = true`), measures some of them, evenly spaced by the logarithm of their tokens, and writes
`scaling.csv` and `scaling.svg` into recipes/small/. What is measured already is not measured again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tables
from small import BENCH, RUNS, write
from tqdm import tqdm

from xlmr.evaluation import scores
from xlmr.training import corpus, pretraining, recipes
from xlmr.training.beginning import CORPUS, HELDOUT
from xlmr.training.recipes import Recipe

CURVE, PICTURE = tables.FOLDER / "scaling.csv", tables.FOLDER / "scaling.svg"
MEASURED = "measured.json"
POINTS = 12
"""Kept models that are measured."""
SETTLED = 0.05
"""Share of the run after which the loss is fitted: before, a model that has just grown makes up for it."""
POWERS = np.linspace(0.02, 1.5, 149)
TIMES = 10
COUNTS = scores.Counts(words=1, pieces=60)
COLUMNS = {
    "words": ("hidden words of SIB-200 in the first five", "#4477aa"),
    "pos": ("parts of speech, mean of languages", "#cc6677"),
    "topics": ("topics, mean of languages", "#44aa99"),
}
"""What is measured of a kept model, learnt from English by probes: the share that is right."""


class Law(NamedTuple):
    """loss = floor + factor · tokens ^ -power: Hoffmann et al. (2022), "Training compute-optimal large language models", equation 2, with
    the size of the model as it is."""

    floor: float
    factor: float
    power: float
    error: float
    """Root mean square of what is left, nats."""

    def at(self, tokens: float) -> float:
        """Nats per hidden piece after so many millions of tokens."""
        return float(self.floor + self.factor * tokens**-self.power)


def main() -> None:
    """Measure, fit, draw, print."""
    recipe = recipes.read(RUNS[-1])
    before = sum(int(log[-1]["tokens"]) for log in tables.logs()[: len(RUNS) - 1]) / 1e6
    heldout = losses(Path(recipe.output) / "log.jsonl")
    steps = spaced([step for step in sorted(heldout) if kept(recipe, step).exists()], POINTS)
    if not steps:
        sys.exit(f"{recipe.output}/kept: no models there; the run keeps them with keep = true")
    rows = [{"tokens": step * recipe.objective.batch, "heldout": round(heldout[step], 4), **measure(recipe, step)}
            for step in tqdm(steps, "measuring", disable=None)]  # fmt: skip
    write(rows, CURVE)
    full = settled(recipe, heldout)
    law = fit([before + step * recipe.objective.batch / 1e6 for step in full], [heldout[step] for step in full])
    draw(rows, before, law, PICTURE)
    last = before + rows[-1]["tokens"] / 1e6
    print(f"{law.floor:.2f} + {law.factor:.2f} · (million tokens)^-{law.power:.2f}, within {law.error:.3f} nats; "
          f"{law.at(last):.3f} after {last:,.0f} M tokens, {law.at(TIMES * last):.3f} after {TIMES * last:,.0f} M")  # fmt: skip


def losses(log: Path) -> dict[int, float]:
    """By step, the loss on held-out lines."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return {line["step"]: line["heldout"]["loss"] for line in lines if "heldout" in line}


def settled(recipe: Recipe, heldout: Mapping[int, float]) -> list[int]:
    """The steps at the full rate, without the first."""
    plan = pretraining.plan(recipe)
    first = SETTLED * max(heldout)
    return [step for step in sorted(heldout) if first < step <= plan.steps - plan.decay]


def spaced(steps: Sequence[int], count: int) -> list[int]:
    """So many of them at most, the first and the last among them, evenly spaced by their logarithm."""
    if not steps:
        return []
    wanted = np.geomspace(steps[0], steps[-1], count)
    return sorted({min(steps, key=lambda step: abs(step - at)) for at in wanted})


def kept(recipe: Recipe, step: int) -> Path:
    """Where a run keeps its model."""
    return Path(recipe.output) / "kept" / f"{step:06}"


def measure(recipe: Recipe, step: int) -> dict[str, float]:
    """What `COLUMNS` says of a kept model. Of the layers the best in English counts."""
    model, data = kept(recipe, step), Path(recipe.output) / "data"
    path = model / MEASURED
    if not path.exists():
        of = scores.Subject(model=model, start=model, corpus_file=data / CORPUS, corpus=lambda: corpus.load(data / CORPUS),
                            heldout_file=data / HELDOUT, bench=BENCH, counts=COUNTS)  # fmt: skip
        probed = scores.probed(of, of.encoder, of.layers)
        found = {
            "words": scores.predicted_by_model(of)["sib200"]["model"]["mean"]["top5"],
            "pos": probed["pos"]["plain"]["mean"],
            "topics": probed["topics"]["centred"]["mean"],
        }
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    read: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return {name: round(value, 4) for name, value in read.items()}


def fit(tokens: Sequence[float], losses: Sequence[float]) -> Law:
    """The law with the least squares; for each power the rest is linear."""
    best: Law | None = None
    for power in POWERS:
        basis = np.stack([np.ones(len(tokens)), np.asarray(tokens) ** -power], axis=1)
        (floor, factor), *_ = np.linalg.lstsq(basis, np.asarray(losses), rcond=None)
        error = float(np.sqrt(np.mean((basis @ [floor, factor] - losses) ** 2)))
        if best is None or error < best.error:
            best = Law(float(floor), float(factor), float(power), error)
    assert best is not None
    return best


def draw(rows: Sequence[Mapping[str, Any]], before: float, law: Law, path: Path) -> None:
    """The losses with their law, and what is measured, over all tokens so far."""
    import matplotlib  # of the dependency group `plot`, which nothing else needs

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "xlmr", "svg.fonttype": "none", "font.size": 9}  # the same picture from the same numbers
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3), layout="constrained")
    tokens = [before + row["tokens"] / 1e6 for row in rows]
    further = np.geomspace(tokens[0], TIMES * tokens[-1], 100)
    left.plot(tokens, [row["heldout"] for row in rows], "o", color="#cc6677", markersize=3, label="held-out lines, nats")
    left.plot(further, [law.at(at) for at in further], "--", color="#999999", linewidth=1, label="fitted at the full rate")
    for name, (label, colour) in COLUMNS.items():
        right.plot(tokens, [100 * row[name] for row in rows], "o-", color=colour, linewidth=1, markersize=3, label=f"{label}, %")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="million tokens, all runs")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()
