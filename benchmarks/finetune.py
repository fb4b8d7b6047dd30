"""Fine-tuning against transformers' Trainer: same model, examples, batch, steps and optimiser. Prints Markdown.

    python benchmarks/finetune.py                                       # small and base: an hour on two cores
    python benchmarks/finetune.py --models small --steps 10 --rounds 1  # a taste

Before it times anything it lets both learn from the same batches without dropout: their losses must agree, step by step. See README.md
beside it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import Accelerator
from fill_mask import VOCABULARY, machine, make
from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification, Trainer, TrainingArguments

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.config import Config
from xlmr.runtimes.torch import export
from xlmr.training import loop
from xlmr.training.finetuning import growth, runs, subjects
from xlmr.training.finetuning.lessons import Row
from xlmr.training.finetuning.mixing import Mixture
from xlmr.training.finetuning.settings import Settings
from xlmr.training.finetuning.subjects import Subject

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "bench" / "udpos" / "en.train.conll"
STEPS = {"small": 128, "base": 64}
"""Fewer give length grouping less to group."""
DROPOUT = 0.1
CHECKED, TOLERANCE = 8, 1e-3
"""Steps whose losses are compared, and how far apart they may be, as a share."""
WARM = 2
"""Steps that nobody times."""
PACKAGES = ("torch", "transformers", "accelerate")


@dataclass(frozen=True, slots=True)
class Job:
    """What every contender does, once: a pass over the examples."""

    opened: checkpoint.Checkpoint
    start: Path
    """The same model with the head that ours begins with, for transformers."""
    subject: Subject
    settings: Settings


@dataclass(frozen=True, slots=True)
class Pass:
    """How that went: seconds by the clock and of the processor, and the losses that were logged."""

    wall: float
    processor: float
    losses: list[float]


def main() -> None:
    asked = arguments()
    transformers.utils.logging.set_verbosity_error()
    print(f"{machine()}, {torch.get_num_threads()} threads; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}\n")
    for name in asked.models:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            job = prepare(MODELS[name](folder), folder, asked.data, asked.batch, asked.steps or STEPS[name])
            apart = check(job)
            print(f"{name}: the losses of {CHECKED} steps without dropout are at most {apart:.1e} of themselves apart\n")
            print(table(name, job, race(job, asked.rounds)), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--rounds", type=int, default=5, help="times each contender does the whole run")
    parser.add_argument("--steps", type=int, default=0, help=f"of a run; by default {STEPS}")
    parser.add_argument("--batch", type=int, default=32, help="sentences a step")
    parser.add_argument("--data", type=Path, default=DATA, help="words with tags, CoNLL")
    return parser.parse_args()


# -- the job --


def base(folder: Path) -> Path:
    """A random model of XLM-R-base's shape, with its vocabulary."""
    make(folder / "base", Config(), VOCABULARY)
    return folder / "base"


MODELS: Mapping[str, Callable[[Path], Path | None]] = {"small": lambda folder: None, "base": base}


def prepare(model: Path | None, folder: Path, data: Path, batch: int, steps: int) -> Job:
    """The model, and as many sentences as make so many steps: every contender sees each of them once."""
    opened = checkpoint.open(None if model is None else str(model))
    as_trainer = {"warmup": 0.0, "dropout": DROPOUT, "keep": "last", "freeze": "0", "words": "first"}
    settings = Settings(task="tag", epochs=1, batch=batch, **as_trainer)
    subject = subjects.prepare(opened, tokenizers.open(opened.folder), [f"en={data}"], [], settings)
    fit = [row.example for row in subject.lesson.rows(subject.train) if alone(row)]
    chosen = np.random.default_rng(0).permutation(fit)[: batch * steps]
    subject = replace(subject, train=[subject.train[i] for i in chosen])
    learner, _ = runs.build(opened, subject.lesson, settings)
    weights = {name: of for name, of in export(learner.encoder).items() if not name.startswith("head.")}
    head = SavedHead(subject.lesson.architecture, subject.lesson.labels, subject.lesson.weights(learner.head))
    checkpoint.save(folder / "start", opened.config, weights, tokenizer=opened.folder / "tokenizer.json", head=head)
    return Job(opened, folder / "start", subject, settings)


def alone(row: Row[Any]) -> bool:
    """Whether every word has a first piece of its own, as labels of tokens need it; a comma and a quotation mark after it may share one."""
    return len({*row.goal.tokens.tolist()}) == len(row.goal.tags)


# -- the contenders --


class Clock:
    """Time, by the clock and of the processor."""

    def start(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.wall, self.processor = time.perf_counter() - self.began[0], time.process_time() - self.began[1]


class Timed(runs.FineTuning):
    """Our run, timed from its first batch to its last line of the log. What it writes into its folder in the end, transformers does not."""

    clock = Clock()

    def parts(self, step: int, process: int, processes: int) -> Iterator[Any]:
        if step == 0:
            self.clock.start()
        return super().parts(step, process, processes)

    def evaluate(self, step: int) -> dict[str, Any]:
        self.clock.stop()
        return {}


def ours(job: Job) -> Pass:
    """`xlmr finetune tag`, the loop of it."""
    with tempfile.TemporaryDirectory() as temporary:
        accelerator = Accelerator()
        task = Timed(job.opened, job.subject, job.settings, accelerator, Path(temporary) / "run", {"source": None, "revision": None})
        plan = replace(task.plan(), evaluate=task.steps)
        loop.train(task, [task.optimiser()], plan, accelerator, resume=False)
        lines = map(json.loads, (plan.folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
        losses = [line["loss"] for line in lines if "loss" in line]
        accelerator.free_memory()
    return Pass(task.clock.wall, task.clock.processor, losses)


class Times(transformers.TrainerCallback):
    """The same stretch of theirs."""

    def __init__(self) -> None:
        self.clock = Clock()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.clock.start()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.clock.stop()


def theirs(job: Job, strategy: str, rows: Sequence[Row[Any]] | None = None) -> Pass:
    """`Trainer`, with batches padded to their longest sentence, as its example scripts have it; no saving, no progress bar."""
    rows = job.subject.lesson.rows(job.subject.train) if rows is None else rows
    settings, steps = job.settings, -(-len(rows) // job.settings.batch)
    share = settings.dropout
    model = AutoModelForTokenClassification.from_pretrained(
        job.start, dtype=torch.float32, hidden_dropout_prob=share, attention_probs_dropout_prob=share, classifier_dropout=share
    )
    times = Times()
    with tempfile.TemporaryDirectory() as temporary:
        rate = growth.rate(job.opened.config.width)
        arguments = TrainingArguments(
            temporary, num_train_epochs=1, per_device_train_batch_size=settings.batch, learning_rate=rate,
            weight_decay=settings.decay, max_grad_norm=settings.clip, warmup_steps=0, lr_scheduler_type="linear", seed=settings.seed,
            logging_steps=max(1, steps // runs.LINES), save_strategy="no", report_to="none", disable_tqdm=True,
            train_sampling_strategy=strategy, dataloader_pin_memory=torch.cuda.is_available(),
        )  # fmt: skip
        collator = DataCollatorForTokenClassification(AutoTokenizer.from_pretrained(job.start))
        trainer = Trainer(model, arguments, collator, [feature(row) for row in rows], callbacks=[times])
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return Pass(times.clock.wall, times.clock.processor, losses)


def feature(row: Row[Any]) -> dict[str, list[int]]:
    """A row as transformers wants it: tags at the first pieces of words."""
    labels = np.full(len(row.ids), -100)
    labels[row.goal.tokens] = row.goal.tags[row.goal.words]
    return {"input_ids": row.ids.tolist(), "attention_mask": [1] * len(row.ids), "labels": labels.tolist()}


CONTENDERS: Mapping[str, Callable[[Job], Pass]] = {
    "xlmr": ours,
    "Trainer, `group_by_length`": lambda job: theirs(job, "group_by_length"),
    "Trainer": lambda job: theirs(job, "random"),
}


# -- the comparison --


def check(job: Job) -> float:
    """How far apart the losses are on the same batches without dropout, at most, as a share. Ends the program where that is too far."""
    job = first(replace(job, settings=replace(job.settings, dropout=0.0)), CHECKED)
    rows = job.subject.lesson.rows(job.subject.train)
    mixture = Mixture([job.subject.train[row.example].language for row in rows], job.settings.batch, 1.0, job.settings.seed)
    in_order = [rows[i] for step in range(mixture.steps) for i in mixture.rows(step)]
    with quiet():
        found, wanted = (np.array(of.losses) for of in (ours(job), theirs(job, "sequential", in_order)))
    apart = float((np.abs(found - wanted) / wanted).max())
    if apart > TOLERANCE:
        raise SystemExit(f"the losses differ by {apart:.1e} of themselves: {found.round(4)}, {wanted.round(4)}; this is not the same work")
    return apart


def race(job: Job, rounds: int) -> dict[str, list[Pass]]:
    """All contenders in turns, round after round, after a few steps of each in which everything warms up."""
    passes: dict[str, list[Pass]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds + 1):
        for name, contender in CONTENDERS.items():
            with quiet():
                done = contender(job if turn else first(job, WARM))
            gc.collect()
            if turn:
                passes[name].append(done)
                print(f"{name}: {done.wall:.1f} s, processor {done.processor:.1f} s", file=sys.stderr)
    return passes


def first(job: Job, steps: int) -> Job:
    """The job, cut to so many steps."""
    return replace(job, subject=replace(job.subject, train=job.subject.train[: steps * job.settings.batch]))


def table(title: str, job: Job, passes: Mapping[str, Sequence[Pass]]) -> str:
    """Medians of the rounds; ratios are those of a round, and their median."""
    ours, *_ = passes.values()
    examples = len(job.subject.train)
    lines = [
        f"{title}, {examples:,} sentences in batches of {job.settings.batch}; median of {len(ours)}\n",
        "| | examples/s | by processor time | times the first's time | of processor time |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, of in passes.items():
        rates = [f"{examples / median(getattr(one, kind) for one in of):,.1f}" for kind in KINDS]
        times = [f"{median(getattr(a, kind) / getattr(b, kind) for a, b in zip(of, ours, strict=True)):.2f}" for kind in KINDS]
        lines.append(f"| {name} | {' | '.join(rates + times)} |")
    return "\n".join(lines) + "\n"


KINDS = ("wall", "processor")


@contextmanager
def quiet() -> Iterator[None]:
    """Without our progress bar: theirs is off too."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


if __name__ == "__main__":
    main()
