"""A model from nothing: vocabulary, corpus, static start, then MLM, TLM and contrast on the one loop."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

import xlmr.checkpoint
from xlmr.config import Config
from xlmr.errors import BadRecipe
from xlmr.runtimes.torch import Encoder, build, export, load
from xlmr.tokenizer import from_sentencepiece
from xlmr.training import corpus, loop, recipes, static, vocabulary
from xlmr.training.corpus import Corpus
from xlmr.training.examples import Batch, Examples, Pieces
from xlmr.training.objectives import Inputs, Losses, Negatives, draw_negatives, inputs
from xlmr.training.recipes import Recipe

NEGATIVES_EXPONENT = 0.75  # of a piece's frequency (Mikolov et al. 2013, section 2.2)
HELDOUT_LINES = 8  # of each language, for the loss in the log
IDENTITY_FREE = ("output", "minutes", "log", "evaluate")  # fields that may change between the legs of a run


def pretrain(path: Path, *, start: str | None = None, resume: bool = False) -> Path:
    """Run the recipe in a TOML file; see `run`."""
    return run(recipes.read(path), start=start, resume=resume)


def run(recipe: Recipe, *, start: str | None = None, resume: bool = False) -> Path:
    """Run a recipe to its end; gives the folder of the checkpoint it made.

    `start` is a checkpoint to go on from, with its own vocabulary and sizes; what the run begins with is kept in `start/`. What an earlier
    call left of vocabulary, corpus and static start is used again; `resume` goes on with the training itself, exactly.
    Raises BadRecipe.
    """
    folder = Path(recipe.output)
    accelerator = Accelerator(mixed_precision=recipe.precision)
    with accelerator.main_process_first():
        tokenizer, data = prepare(recipe, start)
        encoder = begin(recipe, start, data, tokenizer)
        if not (folder / "start").exists():
            xlmr.checkpoint.save(folder / "start", encoder.config, export(encoder), tokenizer=folder / "tokenizer.json")
    task = Pretraining(recipe, encoder, data, tokenizer, accelerator)
    loop.train(task, optimisers(encoder, recipe), plan(recipe), accelerator, resume=resume)
    if accelerator.is_main_process:
        xlmr.checkpoint.save(folder / "model", encoder.config, export(encoder), tokenizer=folder / "tokenizer.json")
    return folder / "model"


def prepare(recipe: Recipe, start: str | None) -> tuple[tokenizers.Tokenizer, Corpus]:
    """The vocabulary and the corpus, made where they are not there yet; held-out lines go to `heldout.jsonl`."""
    folder = Path(recipe.output)
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / name for name in ("tokenizer.json", "corpus.safetensors", "heldout.jsonl")]
    stamp = folder / "data.json"
    wanted = json.dumps({"start": start, **{k: v for k, v in recipes.dump(recipe).items() if k in ("data", "vocabulary", "seed")}})
    if stamp.exists() and all(file.exists() for file in made):
        if stamp.read_text(encoding="utf-8") != wanted:
            raise BadRecipe(f"{stamp}: the data was prepared by another recipe; choose another output folder")
    else:
        _make(recipe, start, *made)
        stamp.write_text(wanted, encoding="utf-8")
    return open_tokenizer(made[0]), corpus.load(made[1])


def open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """The vocabulary; what looks like a special token in a text is text."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def begin(recipe: Recipe, start: str | None, data: Corpus, tokenizer: tokenizers.Tokenizer) -> Encoder:
    """The encoder before the first step: the checkpoint `start`, or random layers on static embeddings."""
    if start is not None:
        return load(xlmr.checkpoint.open(start))
    sizes = recipe.sizes
    config = Config(vocabulary=tokenizer.get_vocab_size(), width=sizes.width, layers=sizes.layers, heads=sizes.heads, inner=sizes.inner,
                    positions=sizes.positions, dropout=sizes.dropout, attention_dropout=sizes.dropout)  # fmt: skip
    torch.manual_seed(recipe.seed)
    encoder = build(config)
    path = Path(recipe.output) / f"static-{recipe.static.start}.safetensors"
    if not path.exists():
        losses = static.start(data, config, encoder, recipe.static, recipe.seed)
        for loss in (bar := tqdm(losses, "static start", recipe.static.steps, disable=None)):
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        save_file({name: of.detach().numpy() for name, of in encoder.embeddings.state_dict().items()}, path)
    encoder.embeddings.load_state_dict({name: torch.from_numpy(of) for name, of in load_file(path).items()})
    counts = np.bincount(data.tokens, minlength=config.vocabulary) + 1.0
    assert encoder.head is not None
    with torch.no_grad():
        # Scores of about unit spread around the pieces' frequencies: the first steps then have little to undo.
        encoder.head.norm.weight.fill_(1 / float(encoder.output_table()[0].norm(dim=1).mean()))
        encoder.head.bias.copy_(torch.from_numpy(np.log(counts / counts.sum()) - np.log(1 / config.vocabulary)))
    return encoder


def optimisers(encoder: Encoder, recipe: Recipe) -> list[Optimizer]:
    """AdamW for all, or for all but the layers' matrices, which Muon then has (Jordan 2024; scaled as Liu et al. 2025)."""
    of = recipe.optimiser
    named = dict(encoder.named_parameters())
    words = [name for name in named if name.endswith("words.weight")]
    matrices = [name for name in named if named[name].ndim == 2 and not name.startswith("embeddings.") and name not in words]
    rest = [name for name in named if name not in words and name not in matrices]
    groups = [{"params": [named[name] for name in words], "lr": of.rate * of.embeddings, "weight_decay": 0.0},
              {"params": [named[name] for name in rest], "lr": of.rate, "weight_decay": 0.0}]  # fmt: skip
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
    fixed["optimiser"] = {k: v for k, v in fixed["optimiser"].items() if k != "tokens"}
    return loop.Plan(folder=Path(recipe.output), identity=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
                     steps=steps, tokens=recipe.objective.batch, warmup=round(of.warmup * steps), decay=round(of.decay * steps),
                     clip=of.clip, log=recipe.log, evaluate=recipe.evaluate, minutes=recipe.minutes, seed=recipe.seed)  # fmt: skip


class Pretraining:
    """The `loop.Task` of MLM, TLM and contrast."""

    def __init__(self, recipe: Recipe, encoder: Encoder, data: Corpus, tokenizer: tokenizers.Tokenizer, accelerator: Accelerator) -> None:
        self.recipe, self.encoder, self.device = recipe, encoder, accelerator.device
        if not 8 <= recipe.objective.longest <= encoder.config.longest:
            raise BadRecipe(
                f"[objective] longest is {recipe.objective.longest}, wanted 8 to the {encoder.config.longest} tokens of the model"
            )
        self.model: torch.nn.Module = Losses(encoder, recipe.objective.temperature, recipe.objective.layer)
        pieces = look_at(tokenizer)
        self.examples = Examples(data, pieces, encoder.config, recipe.objective, recipe.seed)
        chances = (np.bincount(data.tokens, minlength=pieces.size) + 1.0) ** NEGATIVES_EXPONENT
        self.chances = chances / chances.sum()
        self.heldout = _heldout_batches(Path(recipe.output) / "heldout.jsonl", tokenizer, self.examples)
        self.full_from = plan(recipe).steps * (1 - recipe.optimiser.full_softmax)

    def parts(self, step: int, process: int, processes: int) -> Iterator[tuple[Inputs, Negatives | None, int]]:
        """This process's parts, with the negatives and the number of predictions in the whole step."""
        batch = self.examples.batch(step)
        count = max(1, sum(int((of >= 0).sum()) for of in batch.targets))
        of = self.recipe.objective
        sampled = of.negatives > 0 and step < self.full_from
        rng = np.random.default_rng([self.recipe.seed, step, 1])
        negatives = draw_negatives(rng, self.chances, of.negatives, self.device) if sampled else None
        parts = self.recipe.optimiser.accumulate
        for i in range(parts):
            part = batch.part(process + i * processes, processes * parts)
            yield inputs(part, self.encoder.config, self.device), negatives, count

    def loss(self, part: tuple[Inputs, Negatives | None, int], processes: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The part's share of the mean cross-entropy in nats and of the contrastive loss."""
        given, negatives, count = part
        masked, contrast = self.model(given, negatives)
        masked, contrast = processes * masked / count, contrast / self.recipe.optimiser.accumulate
        return masked + self.recipe.objective.contrast * contrast, {"masked": masked, "contrast": contrast}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, Any]:
        """Nats per hidden piece on held-out lines, over all pieces of the vocabulary: the mean of the languages, and each."""
        losses = Losses(self.encoder.eval(), self.recipe.objective.temperature)
        scores = {}
        for language, batch in self.heldout.items():
            given = inputs(batch, self.encoder.config, self.device)
            scores[language] = float(losses(given)[0]) / max(1, len(given.targets))
        self.encoder.train()
        return {"loss": sum(scores.values()) / max(1, len(scores)), "languages": {k: round(v, 4) for k, v in scores.items()}}

    def state(self) -> dict[str, Any]:
        """How far the sampler has read."""
        return {"cursors": self.examples.sampler.cursors}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Read on from there."""
        self.examples.sampler.cursors = list(state["cursors"])


def look_at(tokenizer: tokenizers.Tokenizer) -> Pieces:
    """What masking must know of the vocabulary."""
    size = tokenizer.get_vocab_size()
    ids = tokenizer.get_vocab()
    begins = np.array([(tokenizer.id_to_token(i) or "").startswith("▁") for i in range(size)])
    return Pieces(ids["<mask>"], size, ids["<unk>"] + 1, begins)


def _make(recipe: Recipe, start: str | None, tokenizer_file: Path, corpus_file: Path, heldout_file: Path) -> None:
    tqdm.write(f"reading {recipe.data.folder}", file=sys.stderr)
    train, heldout = corpus.split(corpus.read(recipe.data), recipe.data)
    if not train:
        raise BadRecipe(f"{recipe.data.folder}: no lines found; see docs/pretraining.md for what the folder holds")
    if start is not None:
        tokenizer_file.write_bytes((xlmr.checkpoint.open(start).folder / "tokenizer.json").read_bytes())
    elif not tokenizer_file.exists():
        tqdm.write(f"learning {recipe.vocabulary.size} pieces from {len(train)} lines", file=sys.stderr)
        text = from_sentencepiece(vocabulary.train(train, recipe.vocabulary, recipe.seed))
        tokenizer_file.with_suffix(".partial").write_text(text, encoding="utf-8")
        tokenizer_file.with_suffix(".partial").replace(tokenizer_file)
    tokenizer = open_tokenizer(tokenizer_file)

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    heldout_file.write_text("".join(json.dumps({"language": line.language, "source": line.source, "id": line.id, "text": line.text},
                                               ensure_ascii=False) + "\n" for line in heldout), encoding="utf-8")  # fmt: skip
    tqdm.write("tokenising", file=sys.stderr)
    corpus.save(corpus.encode(train, tokenize, tokenizer.get_vocab_size(), recipe.data.phrases), corpus_file)


def _heldout_batches(path: Path, tokenizer: tokenizers.Tokenizer, examples: Examples) -> dict[str, Batch]:
    """A few held-out lines of each language, hidden as in training, always alike."""
    lines: dict[str, list[str]] = {}
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if len(lines.setdefault(row["language"], [])) < HELDOUT_LINES:
            lines[row["language"]].append(row["text"])
    batches = {}
    for i, (language, texts) in enumerate(sorted(lines.items())):
        ids = [np.asarray(of.ids) for of in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        hidden, targets = examples.hide_lines(np.random.default_rng([0, i]), ids)
        batches[language] = Batch(hidden, targets, 0)
    return batches
