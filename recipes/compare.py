"""What each part of recipes/small.toml is worth: the recipe with one change at a time, at equal tokens.

    python recipes/compare.py                    all variants (a run that is there already is not made again), then the table
    python recipes/compare.py --tokens 2000000 "no contrast beside" "no TLM"

Vocabulary, corpus and held-out lines are those of the recipe's own run, which must have been prepared (`xlmr pretrain recipes/small.toml`
does that first).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from small import finished

from xlmr import encoder as encoders
from xlmr.evaluation import benchmarks, retrieval
from xlmr.runtimes import depth
from xlmr.training import pretraining, recipes, states
from xlmr.training.beginning import HELDOUT
from xlmr.training.recipes import Optimiser, Recipe

RECIPE = Path("recipes/small.toml")
OUTPUT = Path("runs/compare")
FIRST_LAYER = 600
"""Steps of the start of the first layer, in all runs: enough to rank what comes with it, and two minutes instead of twenty."""

RATE = Optimiser().rate
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "the recipe": {},
    "no start of the first layer": {"neighbours": {"steps": 0}},
    "no columns for the languages": {"static": {"languages": 0}},
    "table from random numbers": {"static": {"start": "random"}},
    "table from the SVD alone": {"static": {"start": "svd"}},
    "no contrast beside": {"objective": {"contrast": 0.0}},
    "contrast half-way up": {"objective": {"layer": 2}},
    "no memory of earlier sentences": {"objective": {"memory": 0}},
    "no TLM": {"objective": {"tlm": 0.0}},
    "embeddings at a tenth of the rate": {"optimiser": {"embeddings": 0.1}},
    "embeddings frozen": {"optimiser": {"embeddings": 0.0}},
    "a third of the rate": {"optimiser": {"rate": RATE / 3}},
    "three times the rate": {"optimiser": {"rate": RATE * 3}},
    "second moments of 50 steps": {"optimiser": {"betas": (0.9, 0.98)}},
    "Muon": {"optimiser": {"muon": 3e-3}},
    "batches of 8,192": {"objective": {"batch": 8_192}},
}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[VARIANT…]", type=click.Choice(list(VARIANTS)))
@click.option("--tokens", default=400_000, show_default=True, help="Length of each run.")
def main(names: tuple[str, ...], tokens: int) -> None:
    """Make the runs, print the table."""
    recipe = recipes.read(RECIPE)
    print(f"| {tokens / 1e6:g} M tokens | held-out loss | held-out retrieval, layer contrasted | centred |\n|---|--:|--:|--:|")
    for name in names or VARIANTS:
        print(row(name, run(recipe, name, tokens)), flush=True)


def run(recipe: Recipe, name: str, tokens: int) -> Recipe:
    """Run a variant, unless that has been done; gives its recipe."""
    unchanged, changed = (variant(recipe, of, tokens) for of in (next(iter(VARIANTS)), name))
    if not finished(changed):
        borrow(changed, recipe)
        borrow(changed, unchanged)
        pretraining.run(changed, resume=states.find(Path(changed.output, "state")) is not None)
    return changed


def variant(recipe: Recipe, name: str, tokens: int) -> Recipe:
    """The recipe with the variant's changes, at this length."""
    changes: dict[str, dict[str, Any]] = {"neighbours": {"steps": FIRST_LAYER}, "optimiser": {"tokens": tokens, "warmup": tokens // 10}}
    for section, fields in VARIANTS[name].items():
        changes[section] = {**changes.get(section, {}), **fields}
    changed: dict[str, Any] = {section: replace(getattr(recipe, section), **fields) for section, fields in changes.items()}
    return replace(recipe, output=str(OUTPUT / f"{tokens}-{name.replace(' ', '-').replace(',', '')}"), **changed)


def borrow(changed: Recipe, of: Recipe) -> None:
    """Take what another run began with, as far as it is the same."""

    def vectors(recipe: Recipe) -> Any:
        return recipe.sizes, replace(recipe.static, languages=0)

    def start(recipe: Recipe) -> Any:
        return recipe.sizes, recipe.static, recipe.neighbours

    for name, same in (("data", True), ("static", vectors(changed) == vectors(of)), ("start", start(changed) == start(of))):
        found, wanted = Path(of.output, name), Path(changed.output, name)
        if same and found.exists() and not wanted.exists():
            shutil.rmtree(wanted.with_name(name + ".partial"), ignore_errors=True)
            shutil.copytree(found, wanted.with_name(name + ".partial"), copy_function=os.link)  # nothing in it is ever written to
            wanted.with_name(name + ".partial").rename(wanted)


def row(name: str, recipe: Recipe) -> str:
    """A line of the table: nats per hidden piece and retrieval of held-out news both ways, each the mean of the languages."""
    folder = Path(recipe.output)
    lines = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    loss = [line["heldout"]["loss"] for line in lines if "heldout" in line][-1]
    model = encoders.load(folder / "model")
    layer = depth(recipe.objective.layer, model.config)
    pairs = benchmarks.translations(benchmarks.heldout(folder / "data" / HELDOUT))
    found = retrieval.measure(model, pairs, [layer])
    scores = [found[kind][str(layer)]["mean"] for kind in ("plain", "centred")]
    return f"| {name} | {loss:.2f} | " + " | ".join(f"{100 * score:.1f}" for score in scores) + " |"


if __name__ == "__main__":
    main()
