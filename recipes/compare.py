"""What each part of recipes/small.toml is worth: the recipe with one change at a time, at equal tokens.

    python recipes/compare.py                    all variants (a run that is there already is not made again), then the table
    python recipes/compare.py --tokens 2000000 "no contrast" "random start"

Vocabulary, corpus and held-out lines are those of the recipe's own run, which must have been prepared (`xlmr pretrain recipes/small.toml`
does that first).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from xlmr import encoder as encoders
from xlmr.evaluation import benchmarks, retrieval
from xlmr.training import pretraining, recipes
from xlmr.training.recipes import Recipe

RECIPE = Path("recipes/small.toml")
SHARED = ("tokenizer.json", "corpus.safetensors", "heldout.jsonl", "data.json")

VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "the recipe": {},
    "random start": {"static": {"start": "random"}},
    "SVD start, no contrast before": {"static": {"start": "svd"}},
    "no contrast beside": {"objective": {"contrast": 0.0}},
    "no TLM": {"objective": {"tlm": 0.0}},
    "embeddings at a tenth of the rate": {"optimiser": {"embeddings": 0.1}},
    "embeddings frozen": {"optimiser": {"embeddings": 0.0}},
    "AdamW alone": {"optimiser": {"muon": 0.0}},
}


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[VARIANT…]")
@click.option("--tokens", default=1_000_000, show_default=True, help="Length of each run.")
def main(names: tuple[str, ...], tokens: int) -> None:
    """Make the runs, print the table."""
    recipe = recipes.read(RECIPE)
    print(f"| {tokens / 1e6:g} M tokens | held-out loss | held-out retrieval | centred |\n|---|---|---|---|")
    for name in names or VARIANTS:
        print(row(name, run(recipe, name, tokens)), flush=True)


def run(recipe: Recipe, name: str, tokens: int) -> Path:
    """The folder of a variant's finished run."""
    changes: dict[str, Any] = {section: replace(getattr(recipe, section), **fields) for section, fields in VARIANTS[name].items()}
    folder = Path("runs/compare") / f"{name.replace(' ', '-').replace(',', '')}-{tokens}"
    changes["optimiser"] = replace(changes.get("optimiser", recipe.optimiser), tokens=tokens)
    if not (folder / "model").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*map(Path(recipe.output).joinpath, SHARED), *Path(recipe.output).glob("static-*.safetensors")):
            if not (folder / file.name).exists():
                os.link(file.resolve(), folder / file.name)
        pretraining.run(replace(recipe, output=str(folder), **changes), resume=(folder / "state").exists())
    return folder


def row(name: str, folder: Path) -> str:
    """A line of the table: nats per hidden piece and retrieval of held-out news both ways, each the mean of the languages."""
    loss = [entry["heldout"]["loss"] for entry in read_log(folder) if "heldout" in entry][-1]
    model = encoders.load(folder / "model")
    last = model.config.layers
    found = retrieval.measure(model, benchmarks.translations(benchmarks.heldout(folder / "heldout.jsonl")), [last])
    scores = [found[kind][str(last)]["mean"] for kind in ("plain", "centred")]
    return f"| {name} | {loss:.2f} | " + " | ".join(f"{100 * score:.1f}" for score in scores) + " |"


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The entries of a run's log."""
    yield from map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
