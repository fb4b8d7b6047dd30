"""The loop learns what transformers' Trainer learns: the same losses, step by step, on the same batches."""

import importlib
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WORDS = {"the": "DET", "cat": "NOUN", "city": "NOUN", "reads": "VERB", "sees": "VERB", "new": "ADJ"}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("finetune")


def test_losses_are_those_of_trainer(benchmark, tiny: Path, tmp_path: Path) -> None:
    dice, data = random.Random(0), tmp_path / "train.conll"
    sentences = [dice.choices(list(WORDS), k=dice.randint(1, 9)) for _ in range(4 * benchmark.CHECKED)]
    data.write_text("\n".join("".join(f"{word}\t{WORDS[word]}\n" for word in of) for of in sentences), encoding="utf-8")
    job = benchmark.prepare(tiny, tmp_path, data, 4, benchmark.CHECKED)
    assert len(job.subject.train) == len(sentences)
    assert benchmark.check(job) < benchmark.TOLERANCE
