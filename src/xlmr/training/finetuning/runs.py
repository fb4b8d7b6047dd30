"""A fine-tuning run: from a model and files of examples to a folder that is served."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, GradientAccumulationPlugin, broadcast_object_list
from torch import Tensor, nn
from tqdm import tqdm

from xlmr import checkpoint
from xlmr import tokenizer as tokenizers
from xlmr.batching import group
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.checkpoint.folder import CONFIG, TOKENIZER
from xlmr.errors import BadInput, BadRecipe
from xlmr.evaluation import reports
from xlmr.runtimes.torch import Encoder, Layer, export, load
from xlmr.tasks import calibrations
from xlmr.tokenizer import from_sentencepiece
from xlmr.training import boards, loop, states
from xlmr.training.finetuning import adapters, growth, keeping, lessons, pieces, subjects
from xlmr.training.finetuning import settings as choices
from xlmr.training.finetuning.keeping import Keeper, Kept
from xlmr.training.finetuning.lessons import Given, Learner, Lesson, Row
from xlmr.training.finetuning.mixing import Mixture
from xlmr.training.finetuning.settings import Settings
from xlmr.training.finetuning.subjects import Subject

RUN, KEPT, LOG, REPORT = "run", "kept", "log.jsonl", "finetuning.json"
"""What a run writes into its output folder beside the model: while it goes, its folder; in the end its log and a report."""
MEASURED = 4_096
"""Tokens of the development data that are looked at together."""
WATCHED = 200
"""Examples that show whether a run without development data has collapsed."""
SECONDS = 2.0
"""Before a measurement shows how far it is."""
LINES = 100
"""Of the log, about."""
MINUTES = 5.0
"""Between two states, at most."""
HEAD_ALONE = 1e-3
"""The rate of a head whose encoder is frozen."""
DROPOUT = 0.1
"""Where the model says none: xlm-roberta-base's."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a run has made."""

    folder: Path
    metric: str
    scores: Mapping[str, float]
    """On the development data, of each language; empty where there are none."""
    mean: float | None
    """Of the languages."""
    step: int
    """After which the weights were as they are kept …"""
    steps: int
    """… of so many."""
    seconds: float
    dropped: tuple[str, ...]
    """Attachments of the model that do not fit the encoder as it is now."""


def run(
    model: Mapping[str, Any], train: Sequence[str], dev: Sequence[str], output: Path, settings: Settings, *, resume: bool = False
) -> Tuned:
    """Fine-tune a model on examples, and write it to `output`, whole or not at all.

    `model` is what `checkpoint.open` takes, `source` and `revision`; each of `train` and `dev` is `FILE` or `LANG=FILE`. While it goes
    the run keeps its state in `output/run`, and `resume` goes on from there, exactly.

    Raises BadRecipe for settings that cannot be or a run that cannot go on, BadInput for examples that cannot be learnt from or a folder
    that holds something else, and what opening the model raises.
    """
    choices.check(settings)
    if settings.patience and not dev:
        raise BadRecipe(f"patience is {settings.patience}, and there are no development data by which the score could become better")
    check_output(output, resume=resume)
    opened = checkpoint.open(model["source"], revision=model["revision"])
    loop.tell_unpacked(opened)
    subject = subjects.prepare(opened, tokenizers.open(opened.folder), train, dev, settings)
    one = GradientAccumulationPlugin(num_steps=1)  # the parts are ours; what `accelerate launch` is set to divides nothing
    once = DistributedDataParallelKwargs(broadcast_buffers=False)  # the table's rows that do not learn are alike from the start
    accelerator = Accelerator(mixed_precision=settings.precision, gradient_accumulation_plugin=one, kwargs_handlers=[once])
    task = FineTuning(opened, subject, settings, accelerator, output / RUN, model)
    loop.train(task, [task.optimiser()], task.plan(), accelerator, resume=resume)
    found = task.finish(output)
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return found


class FineTuning:
    """The `loop.Task` of any lesson."""

    def __init__(
        self, opened: Checkpoint, subject: Subject, settings: Settings, accelerator: Accelerator, folder: Path, model: Mapping[str, Any]
    ) -> None:
        self.opened, self.settings, self.accelerator, self.folder = opened, settings, accelerator, folder
        self._from = {"model": str(model["source"] or checkpoint.SMALL), "revision": model["revision"]}
        self.subject, self.lesson = subject, subject.lesson
        self.rows = self.lesson.rows(subject.train)
        self.watched = subject.dev or subject.train[:: -(-len(subject.train) // WATCHED)]
        self.asked = self.lesson.rows(self.watched, served=True)
        codes = [subject.train[row.example].language for row in self.rows]
        self.mixture = Mixture(codes, settings.batch, 1 / settings.temperature, settings.seed)
        self.learner, self.adapters = build(opened, self.lesson, settings)
        pieces.narrow(self.learner.encoder, np.concatenate([row.ids for row in self.rows]))
        self.model: nn.Module = self.learner
        keep = keeping.LAST if settings.keep == keeping.BEST and not subject.dev else settings.keep
        self.keeper = Keeper(folder / KEPT, keep, writes=accelerator.is_main_process)
        self.scores: dict[str, float] = {}
        self.metric = ""
        self._alike = False

    # -- how long and how fast --

    @property
    def steps(self) -> int:
        """Of the run."""
        each, of = self.mixture.steps, self.settings
        epochs = max(choices.LEAST_EPOCHS, math.ceil(choices.LEAST_STEPS / each)) if of.epochs is None else of.epochs
        return max(1, round(epochs * each))

    def plan(self) -> loop.Plan:
        """As the loop reads it."""
        of, steps = self.settings, self.steps
        warmup = round(of.warmup * steps)
        identity = of.identity([self.subject.digest, attachments.fingerprint(self.opened)])
        return loop.Plan(folder=self.folder, identity=identity, steps=steps, size=of.batch, unit="examples", warmup=warmup,
                         decay=steps - warmup, clip=of.clip, log=max(1, steps // LINES), evaluate=max(1, -(-steps // of.measurements)),
                         minutes=MINUTES, seed=of.seed, trunk=False, board=self.folder.with_name(boards.NAME))  # fmt: skip

    def optimiser(self) -> torch.optim.Optimizer:
        """For what learns."""
        of = self.settings
        rate = of.rate or growth.rate(self.opened.config.width) * (adapters.FASTER if of.lora else 1)
        head = of.head_rate or (HEAD_ALONE if of.freeze == growth.ALL else rate)
        return growth.optimiser(self.learner, rate, decay=of.decay, by_layer=of.by_layer, head=head)

    # -- the loop's questions --

    def parts(self, step: int, process: int, processes: int) -> Iterator[tuple[Given[Any], float]]:
        """This process's parts of the step, the longest rows together, with the weight of all of the step's rows."""
        rows = sorted((self.rows[i] for i in self.mixture.rows(step)), key=lambda row: len(row.ids))
        weight = sum(row.weight for row in rows)
        each = -(-len(rows) // self.settings.accumulate)
        for begin in range(0, len(rows), each):
            part = rows[begin : begin + each]
            own = part[process::processes]
            # A process without a row works one that counts for nothing, because the others wait for its gradients.
            yield self._give(own or part[:1]), weight if own else math.inf

    def loss(self, part: tuple[Given[Any], float], processes: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The part's share of the mean loss."""
        given, weight = part
        loss = processes * self.model(given) / weight
        return loss, {"loss": loss}

    def evaluate(self, step: int) -> dict[str, Any]:
        """The metric on the development data: the mean of the languages, and each."""
        predictions = self.predict()
        warning, before = self.lesson.collapsed(self.watched, predictions), self._alike
        self._alike = warning is not None
        if warning and (before or step == self.steps):  # in the beginning many a run says the same of all
            loop.say(self.accelerator, f"step {step}: {warning}; if that stays so, try a lower --rate, a longer --warmup or another --seed")
        scores = self._agreed(self._scores(predictions)) if self.subject.dev else {}
        score = mean(scores.values()) if scores else 0.0
        kept = self.keeper.kept.step
        self.keeper.measure(self.learner, score, step)
        if self.keeper.kept.step != kept or not self.scores:
            self.scores = scores
        return {self.metric: score, "languages": {code: round(of, 4) for code, of in scores.items()}} if scores else {}

    def enough(self) -> bool:
        """Whether the score has not become better for as long as was allowed."""
        return 0 < self.settings.patience <= self.keeper.kept.since

    def state(self) -> dict[str, Any]:
        """What is kept; the steps' rows depend on the seed alone."""
        return {"kept": asdict(self.keeper.kept), "scores": self.scores, "metric": self.metric}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.keeper.kept, self.scores = Kept(**state["kept"]), dict(state["scores"])
        self.metric = state["metric"]

    # -- what it takes --

    def predict(self) -> list[Any]:
        """What is said of each of the examples that are watched."""
        self.learner.eval()
        found: list[Any] = [None] * len(self.asked)
        batches = group([len(row.ids) for row in self.asked], MEASURED)
        silent = not self.accelerator.is_main_process
        for batch in tqdm(batches, "measured", leave=False, delay=SECONDS, mininterval=loop.often(), disable=silent):
            for i, said in zip(batch, self.learner.predict(self._give([self.asked[i] for i in batch])), strict=True):
                found[i] = said
        self.learner.train()
        return self.lesson.join(self.learner.head, self.watched, self.asked, found)

    def _scores(self, predictions: Sequence[Any]) -> dict[str, float]:
        """Of each language of the development data."""
        report = reports.report(self.lesson.score(self.subject.dev, predictions), rounds=0)
        self.metric = report.metric
        return report.languages

    def finish(self, output: Path) -> Tuned:
        """Write what was kept, with its head; the run's folder goes. All that is in the folder is read and written by the first process."""
        writes, held = self.accelerator.is_main_process, states.find(self.folder / "state")
        seconds = states.read_progress(held)["seconds"] if held and writes else 0.0
        if writes:
            self.keeper.restore(self.learner)
        if self.keeper.keep == keeping.MEAN and self.subject.dev:  # no measurement was of the mean itself
            self.scores = self._agreed(self._scores(self.predict()) if writes else {})
        average = mean(self.scores.values()) if self.scores else None
        found = Tuned(output, self.metric, self.scores, average, self.keeper.kept.step, self.steps, seconds, ())
        return self._write(output, found) if writes else found

    def _write(self, output: Path, found: Tuned) -> Tuned:
        """The model into its folder, its config last: with that it is one, and the run has ended."""
        partial = self.folder / "model"
        shutil.rmtree(partial, ignore_errors=True)
        found = replace(found, dropped=self._save(partial))
        shutil.copyfile(self.folder / LOG, partial / LOG)
        (partial / REPORT).write_text(json.dumps(self._report(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for path in sorted(partial.iterdir(), key=lambda path: path.name == CONFIG):
            path.replace(output / path.name)
        shutil.rmtree(self.folder)
        return found

    def _save(self, partial: Path) -> tuple[str, ...]:
        """The model into a folder of its own. Gives the attachments that were left out."""
        encoder = adapters.merge(self.adapters) if self.adapters else self.learner.encoder
        assert isinstance(encoder, Encoder)
        pieces.widen(encoder)
        weights = {name: of for name, of in export(encoder).items() if not name.startswith("head.")}
        lesson, head = self.lesson, self.learner.head
        saved = SavedHead(lesson.architecture, lesson.labels, lesson.weights(head), lesson.problem, lesson.attachments(head))
        checkpoint.save(partial, self.opened.config, weights, tokenizer=self._tokenizer(), head=saved)
        return self._carry(partial)

    def _carry(self, partial: Path) -> tuple[str, ...]:
        """The model's attachments beside its weights: all, where the encoder is as it was; else the calibration, where it is of pieces
        alone, which fit any encoder. Gives those that were left out."""
        before, after = (attachments.fingerprint(of) for of in (self.opened, checkpoint.open(partial)))
        fitted = [name for name in attachments.names(self.opened.folder) if name not in attachments.OF_HEADS]
        if before != after:
            carried = calibrations.NAME if calibrations.carry(self.opened, partial) else None
            return tuple(name for name in fitted if name != carried)
        for name in fitted:
            attachments.write(partial, name, attachments.read(self.opened, name, calibrations.FIT), after)
        return ()

    def _tokenizer(self) -> Path:
        """The model's `tokenizer.json`, made of its `sentencepiece.bpe.model` where it has none."""
        path = self.opened.folder / tokenizers.file(self.opened.folder)
        if path.name == TOKENIZER:
            return path
        made = self.folder / TOKENIZER
        made.write_bytes(from_sentencepiece(path.read_bytes()).encode())
        return made

    def _report(self, found: Tuned) -> Mapping[str, Any]:
        return {
            "task": self.settings.task, **self._from, "settings": asdict(self.settings), "data": self.subject.said,
            "metric": found.metric, "mean": loop.finite(found.mean), "languages": loop.finite(found.scores), "step": found.step,
            "steps": found.steps, "seconds": round(found.seconds, 1), "dropped": found.dropped,
        }  # fmt: skip

    def _give(self, rows: Sequence[Row[Any]]) -> Given[Any]:
        return lessons.give(rows, self.opened.config, self.accelerator.device)

    def _agreed(self, scores: dict[str, float]) -> dict[str, float]:
        """Those of the first process: all must end at the same step."""
        held = [scores]
        broadcast_object_list(held)
        return held[0]


def build(opened: Checkpoint, lesson: Lesson, settings: Settings) -> tuple[Learner, Any]:
    """The model with a new head, what does not learn frozen; and its adapters, if it has some."""
    torch.manual_seed(settings.seed)
    encoder = load(opened)
    encoder.head = None  # it would be trained by nothing
    encoder.checkpointing = settings.checkpointing
    config = opened.config
    dropout = (config.dropout or DROPOUT) if settings.dropout is None else settings.dropout
    if settings.dropout is not None or not config.dropout:
        set_dropout(encoder, dropout)
    head = lesson.head(config, dropout)
    growth.freeze(encoder, settings.freeze)
    attached = adapters.attach(encoder, settings.lora) if settings.lora else None
    learner = Learner(encoder, head, lesson)
    return learner.train(), attached


def set_dropout(encoder: Encoder, share: float) -> None:
    """In all of the encoder's layers."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
        if isinstance(module, Layer):
            module.attention_dropout = share


def check_output(output: Path, *, resume: bool = False) -> None:
    """Raises BadInput, before any work is done, where something would be lost."""
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output}: is a file; wanted a new folder for the model")
    held = {path.name for path in output.iterdir()} if output.exists() else set()
    if resume and {CONFIG, REPORT} <= held:
        shutil.rmtree(output / RUN, ignore_errors=True)  # where the run was killed when all but this was done
    if CONFIG in held:
        done = "the run has ended; " if resume and REPORT in held else ""
        raise BadInput(f"{output}: {done}holds a model already; choose another folder")
    if foreign := sorted(held - {RUN, boards.NAME}) if not resume else []:
        resumable = "; a run lies there too: --resume it, or" if RUN in held else ";"
        raise BadInput(f"{output}: holds {', '.join(foreign[:3])}{resumable} choose a new or empty folder")
