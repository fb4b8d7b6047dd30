"""Fill-mask against transformers, on a random model of XLM-R-large's shape: time, memory, start-up. Prints Markdown.

    python benchmarks/fill_mask.py                          # all of it: half an hour on two cores
    python benchmarks/fill_mask.py --layers 4 --rounds 1    # a taste

See README.md beside it. Linux only: memory is read from /proc.
"""

import argparse
import json
import lzma
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from contenders import CONTENDERS, texts

import xlmr
from xlmr import checkpoint, tensors, tokenizer
from xlmr.config import Config

HERE = Path(__file__).resolve().parent
VOCABULARY = HERE.parent.parent / "shared" / "data" / "tokenizer" / "xlmr_sentencepiece.rebuilt.model.xz"
TITLES = {
    "xlmr": "xlmr",
    "pipeline-1": "transformers, pipeline, batch 1",
    "pipeline-16": "transformers, pipeline, batch 16",
    "masked-only": "transformers, head at the masks only, sorted by length, batch 16",
}
QUESTION = "Paris est la <mask> de la France."
THEIR_SCRIPT = 'import sys; from transformers import pipeline; print(pipeline("fill-mask", model=sys.argv[1])(sys.argv[2]))'
PACKAGES = ("onnxruntime", "torch", "transformers")


def main() -> None:
    """Make the model, measure, print."""
    asked = arguments()
    print(f"{machine()}; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}\n")
    with tempfile.TemporaryDirectory() as temporary:
        if asked.rounds:
            folder = asked.folder or Path(temporary) / "large"
            if not folder.exists():
                make(folder, Config(width=1_024, layers=asked.layers, heads=16, inner=4_096), asked.vocabulary)
            contenders = race(folder, asked.contenders, asked.rounds)
            print(speed_table(contenders, tokens(folder), asked.rounds))
        if asked.starts:
            print(start_table(asked.small or Path(xlmr.__file__).parent / "small", asked.starts))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=24, help="of the random model; XLM-R-large has 24")
    parser.add_argument("--rounds", type=int, default=5, help="times each contender answers all texts; 0 leaves them out")
    parser.add_argument("--starts", type=int, default=20, help="times each start-up is measured; 0 leaves them out")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY, help="XLM-R's SentencePiece model, .xz or not")
    parser.add_argument("--folder", type=Path, help="keep the random model here, and take it from here where it exists")
    parser.add_argument("--small", type=Path, help="the model of the start-up; by default the one inside the package")
    return parser.parse_args()


# -- the model --


def make(folder: Path, config: Config, vocabulary: Path) -> None:
    """A random checkpoint, whose logits are some units apart."""
    model = vocabulary.read_bytes()
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as pieces:
        pieces.write(tokenizer.from_sentencepiece(lzma.decompress(model) if vocabulary.suffix == ".xz" else model))
        pieces.flush()
        dice = np.random.default_rng(0)
        table = [*tensors.encoder(config), *tensors.mlm_head(config)]
        drawn = {tensor.name: dice.standard_normal(tensor.shape(config), np.float32) for tensor in table}
        for name, values in drawn.items():
            values *= np.float32(0.1 if values.ndim == 1 else config.width**-0.5)
            values += np.float32(name.endswith("norm.weight"))
        checkpoint.save(folder, config, drawn, tokenizer=pieces.name)


def tokens(folder: Path) -> int:
    """In all texts, `<s>` and `</s>` among them."""
    return sum(len(encoding.ids) for encoding in tokenizer.open(folder).encode_batch(texts()))


# -- time and memory --


@dataclass
class Contender:
    """A process that answers all texts for each line it is sent."""

    name: str
    process: "subprocess.Popen[str]"
    resident: int = 0
    seconds: list[float] = field(default_factory=list)
    growth: int = 0
    best: list[int] = field(default_factory=list)

    def read(self) -> dict[str, Any]:
        """Its next answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self) -> dict[str, Any]:
        """Let it answer all texts once; gives what it says of that."""
        assert self.process.stdin
        print("go", file=self.process.stdin, flush=True)
        answer = self.read()
        self.seconds.append(answer["seconds"])
        print(f"{self.name}: {self.seconds[-1]:.2f} s", file=sys.stderr)
        return answer

    def run(self) -> None:
        """Answer all texts once."""
        answer = self.ask()
        self.growth = max(self.growth, answer["growth"])
        self.best = answer["best"]


def race(folder: Path, names: Sequence[str], rounds: int) -> list[Contender]:
    """All contenders, interleaved: one pass of each, then the next round."""
    contenders = []
    for name in names:
        command = [sys.executable, str(HERE / "contenders.py"), name, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment())
        contenders.append(Contender(name, process))
        contenders[-1].resident = contenders[-1].read()["resident"]
    for _ in range(rounds):
        for contender in contenders:
            contender.run()
    for contender in contenders:
        contender.process.communicate()
    return contenders


def speed_table(contenders: Sequence[Contender], total: int, rounds: int) -> str:
    first = contenders[0]
    lines = [
        f"{len(texts())} texts, {total:,} tokens; median of {rounds}\n",
        "| | seconds | tokens/s | times the first | resident, MB | growth at most, MB | same best piece |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for of in contenders:
        took = median(of.seconds)
        agree = sum(one == other for one, other in zip(of.best, first.best, strict=True))
        times = f"{spread(of.seconds)} | {total / took:,.0f} | {took / median(first.seconds):.2f}"
        lines.append(f"| {TITLES[of.name]} | {times} | {of.resident:,} | {of.growth:,} | {agree} of {len(of.best)} |")
    return "\n".join(lines) + "\n"


# -- start-up --


def start_table(small: Path, starts: int) -> str:
    """A new process that answers one text, ours and theirs in turn."""
    inside = small == Path(xlmr.__file__).parent / "small"
    commands = {
        "`xlmr fill-mask`": [sys.executable, "-m", "xlmr", "fill-mask", *([] if inside else ["--model", str(small)]), QUESTION],
        "transformers, pipeline": [sys.executable, "-c", THEIR_SCRIPT, str(small), QUESTION],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(starts + 1):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
            if turn:  # the first brings the files into the page cache
                took[name].append(time.perf_counter() - begin)
    lines = [f"A new process answers one text with a small model; median of {starts}\n", "| | seconds |", "|---|--:|"]
    lines += [f"| {name} | {spread(of)} |" for name, of in took.items()]
    return "\n".join(lines) + "\n"


def spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


# -- where it ran --


def environment() -> dict[str, str]:
    """Ours, with this tree's package first and the hub out of reach."""
    return os.environ | {"PYTHONPATH": str(Path(xlmr.__file__).parent.parent), "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1"}


def machine() -> str:
    """Its processor, as Linux names it, and what it can do that matters here."""
    told = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    entries = {key.strip(): value.strip() for key, value in told.items()}
    units = [unit for unit in ("avx2", "avx512f", "avx512_vnni", "amx_tile") if unit in entries.get("flags", "").split()]
    return f"{entries.get('model name', platform.machine())}, {os.cpu_count()} processors ({' '.join(units)})"


if __name__ == "__main__":
    main()
