"""A pretraining run: MLM, TLM, contrast and a teacher on the one loop, from what `beginning` has made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin
from torch import Tensor
from torch.optim import Optimizer

import xlmr.checkpoint
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.errors import BadRecipe
from xlmr.evaluation import benchmarks
from xlmr.runtimes.torch import Encoder, export, load
from xlmr.training import beginning, corpus, loop, recipes, states, teaching
from xlmr.training.corpus import Corpus
from xlmr.training.disk import writing
from xlmr.training.examples import Batch, Examples
from xlmr.training.objectives import Inputs, Losses, Negatives, draw_negatives, frequencies, inputs
from xlmr.training.recipes import Growth, Recipe

HELDOUT_LINES = 32  # of each language, for the loss in the log
IDENTITY_FREE = ("output", "minutes", "log", "evaluate", "keep")  # fields that may change between the legs of a run


def pretrain(path: Path, *, start: str | None = None, resume: bool = False) -> Path:
    """Run the recipe in a TOML file; see `run`."""
    return run(recipes.read(path), start=start, resume=resume)


def run(recipe: Recipe, *, start: str | None = None, resume: bool = False) -> Path:
    """Run a recipe to its end; gives the folder of the checkpoint it made.

    `start` is a checkpoint to go on from, with its own vocabulary and sizes. What an earlier call left of text, static vectors and start
    is used again; `resume` goes on with the training itself, exactly, and makes none of them.
    Raises BadRecipe.
    """
    folder = Path(recipe.output)
    one = GradientAccumulationPlugin(num_steps=1)  # the parts are the recipe's; what `accelerate launch` is set to divides nothing
    accelerator = Accelerator(mixed_precision=recipe.precision, gradient_accumulation_plugin=one)
    if not resume:
        with accelerator.main_process_first():
            beginning.prepare(recipe, start)
    elif missing := [name for name in ("data", "start") if not (folder / name).exists()]:
        raise BadRecipe(f"{folder / missing[0]}: not there, so there is no run to resume; begin one without --resume")
    tokenizer, text = beginning.open_tokenizer(folder / "data" / TOKENIZER), corpus.load(folder / "data" / beginning.CORPUS)
    encoder = load(xlmr.checkpoint.open(folder / "start"))
    task = Pretraining(recipe, encoder, text, tokenizer, accelerator)
    loop.train(task, optimisers(task.losses, recipe), plan(recipe), accelerator, resume=resume)
    if accelerator.is_main_process:
        _save(encoder, folder, "model")
    return folder / "model"


def _save(encoder: Encoder, run: Path, name: str, dtype: str = "float32") -> None:
    """Put a model into a folder of its run. Raises OSError where the disk refuses."""
    with writing(run / name, states.what_is_left(run / "state")):
        xlmr.checkpoint.save(run / name, encoder.config, export(encoder), tokenizer=run / "data" / TOKENIZER, dtype=dtype)


SAYS = 8.0
"""Times the rate, of what is left behind in the end: it begins at random, and what it says of the encoder should be right soon."""


def optimisers(losses: Losses, recipe: Recipe) -> list[Optimizer]:
    """AdamW for all, or for all but the layers' matrices, which Muon then has (Jordan 2024; scaled as Liu et al. 2025)."""
    of = recipe.optimiser
    named = dict(losses.encoder.named_parameters())
    words = [name for name in named if name.endswith("words.weight")]
    matrices = [name for name in named if named[name].ndim == 2 and not name.startswith("embeddings.") and name not in words]
    rest = [name for name in named if name not in words and name not in matrices]
    groups = [{"params": [named[name] for name in words], "lr": of.rate * of.embeddings, "weight_decay": 0.0},
              {"params": [named[name] for name in rest], "lr": of.rate, "weight_decay": 0.0}]  # fmt: skip
    if losses.says is not None:
        groups.append({"params": [*losses.says.parameters()], "lr": of.rate * SAYS, "weight_decay": 0.0})
    inside = [named[name] for name in matrices]
    if not of.muon:
        groups.append({"params": inside, "lr": of.rate, "weight_decay": of.weight_decay})
    made: list[Optimizer] = [torch.optim.AdamW(groups, betas=of.betas, fused=True)]
    if of.muon:
        made.append(torch.optim.Muon(inside, lr=of.muon, weight_decay=of.weight_decay, adjust_lr_fn="match_rms_adamw"))
    return made


def plan(recipe: Recipe) -> loop.Plan:
    """The recipe as the loop reads it."""
    of, steps = recipe.optimiser, max(1, round(recipe.optimiser.tokens / recipe.objective.batch))
    fixed = {k: v for k, v in recipes.dump(recipe).items() if k not in IDENTITY_FREE}
    if recipe.growth == Growth():
        del fixed["growth"]  # so that runs begun before there was any go on
    fixed["optimiser"] = {k: v for k, v in fixed["optimiser"].items() if k != "tokens"}
    fixed["teacher"] = {k: v for k, v in fixed["teacher"].items() if k != "model"}  # it may lie elsewhere; its rows are in the state
    return loop.Plan(folder=Path(recipe.output), identity=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
                     steps=steps, size=recipe.objective.batch, warmup=round(of.warmup / recipe.objective.batch),
                     decay=round(of.decay * steps),
                     clip=of.clip, log=recipe.log, evaluate=recipe.evaluate, minutes=recipe.minutes, seed=recipe.seed)  # fmt: skip


class Pretraining:
    """The `loop.Task` of MLM, TLM, contrast and a teacher."""

    def __init__(self, recipe: Recipe, encoder: Encoder, data: Corpus, tokenizer: tokenizers.Tokenizer, accelerator: Accelerator) -> None:
        self.recipe, self.encoder, self.device = recipe, encoder, accelerator.device
        self.keeps = recipe.keep and accelerator.is_main_process
        of = recipe.objective
        self.teacher = teaching.find(recipe.teacher.model, encoder.config) if recipe.teacher.model else None
        self.teacher_digest = teaching.digest(self.teacher) if self.teacher else ""
        self.losses = Losses(encoder, of.temperature, of.layer, of.memory, self.teacher.pieces.shape[1] if self.teacher else 0)
        self.model: torch.nn.Module = self.losses
        self.corpus_digest = corpus.digest(data)
        pieces = beginning.look_at(tokenizer)
        self.examples = Examples(data, pieces, encoder.config, recipe.objective, recipe.seed)
        self.chances = frequencies(data, pieces.size)
        self.heldout = _heldout_batches(Path(recipe.output) / "data" / beginning.HELDOUT, tokenizer, self.examples)
        self.full_from = plan(recipe).steps * (1 - recipe.optimiser.full_softmax)

    def parts(self, step: int, process: int, processes: int) -> Iterator[tuple[Inputs, Negatives | None, int, int]]:
        """This process's parts, with the negatives and the numbers of predictions and of sequences in the whole step."""
        batch = self.examples.batch(step)
        if self.teacher is not None:
            batch = teaching.teach(self.teacher, batch, self.examples.pieces.first)
        if not self.recipe.objective.contrast:
            batch = replace(batch, pairs=0)
        count = max(1, sum(int((of >= 0).sum()) for of in batch.targets))
        of = self.recipe.objective
        sampled = of.negatives > 0 and step < self.full_from
        rng = np.random.default_rng([self.recipe.seed, step, 1])
        negatives = draw_negatives(rng, self.chances, of.negatives, self.device) if sampled else None
        parts = self.recipe.optimiser.accumulate
        for i in range(parts):
            part = batch.part(i, parts)
            own = part.part(process, processes)
            yield inputs(own, self.encoder.config, self.device, all_pairs=part.pairs), negatives, count, len(batch.ids)

    def loss(self, part: tuple[Inputs, Negatives | None, int, int], processes: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The part's share of the mean cross-entropy in nats, of the contrastive loss and of the teacher's."""
        given, negatives, count, rows = part
        masked, contrast, told = self.model(given, negatives)
        addends = {"masked": processes * masked / count, "contrast": contrast / self.recipe.optimiser.accumulate}
        if self.teacher is not None:
            addends["told"] = processes * told / rows
        weights = {"masked": 1.0, "contrast": self.recipe.objective.contrast, "told": self.recipe.teacher.weight}
        return torch.stack([weights[name] * of for name, of in addends.items()]).sum(), addends

    @torch.inference_mode()
    def evaluate(self, step: int) -> dict[str, Any]:
        """Nats per hidden piece on held-out lines, over all pieces of the vocabulary: the mean of the languages, and each.

        Where the recipe says so the model is kept as it is."""
        losses = Losses(self.encoder.eval(), self.recipe.objective.temperature)
        scores = {}
        for language, batch in self.heldout.items():
            given = inputs(batch, self.encoder.config, self.device)
            scores[language] = float(losses(given)[0]) / len(given.targets)
        self.encoder.train()
        if self.keeps:
            _save(self.encoder, Path(self.recipe.output), f"kept/{step:06}", "float16")
        return {"loss": sum(scores.values()) / max(1, len(scores)), "languages": {k: round(v, 4) for k, v in scores.items()}}

    def enough(self) -> bool:
        """Never: a run goes to its end."""
        return False

    def state(self) -> dict[str, Any]:
        """How far the sampler has read, and of what text."""
        return {"cursors": self.examples.sampler.cursors, "corpus": self.corpus_digest, "teacher": self.teacher_digest}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Read on from there. Raises BadRecipe where the text or the teacher is another."""
        if state["corpus"] != self.corpus_digest:
            raise BadRecipe(f"{Path(self.recipe.output) / 'data'}: not the text that the run has read; put that back, or begin a new run")
        if state["teacher"] != self.teacher_digest:
            raise BadRecipe(f"[teacher] model: {self.recipe.teacher.model} is another teacher than the run has had; name that one")
        self.examples.sampler.cursors = list(state["cursors"])


def _heldout_batches(path: Path, tokenizer: tokenizers.Tokenizer, examples: Examples) -> dict[str, Batch]:
    """Held-out lines of each language, chosen by the hash of their text and hidden as in training: always alike."""
    lines: dict[str, list[str]] = {}
    for line in sorted(benchmarks.heldout(path), key=lambda line: corpus.draw(line.text)):
        if len(lines.setdefault(line.language, [])) < HELDOUT_LINES:
            lines[line.language].append(line.text)
    batches = {}
    for i, (language, texts) in enumerate(sorted(lines.items())):
        ids = [np.asarray(of.ids) for of in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        hidden, targets = examples.hide_lines(np.random.default_rng([0, i]), ids)
        if any((of >= 0).any() for of in targets):
            batches[language] = Batch(hidden, targets, 0)
    return batches
