"""What vectors of texts cost, and languages beside them: processor time of one thread, in turns, median of the rounds.

    python benchmarks/embedding.py                      the model inside
    python benchmarks/embedding.py --model FOLDER       another, with a calibration and a classifier of languages beside its weights

Texts are SIB-200's development sentences, by default those in ../shared/data/bench.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import xlmr
from xlmr.evaluation import benchmarks

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "bench" / "sib200" / "dev.tsv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a folder or a hub id")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sentences = [topic.text for topic in benchmarks.topics(options.data)]
    texts = sentences[:: max(1, len(sentences) // options.texts)][: options.texts]
    model = xlmr.load(options.model, threads=1)
    spent = {name: [] for name in ASKED}
    for work in ASKED.values():
        work(model, texts[:50])
    for _ in range(options.rounds):
        for name, work in ASKED.items():
            spent[name].append(seconds(lambda work=work: work(model, texts)))
    print(f"{len(texts):,} texts, {options.rounds} rounds\n\n| | ms a text |\n|---|--:|")
    for name, times in spent.items():
        print(f"| {name} | {1000 * median(times) / len(texts):.2f} |")
    more = median(both / alone for both, alone in zip(spent[BESIDE], spent[RAW], strict=True))
    print(f"\nlanguages beside raw vectors: {more:.2f} times the time")


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


RAW, BESIDE = "raw vectors", "raw vectors and languages"
ASKED: Mapping[str, Callable[[xlmr.Model, list[str]], object]] = {
    RAW: lambda model, texts: model.embed(texts, raw=True),
    BESIDE: lambda model, texts: model.embed(texts, raw=True, language=True),
    "calibrated vectors": lambda model, texts: model.embed(texts),
    "calibrated vectors and languages": lambda model, texts: model.embed(texts, language=True),
    "languages": lambda model, texts: model.identify_language(texts),
}


if __name__ == "__main__":
    main()
