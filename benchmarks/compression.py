"""What compression gives and costs: size, speed and quality of all modes and chains, and the race against CTranslate2. Prints Markdown.

    python benchmarks/compression.py                                    # the model inside: some minutes on two cores
    python benchmarks/compression.py --probe FILE.tsv --plot frontier.svg
    python benchmarks/compression.py --race --model LARGE --int8 LARGE-INT8     # encoder and fill-mask, for a large shape

See README.md beside it. Linux only: memory is read from /proc.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from fill_mask import HERE, TITLES, Contender, environment, machine

from xlmr import checkpoint
from xlmr.cli.options import labelled_in
from xlmr.compression import comparison, probe, pruning, quantizing, trimming
from xlmr.compression.comparison import Check, Comparison
from xlmr.compression.parts import take
from xlmr.compression.pruning import Prune
from xlmr.compression.quantizing import Quantize
from xlmr.compression.selection import Trim

ENCODERS, FILLERS = "compression_contenders.py", "contenders.py"
"""What the race runs, each contender in a process of its own."""
Step = Callable[[Path, Path], object]
"""From a checkpoint's folder to a new one."""


def by(change: Callable[..., Any], options: Any) -> Step:
    """A method with options, as it is called."""

    def step(source: Path, new: Path) -> object:
        new.mkdir()
        return change(take(checkpoint.open(source)), new, options, partial(print, file=sys.stderr))

    return step


def quantize(mode: str, **options: Any) -> Step:
    return by(quantizing.quantize, Quantize(mode, **options))


EUROPE = by(trimming.trim, Trim(languages=("en", "de", "fr", "es")))
CHAINS: dict[str, Sequence[Step]] = {
    "fp16": [quantize("fp16")],
    "int8, dynamic": [quantize("dynamic")],
    "int8, dynamic, none kept": [quantize("dynamic", keep_worst=0)],
    "int8, dynamic, rounded to the nearest": [quantize("dynamic", rounding="nearest")],
    "int8, static, min-max": [quantize("static", calibration="min-max")],
    "int8, static, percentile": [quantize("static", calibration="percentile")],
    "int8, static, entropy": [quantize("static", calibration="entropy")],
    "int8, weight-only": [quantize("weight-only")],
    "int4, weight-only": [quantize("weight-only", bits=4)],
    "6 of 8 heads": [by(pruning.prune, Prune(heads=6))],
    "768 of 1,024 inner units": [by(pruning.prune, Prune(inner=768))],
    "3 of 4 layers": [by(pruning.prune, Prune(layers=3))],
    "half of the weights zero": [by(pruning.prune, Prune(magnitude=0.5))],
    "two of four zero": [by(pruning.prune, Prune(pattern="2:4"))],
    "trimmed to en, de, fr, es": [EUROPE],
    "trimmed, int8": [EUROPE, quantize("dynamic")],
    "768 inner units, int8": [by(pruning.prune, Prune(inner=768)), quantize("dynamic")],
}
"""For the sizes of the model inside."""


@dataclass(frozen=True)
class Point:
    """What a chain came to."""

    name: str
    found: Comparison

    @property
    def smaller(self) -> float:
        return self.found.weights.before / self.found.weights.after

    @property
    def faster(self) -> float:
        return 1 / self.found.seconds.ratio


def main() -> None:
    asked = arguments()
    print(machine() + "\n")
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
        if asked.race:
            print(race(asked.model, asked.int8, asked.rounds, Path(temporary)))
            return
        model = as_float32(asked.model, Path(temporary) / "model")
        texts = probe.gathered(labelled_in(asked.probe), asked.sentences) if asked.probe else None
        points = [measure(name, model, Path(temporary), Check(texts)) for name in asked.chains]
    print(table(points))
    if asked.plot:
        plot(points, asked.plot)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder; by default the model inside")
    parser.add_argument("--chains", nargs="+", default=list(CHAINS), choices=list(CHAINS))
    parser.add_argument("--probe", nargs="+", default=[], help="texts to compare on, as `xlmr compress --probe` takes them")
    parser.add_argument("--sentences", type=int, default=20, help="of each language of --probe, at most")
    parser.add_argument("--plot", type=Path, help="draw the frontier, as SVG (dependency group plot)")
    parser.add_argument("--race", action="store_true", help="the encoder against CTranslate2, and fill-mask against transformers")
    parser.add_argument("--int8", type=Path, help="for --race: what `xlmr compress quantize` made of --model")
    parser.add_argument("--rounds", type=int, default=5, help="of the race")
    parser.add_argument("--folder", type=Path, help="where there is room for what is written")
    return parser.parse_args()


# -- the frontier --


def as_float32(model: Path | None, new: Path) -> Path:
    """A copy in float32: ratios are of that."""
    opened = checkpoint.open(model)
    checkpoint.save(new, opened.config, checkpoint.weights(opened), tokenizer=opened.folder / "tokenizer.json")
    return new


def measure(name: str, model: Path, folder: Path, check: Check) -> Point:
    """Run a chain, and hold its end against its beginning."""
    made, languages = model, ()
    for number, step in enumerate(CHAINS[name]):
        new = folder / f"{name}.{number}"
        facts = step(made, new)
        languages, made = facts.get("languages", languages), new
    found = comparison.compare(model, made, check, languages=languages)
    print(f"{name}: {found.weights.after / 1e6:.1f} MB, {found.agreement:.4f}", file=sys.stderr)
    return Point(name, found)


def table(points: Sequence[Point]) -> str:
    lines = [
        "Held against the same model in float32; times in turns, of fill-mask\n",
        "| | weights, MB | times smaller | times faster | memory, loaded | most | likeliest piece the same, mean | worst language "
        "| of five | cosine of raw vectors |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for of in points:
        found, top1 = of.found, of.found.fillings.top1
        memory = (ratio(getattr(found.memory.after, at), getattr(found.memory.before, at)) for at in ("loaded", "peak"))
        raw = found.raw or found.vectors
        lines.append(
            f"| {of.name} | {found.weights.after / 1e6:.1f} | {of.smaller:.2f} | {of.faster:.2f} | {' | '.join(memory)} "
            f"| {top1.mean:.1%} | {top1.worst} {top1.languages[top1.worst]:.1%} | {found.fillings.top5.mean:.1%} "
            f"| {f'{raw.mean:.4f}' if raw else '–'} |"
        )
    return "\n".join(lines) + "\n"


def ratio(after: int | None, before: int | None) -> str:
    return f"{after / before:.2f} ×" if after and before else "–"


def plot(points: Sequence[Point], file: Path) -> None:
    """Size against agreement; the larger the mark, the faster."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "xlmr"
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    sizes = [of.found.weights.after / 1e6 for of in points]
    agreement = [of.found.agreement for of in points]
    axes.scatter(sizes, agreement, s=[60 * of.faster for of in points], alpha=0.6)
    for of, size, share in zip(points, sizes, agreement, strict=True):
        axes.annotate(of.name, (size, share), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel="weights, MB", ylabel="likeliest piece the same", title="What is left of the model inside; larger marks are faster")
    figure.savefig(file, metadata={"Date": None})


# -- the race --


def race(model: Path, int8: Path, rounds: int, folder: Path) -> str:
    """All contenders, interleaved: one pass of each, then the next round."""
    encoders = [start("xlmr, fp32", ENCODERS, "xlmr", model, model), start("xlmr, int8", ENCODERS, "xlmr", int8, model)]
    if find_spec("ctranslate2"):
        with process(ENCODERS, "convert", model, folder / "ctranslate2") as converter:
            converter.communicate()
        encoders.append(start("CTranslate2, int8", ENCODERS, "ctranslate2", folder / "ctranslate2", model))
    for _ in range(rounds):
        for contender in encoders:
            contender.ask()
    for contender in encoders:
        contender.process.communicate()
    fillers = [start("xlmr, fp32", FILLERS, "xlmr", model), start("xlmr, int8", FILLERS, "xlmr", int8)]
    fillers += [start(TITLES[name], FILLERS, name, model) for name in ("pipeline-1", "masked-only")]
    for _ in range(rounds):
        for contender in fillers:
            contender.run()
    for contender in fillers:
        contender.process.communicate()
    return "\n".join([race_table("encoder", encoders), race_table("fill-mask", fillers)])


def process(script: str, *given: object) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / script), *map(str, given)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment())


def start(title: str, script: str, *given: object) -> Contender:
    contender = Contender(title, process(script, *given))
    contender.resident = contender.read()["resident"]
    return contender


def race_table(what: str, contenders: Sequence[Contender]) -> str:
    first = contenders[0]
    lines = [f"| {what} | seconds | times faster than the first | resident, MB |", "|---|--:|--:|--:|"]
    for of in contenders:
        times = median(one / other for one, other in zip(first.seconds, of.seconds, strict=True))
        lines.append(f"| {of.name} | {median(of.seconds):.3f} | {times:.2f} | {of.resident:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
