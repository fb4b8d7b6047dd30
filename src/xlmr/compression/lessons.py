"""A student's lessons on the one training loop: texts are gathered, the teacher is asked, the student follows. Needs torch."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin
from torch import Tensor, nn
from tqdm import tqdm

from xlmr import tokenizer as tokenizers
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.compression.parts import Parts, Step
from xlmr.compression.pupils import Losses, Pupil, Teacher, pupil_of, teacher_of
from xlmr.compression.recovering import PLACES, Recovered, Recovery, rate_of
from xlmr.errors import BadInput, BadRecipe
from xlmr.examples import read_unlabelled
from xlmr.runtimes.torch import export
from xlmr.tokenizer import Tokenizer
from xlmr.tokenizer.vocabulary import SPACE, UNK_ID
from xlmr.training import corpus, loop, states
from xlmr.training.examples import Batch, Examples, Pieces
from xlmr.training.gathering import Gathered, gather
from xlmr.training.objectives import Inputs, inputs
from xlmr.training.recipes import Objective

LINES = 50
"""Of the log, about."""
MEASUREMENTS = 4
"""On held-out texts, over the run."""
HEARD = 512
"""Texts of all languages together that are measured on, about."""
SECONDS = 2.0
"""Before a measurement shows how far it is."""
MINUTES = 3.0
"""Between two states."""
WARMUP = 0.05
"""Share of the steps in which the rate rises; after it falls to 0, linearly."""
CLIP, BETAS, DECAY = 1.0, (0.9, 0.98), 0.01
JOINED = 0.1
"""Share of the tokens in texts joined to long sequences, so that every position is learnt; a head is asked about single texts."""
NO_DECAY = ("bias", "norm.weight")
LEAST, MOST = 1 << 20, 1 << 27
"""Tokens that are held of the texts: four times as many as the run reads, within these bounds; the second takes half a gigabyte."""


def run(parts: Parts, teacher: Checkpoint, texts: Sequence[str], options: Recovery, step: Step) -> Recovered:
    """See `recovering.recover`."""
    begun(options)
    one = GradientAccumulationPlugin(num_steps=1)  # the parts are ours
    accelerator = Accelerator(mixed_precision=options.precision, gradient_accumulation_plugin=one)
    if accelerator.num_processes > 1:
        raise BadInput(f"found {accelerator.num_processes} processes; a model is compressed by one, on one GPU at most")
    step("reading texts")
    pieces = tokenizers.open(teacher.folder)
    gathered = read(texts, pieces, teacher, options)
    with ExitStack() as held:
        folder = options.state or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="xlmr-")))
        task = Lessons(parts, teacher, gathered, pieces, options, accelerator, folder)
        step(f"teaching: {options.steps:,} steps of {options.batch:,} tokens")
        if not options.resume:
            task.before = task.measured()
        loop.train(task, [task.optimiser()], task.plan(), accelerator, resume=options.resume)
        facts = task.facts()
    accelerator.free_memory()
    return Recovered(task.taught(), facts, tuple(text for some in gathered.heldout.values() for text in some))


def begun(options: Recovery) -> None:
    """Raises BadRecipe, before any work is done, where a run would be lost, or there is none to go on with."""
    if options.state is None:
        return
    found = states.find(options.state / "state")
    if found and not options.resume:
        raise BadRecipe(f"{options.state}: holds an earlier run; resume it (--resume), name another folder (--state), or remove this one")
    if not found and options.resume:
        raise BadRecipe(f"{options.state}: no run to resume is there; begin one without --resume")


def read(texts: Sequence[str], pieces: Tokenizer, model: Checkpoint, options: Recovery) -> Gathered:
    """The texts of some sources, as tokens; of more than enough an even sample."""

    def tokenize(some: list[str]) -> list[list[int]]:
        return [pieces.encode(text, longest=model.config.longest).ids[1:-1] for text in some]

    pairs = ((of.language, of.text) for source in texts for of in read_unlabelled(source))
    return gather(pairs, tokenize, model.config.vocabulary, min(MOST, max(LEAST, 4 * options.steps * options.batch)))


class Lessons:
    """The `loop.Task` of imitation."""

    def __init__(
        self, student: Parts, teacher: Checkpoint, gathered: Gathered, pieces: Tokenizer, options: Recovery, accelerator: Accelerator,
        folder: Path,
    ) -> None:  # fmt: skip
        self.student, self.gathered, self.options, self.folder, self.device = student, gathered, options, folder, accelerator.device
        torch.manual_seed(options.seed)
        self.pupil = pupil_of(student, options).train()
        self.model: nn.Module = self.pupil
        self.teacher: Teacher = teacher_of(teacher, self.pupil, self.device)
        objective = Objective(batch=options.batch, exponent=options.exponent, parallel=0.0, contrast=0.0,
                              joined=JOINED if student.head is None else 0.0,
                              masked=options.masked if self.pupil.predicts else 0.0,
                              longest=min(options.longest, student.config.longest))  # fmt: skip
        self.examples = Examples(gathered.corpus, look_at(pieces), student.config, objective, options.seed)
        self.examples.weights[0] = mixed(gathered, options.exponent)
        self.heldout = {code: batch for code, batch in self._heldout(pieces) if self._count(batch)[0]}
        self.digest = [corpus.digest(gathered.corpus), attachments.fingerprint(teacher), digest(self.pupil)]
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}

    # -- how long and how fast --

    @property
    def rate(self) -> float:
        """The highest."""
        return self.options.rate or rate_of(self.student.config.width)

    def plan(self) -> loop.Plan:
        """As the loop reads it."""
        of, warmup = self.options, round(WARMUP * self.options.steps)
        fixed = [settings(of), *self.digest]
        return loop.Plan(folder=self.folder, identity=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
                         steps=of.steps, size=of.batch, warmup=warmup, decay=of.steps - warmup, clip=CLIP, log=max(1, of.steps // LINES),
                         evaluate=-(-of.steps // MEASUREMENTS), minutes=MINUTES, seed=of.seed, trunk=False)  # fmt: skip

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW for what learns."""
        groups = dict[tuple[float, float], list[nn.Parameter]]()
        for name, parameter in self.pupil.named_parameters():
            if parameter.requires_grad:
                table = name in self.pupil.tables
                decay = 0.0 if table or name.endswith(NO_DECAY) else DECAY
                groups.setdefault((self.rate * (self.options.embeddings if table else 1), decay), []).append(parameter)
        made: list[dict[str, Any]] = [{"params": held, "lr": rate, "weight_decay": decay} for (rate, decay), held in groups.items()]
        return torch.optim.AdamW(made, betas=BETAS, fused=True)

    # -- the loop's questions --

    def parts(self, step: int, process: int, processes: int) -> Iterator[tuple[Inputs, int, int]]:
        """The parts of the step, with how many predictions and tokens there are in all of it."""
        batch = self.examples.batch(step)
        counts = self._count(batch)
        for i in range(self.options.accumulate):
            if (part := batch.part(i, self.options.accumulate)).ids:
                yield inputs(part, self.student.config, self.device), *counts

    def loss(self, part: tuple[Inputs, int, int], processes: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The part's share of the step's loss."""
        given, predictions, tokens = part
        found: Losses = self.model(given, self.teacher)
        return self._weighed(found, predictions, tokens), found.means(predictions, tokens)

    def evaluate(self, step: int) -> dict[str, Any]:
        """How far the student is from its teacher on held-out texts."""
        self.after = self.measured()
        return self.after

    def enough(self) -> bool:
        """Never: a run goes to its end."""
        return False

    def state(self) -> dict[str, Any]:
        """How far the sampler has read, and what was measured."""
        return {"cursors": self.examples.sampler.cursors, "before": self.before, "after": self.after}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.examples.sampler.cursors = list(state["cursors"])
        self.before, self.after = dict(state["before"]), dict(state["after"])

    # -- what is measured --

    @torch.no_grad()
    def measured(self) -> dict[str, Any]:
        """The losses on held-out texts: the mean of the languages, and the whole of each; nothing where no text is held out."""
        self.pupil.eval()
        found = dict[str, dict[str, float]]()
        for code, batch in tqdm(self.heldout.items(), "measured", leave=False, delay=SECONDS, mininterval=loop.often()):
            counts = self._count(batch)
            losses = self.pupil(inputs(batch, self.student.config, self.device), self.teacher)
            means = {name: float(value) for name, value in losses.means(*counts).items()}
            found[code] = {"loss": float(self._weighed(losses, *counts)), **means}
        self.pupil.train()
        if not found:
            return {}
        names = next(iter(found.values()))
        means = {name: round(sum(of[name] for of in found.values()) / len(found), 4) for name in names}
        return {**means, "languages": {code: round(of["loss"], 4) for code, of in found.items()}}

    def facts(self) -> dict[str, Any]:
        """What is kept of the run beside the model."""
        of, held = self.options, self.gathered
        place = states.find(self.folder / "state")
        return {
            "settings": settings(of) | {"rate": self.rate},
            "texts": held.read, "tokens": {code: round(size) for code, size in held.sizes.items()},
            "before": loop.finite(self.before), "after": loop.finite(self.after),
            "seconds": round(states.read_progress(place)["seconds"], 1) if place else None,
        }  # fmt: skip

    def taught(self) -> Parts:
        """The student's parts, as they are now."""
        head = self.student.head
        if head is not None and self.pupil.head is not None:
            head = replace(
                head, weights={f"task.{name}": of.detach().float().cpu().numpy() for name, of in self.pupil.head.named_parameters()}
            )
        return replace(self.student, weights=export(self.pupil.encoder), head=head)

    def _weighed(self, found: Losses, predictions: int, tokens: int) -> Tensor:
        return found.predicted / max(1, predictions) + self.options.states * found.states / max(1, tokens)

    def _count(self, batch: Batch) -> tuple[int, int]:
        """Predictions and tokens: of hidden pieces, or what a head says of texts or of tokens."""
        tokens = sum(map(len, batch.ids))
        head = self.pupil.head
        if head is not None:
            return (len(batch.ids) if head.of_texts else tokens), tokens
        return sum(int((of >= 0).sum()) for of in batch.targets) if self.pupil.predicts else tokens, tokens

    def _heldout(self, pieces: Tokenizer) -> Iterator[tuple[str, Batch]]:
        """Held-out texts of each language, hidden as in training, always alike."""
        each = max(2, HEARD // max(1, len(self.gathered.heldout)))
        for i, (code, texts) in enumerate(self.gathered.heldout.items()):
            ids = [np.asarray(pieces.encode(text, longest=self.student.config.longest).ids[1:-1], np.int64) for text in texts[:each]]
            if ids := [of for of in ids if len(of)]:
                yield code, Batch(*self.examples.hide_lines(np.random.default_rng([0, i]), ids), 0)


def settings(of: Recovery) -> dict[str, Any]:
    """What the student depends on; where the run lies is not of it, nor what else a method wants."""
    return {field.name: getattr(of, field.name) for field in fields(Recovery) if field.name not in PLACES}


def mixed(gathered: Gathered, exponent: float) -> np.ndarray:
    """Cumulated probabilities of the languages that have texts: their tokens, held or not, to a power."""
    weights = np.array([size**exponent for size in gathered.sizes.values() if size])
    shares: np.ndarray = np.cumsum(weights) / weights.sum()
    return shares


def look_at(pieces: Tokenizer) -> Pieces:
    """What masking must know of the vocabulary."""
    begins = np.array([piece.startswith(SPACE) for piece, _ in pieces.vocabulary.pieces])
    return Pieces(pieces.mask_id, pieces.mask_id + 1, UNK_ID + 1, begins)


def digest(pupil: Pupil) -> str:
    """What tells the student, as it begins, from others."""
    held = hashlib.blake2b(digest_size=16)
    for name, of in pupil.state_dict().items():
        held.update(name.encode())
        held.update(of.detach().cpu().contiguous().numpy().data)
    return held.hexdigest()
