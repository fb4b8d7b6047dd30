"""How well words of translations are aligned, by layer and method: on words whose partner is known from a lexicon or from being alike.

    python benchmarks/alignment.py                      the model inside
    python benchmarks/alignment.py --model FOLDER       another

Sentences are those of NTREX and TICO whose ids pretraining keeps back (one in fifty), with their English; lexicons are names of languages,
countries, days and months (CLDR) and of map features. They lie in `--data`, by default ../shared/data/text.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import xlmr
from xlmr.evaluation import links
from xlmr.evaluation.benchmarks import rows_of
from xlmr.heads.pairing import METHODS
from xlmr.training.corpus import draw
from xlmr.training.recipes import Data

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ("ntrex128", "tico19")
LEXICONS = ("cldr", "lexicon")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a folder or a hub id")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "text")
    options = parser.parse_args()
    model = xlmr.load(options.model)
    languages = sorted({path.name.split(".")[0] for path in (options.data / "parallel" / SENTENCES[0]).iterdir()} - {"en"})
    examples = [example for language in languages for example in read(options.data / "parallel", language)]
    print(f"{len(examples):,} sentences in {len(languages)} languages with their English\n")
    print("| layer | method | " + " | ".join(f"{kind}: recall | precision" for kind in links.KINDS) + " |")
    print("|--:|---|" + "--:|" * 2 * len(links.KINDS))
    guess = links.diagonal(examples)
    print(row("–", "same place", [guess[kind] for kind in links.KINDS]))
    for layer in range(model.config.layers + 1):
        found = links.measure(model, examples, [layer])
        for method in METHODS:
            print(row(str(layer), method, [found[layer, method, kind] for kind in links.KINDS]), flush=True)
    print("\nknown links: " + ", ".join(f"{guess[kind].known:,} {kind}" for kind in links.KINDS))


def read(folder: Path, language: str) -> list[links.Example]:
    """The sentences of a language that were kept back, with their English and what is known of them."""
    lexicon = {word: other for name in LEXICONS for word, other in links.single_words(*both(folder / name, language)).items()}
    pairs = []
    for name in SENTENCES:
        english, other = both(folder / name, language)
        kept = [key for key in english.keys() & other.keys() if draw(name + key) % Data().heldout_ids == 0]
        pairs += [(english[key], other[key]) for key in sorted(kept)]
    return links.examples(pairs, lexicon)


def both(folder: Path, language: str) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of English and of a language by their ids; none where the set has none of the language."""
    if not any(folder.glob(f"{language}.tsv*")):
        return {}, {}
    english, other = (dict(line.split("\t", 1) for line in rows_of(folder / f"{code}.tsv")) for code in ("en", language))
    return english, other


def row(layer: str, method: str, tallies: list[links.Tally]) -> str:
    return f"| {layer} | {method} | " + " | ".join(f"{of.recall:.3f} | {of.precision:.3f}" for of in tallies) + " |"


if __name__ == "__main__":
    main()
