"""Every export of one model: time and memory to write, size, and how fast what was written answers, side by side. Prints Markdown.

    python benchmarks/export.py                    # the model inside: a minute on two cores
    python benchmarks/export.py --shape large      # random, of XLM-R-large's shape: gigabytes of memory, tens of disk
    python benchmarks/export.py --model FOLDER --exports onnx pytorch --rounds 3

See README.md beside it. Linux only: memory is read from /proc.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from fill_mask import HERE, VOCABULARY, Contender, environment, machine, make

from xlmr import checkpoint
from xlmr.config import Config

LARGE = Config(width=1_024, layers=24, heads=16, inner=4_096)
PACKAGES = ("onnxruntime", "torch", "transformers", "tensorflow-cpu", "jax")


@dataclass(frozen=True)
class Export:
    """One way to write, and the kinds of contenders that answer with it, with their titles."""

    target: str
    options: dict[str, Any]
    answer: dict[str, str]


EXPORTS = {
    "onnx": Export("onnx", {}, {"onnx": "ONNX, beside safetensors"}),
    "onnx-in-place": Export("onnx", {"layout": "in-place"}, {}),
    "onnx-external": Export("onnx", {"layout": "external"}, {}),
    "onnx-single": Export("onnx", {"layout": "single"}, {}),
    "onnx-fused": Export("onnx", {"fused": True}, {"onnx": "ONNX, `--fused`"}),
    "onnx-float16": Export("onnx", {"dtype": "float16"}, {"onnx": "ONNX, `--dtype float16`"}),
    "pytorch": Export("pytorch", {}, {"pytorch": "PyTorch, `model.pt2`", "transformers": "the same folder in transformers"}),
    "tensorflow": Export("tensorflow", {}, {"tensorflow": "TensorFlow, SavedModel"}),
    "tflite": Export("tensorflow", {"tflite": True}, {"litert": "TensorFlow Lite"}),
    "jax": Export("jax", {}, {"jax": "JAX, jitted"}),
    "safetensors": Export("safetensors", {}, {}),
}


def main() -> None:
    asked = arguments()
    print(f"{machine()}; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}\n")
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
        model = prepared(asked, Path(temporary))
        names = [name for name in asked.exports if not (asked.shape == "large" and name in ("onnx-single", "tflite"))]  # 2 GB at most
        written = {name: write(name, model, Path(temporary) / name, asked.task) for name in names}
        print(write_table(model, written), flush=True)
        if asked.rounds:
            print(speed_table(race(Path(temporary), names, asked.task, asked.rounds)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=["small", "large"], default="small", help="the model inside, or a random one")
    parser.add_argument("--model", type=Path, help="a folder; by default by --shape")
    parser.add_argument("--task", default="feature-extraction", choices=["feature-extraction", "fill-mask"])
    parser.add_argument("--exports", nargs="+", default=list(EXPORTS), choices=list(EXPORTS))
    parser.add_argument("--rounds", type=int, default=7, help="times each artefact answers all texts; 0 leaves that out")
    parser.add_argument("--folder", type=Path, help="where there is room for what is written")
    return parser.parse_args()


def prepared(asked: argparse.Namespace, folder: Path) -> Path:
    """The model in float32, in a folder of its own: some exports write into it."""
    if asked.model is not None:
        shutil.copytree(asked.model, folder / "model")
        return folder / "model"
    if asked.shape == "large":
        make(folder / "model", LARGE, VOCABULARY)
    else:
        opened = checkpoint.open()
        checkpoint.save(folder / "model", opened.config, checkpoint.weights(opened), tokenizer=opened.folder / "tokenizer.json")
    return folder / "model"


def process(*given: object, **settings: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "export_contenders.py"), *map(str, given)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=environment() | quiet, **settings)


def write(name: str, model: Path, folder: Path, task: str) -> dict[str, Any]:
    """Seconds, megabytes of memory and of disk."""
    of = EXPORTS[name]
    with process("write", of.target, json.dumps({"task": task, **of.options}), model, folder) as worker:
        said, _ = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"{name} failed; what it said is above")
    print(f"{name}: {said.strip()}", file=sys.stderr)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return {**json.loads(said), "size": size}


def write_table(model: Path, written: dict[str, dict[str, Any]]) -> str:
    weights = sum(of.length for of in checkpoint.open(model).stored.values()) / 1e6
    lines = [
        f"Weights of {weights:,.0f} MB\n",
        "| | seconds to write | memory at most, MB | times the weights | of it before it began, MB | size, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, of in written.items():
        most = of["most"] * 1.048576
        lines.append(
            f"| {name} | {of['seconds']:.2f} | {most:,.0f} | {most / weights:.2f} | {of['before'] * 1.048576:,.0f} | {of['size']:,.1f} |"
        )
    return "\n".join(lines) + "\n"


def race(folder: Path, names: Sequence[str], task: str, rounds: int) -> list[Contender]:
    """All contenders, interleaved: one pass of each, then the next round."""
    contenders = []
    for name in names:
        for kind, title in EXPORTS[name].answer.items():
            contenders.append(Contender(title, process(kind, folder / name, task, stdin=subprocess.PIPE)))
            contenders[-1].resident = contenders[-1].read()["resident"]
    for _ in range(rounds):
        for contender in contenders:
            contender.ask()
    for contender in contenders:
        contender.process.communicate()
    return contenders


def speed_table(contenders: Sequence[Contender]) -> str:
    first = contenders[0]
    lines = [
        f"All texts of the benchmark; median of {len(first.seconds)}, ratios those of a round\n",
        "| | seconds | times the first | resident, MB |",
        "|---|--:|--:|--:|",
    ]
    for of in contenders:
        times = median(one / other for one, other in zip(of.seconds, first.seconds, strict=True))
        lines.append(f"| {of.name} | {median(of.seconds):.3f} | {times:.2f} | {of.resident:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
