"""What each part of recipes/small.toml is worth: the recipe with one change at a time, at equal tokens.

    python recipes/compare.py                    all variants (what is made and measured already is not done again), then the table
    python recipes/compare.py --tokens 2000000 "no contrast beside" "no TLM"
    python recipes/compare.py --measured         the table of what is measured already

Vocabulary, corpus and held-out lines are those of the recipe's own run, which must have been prepared (`xlmr pretrain recipes/small.toml`
does that first). A variant that changes the vocabulary or the seed makes its own, and its loss, which is of other pieces, compares with no
other.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from accelerate.state import AcceleratorState
from small import BENCH, finished

from xlmr.evaluation import probes, retrieval, scores
from xlmr.evaluation.benchmarks import Line, tatoeba, translations
from xlmr.training import pretraining, recipes, states
from xlmr.training.beginning import CORPUS, HELDOUT
from xlmr.training.corpus import draw
from xlmr.training.recipes import Objective, Optimiser, Recipe

RECIPE = Path("recipes/small.toml")
OUTPUT = Path("runs/compare")
MEASURED = "compared.json"
FIRST_LAYER = 600
"""Steps of the start of the first layer, in all runs: enough to rank what comes with it, and two minutes instead of twenty."""
LANGUAGE_LINES = 40
"""Held-out lines of each language that a probe learns languages from, and as many that it is asked."""

RATE, BATCH = Optimiser().rate, Objective().batch
Changes = Mapping[str, Mapping[str, Any]]
VARIANTS: Mapping[str, Changes] = {
    "the recipe": {},
    "another seed": {"": {"seed": 2}},
    "in float32": {"": {"precision": "no"}},
    "no start of the first layer": {"neighbours": {"steps": 0}},
    "no columns for the languages": {"static": {"languages": 0}},
    "table from random numbers": {"static": {"start": "random"}},
    "table from the SVD alone": {"static": {"start": "svd"}},
    "embeddings frozen": {"optimiser": {"embeddings": 0.0}},
    "embeddings at a tenth of the rate": {"optimiser": {"embeddings": 0.1}},
    "embeddings at the full rate": {"optimiser": {"embeddings": 1.0}},
    "no contrast beside": {"objective": {"contrast": 0.0, "memory": 0}},
    "contrast of weight 0.5": {"objective": {"contrast": 0.5}},
    "contrast half-way up": {"objective": {"layer": 2}},
    "no memory of earlier sentences": {"objective": {"memory": 0}},
    "memory of 4,096 sentences": {"objective": {"memory": 4_096}},
    "no TLM": {"objective": {"tlm": 0.0}},
    "TLM for seven pairs in ten": {"objective": {"tlm": 0.7}},
    "parallel lines a quarter of the tokens": {"objective": {"parallel": 0.25}},
    "languages sampled by the power 0.3": {"objective": {"exponent": 0.3}},
    "languages sampled by the power 0.7": {"objective": {"exponent": 0.7}},
    "48,000 pieces": {"vocabulary": {"size": 48_000}},
    "64,000 pieces": {"vocabulary": {"size": 64_000}},
    "characters covered to 0.9995": {"vocabulary": {"coverage": 0.9995}},
    "seven layers of width 192": {"sizes": {"width": 192, "layers": 7, "inner": 768}},
    "two layers of width 352": {"sizes": {"width": 352, "layers": 2, "inner": 1_408}},
    "15 % hidden": {"objective": {"masked": 0.15}},
    "30 % hidden": {"objective": {"masked": 0.3}},
    "40 % hidden": {"objective": {"masked": 0.4}},
    "no words hidden whole": {"objective": {"whole_word": 0.0}},
    "all words hidden whole": {"objective": {"whole_word": 1.0}},
    "lines of 64 pieces at most": {"objective": {"longest": 64}},
    "lines of 256 pieces at most": {"objective": {"longest": 256}},
    "no lines joined": {"objective": {"joined": 0.0}},
    "batches of 1,024": {"objective": {"batch": BATCH // 2}},
    "batches of 8,192": {"objective": {"batch": BATCH * 4}},
    "batches of 8,192, twice the rate": {"objective": {"batch": BATCH * 4}, "optimiser": {"rate": RATE * 2}},
    "a third of the rate": {"optimiser": {"rate": RATE / 3}},
    "three times the rate": {"optimiser": {"rate": RATE * 3}},
    "the rate falls from the start": {"optimiser": {"decay": 1.0}},
    "the rate falls in the last tenth": {"optimiser": {"decay": 0.1}},
    "second moments of 50 steps": {"optimiser": {"betas": (0.9, 0.98)}},
    "Muon": {"optimiser": {"muon": 3e-3}},
    "all pieces compared from the start": {"objective": {"negatives": 0}},
    "2,048 pieces compared": {"objective": {"negatives": 2_048}},
}
COLUMNS = {
    "loss": ("held-out loss", "{:.3f}"),
    "characters": ("bits per character", "{:.3f}"),
    "ntrex": ("retrieval, held-out news", "{:.1%}"),
    "tatoeba": ("Tatoeba", "{:.1%}"),
    "pos": ("parts of speech en / mean", "{:.1%}"),
    "topics": ("topics en / mean", "{:.1%}"),
    "languages": ("languages, F1", "{:.3f}"),
}
"""What is measured, how it is called, and how it is written."""


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[VARIANT…]", type=click.Choice(list(VARIANTS)))
@click.option("--tokens", default=1_000_000, show_default=True, help="Length of each run.")
@click.option("--measured", is_flag=True, help="Make no runs: the table of what is there.")
def main(names: tuple[str, ...], tokens: int, measured: bool) -> None:
    """Make the runs, print the table."""
    recipe = replace(recipes.read(RECIPE), precision="bf16")
    head = [f"{tokens / 1e6:g} M tokens", *(title for title, _ in COLUMNS.values())]
    print(f"| {' | '.join(head)} |\n|---{'|--:' * len(COLUMNS)}|")
    for name in names or VARIANTS:
        of = variant(recipe, name, tokens)
        if not measured:
            run(recipe, of, tokens)
        if measured and not (Path(of.output) / MEASURED).exists():
            continue
        print(row(name, measure(of)), flush=True)


def run(recipe: Recipe, changed: Recipe, tokens: int) -> None:
    """Run a variant, unless that has been done."""
    if not finished(changed):
        for other in (recipe, variant(recipe, next(iter(VARIANTS)), tokens)):
            borrow(changed, other)
        AcceleratorState._reset_state()  # a process has one precision unless it forgets
        pretraining.run(changed, resume=states.find(Path(changed.output, "state")) is not None)


def variant(recipe: Recipe, name: str, tokens: int) -> Recipe:
    """The recipe with the variant's changes, at this length."""
    changes: dict[str, dict[str, Any]] = {"neighbours": {"steps": FIRST_LAYER}, "optimiser": {"tokens": tokens, "warmup": tokens // 10}}
    for section, fields in VARIANTS[name].items():
        changes[section] = {**changes.get(section, {}), **fields}
    top = changes.pop("", {})
    changed: dict[str, Any] = {section: replace(getattr(recipe, section), **fields) for section, fields in changes.items()}
    return replace(
        recipe, output=str(OUTPUT / f"{tokens}-{name.replace(' ', '-').replace(',', '').replace('%', 'percent')}"), **top, **changed
    )


def borrow(changed: Recipe, of: Recipe) -> None:
    """Take what another run began with, as far as it is the same."""
    seeds = changed.seed == of.seed
    pieces = seeds and changed.vocabulary == of.vocabulary
    vectors = pieces and changed.sizes == of.sizes and replace(changed.static, languages=0) == replace(of.static, languages=0)
    start = vectors and changed.static == of.static and changed.neighbours == of.neighbours
    for name, same in (("data", pieces), ("static", vectors), ("start", start)):
        found, wanted = Path(of.output, name), Path(changed.output, name)
        if same and found.exists() and not wanted.exists():
            shutil.rmtree(wanted.with_name(name + ".partial"), ignore_errors=True)
            shutil.copytree(found, wanted.with_name(name + ".partial"), copy_function=os.link)  # nothing in it is ever written to
            wanted.with_name(name + ".partial").rename(wanted)


def measure(recipe: Recipe) -> dict[str, Any]:
    """What a run came to, measured once: see `COLUMNS`. Parts of speech and topics are of the layer that is best in English, retrieval of
    the last, languages of the second. Retrieval and topics are of states centred in each language, the others of states as they are.
    """
    folder = Path(recipe.output)
    path = folder / MEASURED
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    data, counts = folder / "data", scores.Counts(words=1, foreign_words=1, pieces=60)
    of = scores.Subject(model=folder / "model", start=folder / "model", corpus_file=data / CORPUS, corpus=lambda: None,
                        heldout_file=data / HELDOUT, bench=BENCH, counts=counts)  # fmt: skip
    last = of.layers[-1]
    sets = {"ntrex": translations(of.heldout), "tatoeba": tatoeba(BENCH / "tatoeba")}
    probed = scores.probed(of, of.encoder, of.layers)
    train, asked = lines_of_languages(of.heldout)
    found = {
        "loss": heldout_loss(folder),
        "characters": scores.predicted_by_model(of)["characters"]["model"]["mean"]["bits"],
        **{name: retrieval.measure(of.encoder, pairs, [last])["centred"][str(last)]["mean"] for name, pairs in sets.items()},
        "pos": [probed["pos"]["plain"][kind] for kind in ("english", "mean")],
        "topics": [probed["topics"]["centred"][kind] for kind in ("english", "mean")],
        "languages": probes.languages(of.encoder, train, asked, min(2, last)),
    }
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def heldout_loss(folder: Path) -> float:
    """Nats per hidden piece at the end of a run, the mean of the languages, hidden as the run hid them."""
    lines = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    loss: float = [line["heldout"]["loss"] for line in lines if "heldout" in line][-1]
    return loss


def lines_of_languages(lines: Iterable[Line]) -> tuple[list[Line], list[Line]]:
    """Held-out running text to learn languages from, and to be asked."""
    by_language: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: draw(line.text)):
        by_language.setdefault(line.language, []).append(line)
    parts = [[line for of in by_language.values() for line in of[i : 2 * LANGUAGE_LINES : 2]] for i in (0, 1)]
    return parts[0], parts[1]


def row(name: str, found: Mapping[str, Any]) -> str:
    """A line of the table."""
    cells = [" / ".join(form.format(value) for value in _list(found[key])) for key, (_, form) in COLUMNS.items()]
    return f"| {name} | {' | '.join(cells).replace('%', '')} |"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    main()
