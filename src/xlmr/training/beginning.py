"""What a run begins with, each made once and kept in a folder of it: text as tokens, static vectors, the encoder before the first step."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from tqdm import tqdm

import xlmr.checkpoint
import xlmr.tokenizer
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadRecipe
from xlmr.heads.calibration import Table
from xlmr.runtimes.torch import Encoder, build, export, load
from xlmr.tokenizer import from_sentencepiece
from xlmr.training import corpus, growing, loop, neighbours, static, teaching, vocabulary
from xlmr.training.corpus import Corpus, Line
from xlmr.training.examples import Pieces
from xlmr.training.recipes import Growth, Recipe

MADE_OF = "made_of.json"
CORPUS, HELDOUT = "corpus.safetensors", "heldout.jsonl"


def prepare(recipe: Recipe, start: str | None) -> None:
    """Make what is not there yet: `data/`, and, without a checkpoint `start`, `static/`; `start/`, from which the run goes on.

    Raises BadRecipe where one of them was made by another recipe, or of another text.
    """
    if start is not None:
        config = xlmr.checkpoint.open(start).config
        _check(recipe, growing.larger(config, recipe.growth))
        _check_columns(recipe, config)
    elif recipe.growth != Growth():
        raise BadRecipe("[growth] is for a run that goes on from a model: name one (--from), or say its size in [sizes]")
    else:
        _check(recipe, _config(recipe, recipe.vocabulary.size))
        _check_columns(recipe, _config(recipe, recipe.vocabulary.size))
    folder = Path(recipe.output)
    data = keep(folder / "data", _data_of(recipe, start), lambda partial: _make_data(recipe, start, partial))
    text, tokenizer = corpus.load(data / CORPUS), open_tokenizer(data / TOKENIZER)
    seeds = {"corpus": corpus.digest(text), "seed": recipe.seed}
    if start is not None:
        of: dict[str, Any] = {"weights": _weights_of(start)}
        taught_by = teaching.find(recipe.teacher.model, xlmr.checkpoint.open(start).config) if recipe.teacher.columns else None
        if taught_by is not None:
            rows = teaching.digest(taught_by)
            of |= {"teacher": {"rows": rows, "columns": recipe.teacher.columns, "share": recipe.teacher.share}}
        if recipe.growth != Growth():
            of |= {"growth": asdict(recipe.growth), "seed": recipe.seed}
        keep(folder / "start", of, lambda partial: _save(_go_on(recipe, start, taught_by, text), data, partial))
        return
    config = _config(recipe, tokenizer.get_vocab_size())
    of = seeds | {"config": asdict(config), "static": {**asdict(recipe.static), "languages": None}}
    vectors = keep(folder / "static", of, lambda partial: _save(_make_static(recipe, config, text), data, partial))
    of |= {"static": asdict(recipe.static), "neighbours": asdict(recipe.neighbours)}
    keep(folder / "start", of, lambda partial: _save(_make_start(recipe, vectors, text, look_at(tokenizer)), data, partial))


def keep(folder: Path, of: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """The folder, which `make` fills if it is not there; it appears whole. Raises BadRecipe where it is there, made of something else."""
    wanted = json.loads(json.dumps(of))
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        make(partial)
        (partial / MADE_OF).write_text(json.dumps(wanted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.rename(folder)
        return folder
    found = json.loads((folder / MADE_OF).read_text(encoding="utf-8")) if (folder / MADE_OF).exists() else {}
    if other := [name for name in wanted | found if wanted.get(name) != found.get(name)]:
        raise BadRecipe(
            f"{folder} was made by another recipe: {', '.join(other)} changed ({folder / MADE_OF}); "
            "choose another output folder, or remove this one"
        )
    return folder


def open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """The vocabulary; what looks like a special token in a text is text."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def look_at(tokenizer: tokenizers.Tokenizer) -> Pieces:
    """What masking must know of the vocabulary."""
    size = tokenizer.get_vocab_size()
    ids = tokenizer.get_vocab()
    begins = np.array([(tokenizer.id_to_token(i) or "").startswith("▁") for i in range(size)])
    return Pieces(ids["<mask>"], size, ids["<unk>"] + 1, begins)


def _config(recipe: Recipe, vocabulary: int) -> Config:
    of = recipe.sizes
    try:
        return Config(vocabulary=vocabulary, width=of.width, layers=of.layers, heads=of.heads, inner=of.inner,
                      positions=of.positions, dropout=of.dropout, attention_dropout=of.dropout)  # fmt: skip
    except BadCheckpoint as error:
        raise BadRecipe(f"[sizes] {error}") from None


def _check(recipe: Recipe, config: Config) -> None:
    """Raises BadRecipe where a model of these sizes cannot learn as the recipe says; before anything is made."""
    of = recipe.objective
    if not 8 <= of.longest <= config.longest:
        raise BadRecipe(f"[objective] longest is {of.longest}, wanted 8 to the {config.longest} tokens of the model")
    if not -config.layers - 1 <= of.layer <= config.layers:
        raise BadRecipe(f"[objective] layer is {of.layer}, wanted {-config.layers - 1} to {config.layers}: the model has so many layers")


def _check_columns(recipe: Recipe, config: Config) -> None:
    """Raises BadRecipe where a teacher's rows have no place in a table of these sizes."""
    if recipe.teacher.columns > config.width // 2 or (recipe.teacher.columns and not recipe.teacher.model):
        raise BadRecipe(
            f"[teacher] columns is {recipe.teacher.columns}, wanted at most half the model's width, {config.width}, and a model"
        )


def _save(encoder: Encoder, data: Path, to: Path) -> None:
    xlmr.checkpoint.save(to, encoder.config, export(encoder), tokenizer=data / TOKENIZER)


# -- text --


def _data_of(recipe: Recipe, start: str | None) -> dict[str, Any]:
    if start is not None:
        return {"data": asdict(recipe.data), "vocabulary": _hash(_pieces_of(start))}
    return {"data": asdict(recipe.data), "vocabulary": asdict(recipe.vocabulary), "seed": recipe.seed}


def _make_data(recipe: Recipe, start: str | None, to: Path) -> None:
    tqdm.write(f"reading {recipe.data.folder}", file=sys.stderr)
    train, heldout = corpus.split(corpus.read(recipe.data), recipe.data)
    if not train:
        raise BadRecipe(f"{recipe.data.folder}: no lines found; see docs/pretraining.md for what the folder holds")
    if all(line.source in recipe.data.phrases for line in train):
        raise BadRecipe(f"{recipe.data.folder}: found words and phrases alone ({', '.join(recipe.data.phrases)}), wanted running text too")
    (to / TOKENIZER).write_bytes(_vocabulary(recipe, start, train))
    tokenizer = open_tokenizer(to / TOKENIZER)

    def tokenize(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    (to / HELDOUT).write_text("".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in heldout), encoding="utf-8")
    tqdm.write("tokenising", file=sys.stderr)
    corpus.save(corpus.encode(train, tokenize, tokenizer.get_vocab_size(), recipe.data.phrases), to / CORPUS)


def _vocabulary(recipe: Recipe, start: str | None, train: list[Line]) -> bytes:
    if start is not None:
        path = _pieces_of(start)
        return path.read_bytes() if path.name == TOKENIZER else from_sentencepiece(path.read_bytes()).encode()
    tqdm.write(f"learning {recipe.vocabulary.size:,} pieces from {len(train):,} lines", file=sys.stderr)
    return from_sentencepiece(vocabulary.train(train, recipe.vocabulary, recipe.seed)).encode()


# -- weights --


def _go_on(recipe: Recipe, start: str, taught_by: Table | None, text: Corpus) -> Encoder:
    """A checkpoint, perhaps with its teacher's rows in some columns of its table, perhaps larger."""
    opened = xlmr.checkpoint.open(start)
    loop.tell_unpacked(opened)
    encoder = load(opened)
    if taught_by is not None:
        counts = np.bincount(text.tokens, minlength=encoder.config.vocabulary)
        teaching.seat(encoder, taught_by, counts, recipe.teacher.columns, recipe.teacher.share)
    return growing.grow(encoder, recipe.growth, recipe.seed)


def _make_static(recipe: Recipe, config: Config, text: Corpus) -> Encoder:
    """Random layers on a table of static vectors."""
    torch.manual_seed(recipe.seed)
    encoder = build(config)
    loop.follow(static.start(text, config, encoder, recipe.static, recipe.seed), "static vectors", recipe.static.steps)
    return encoder


def _make_start(recipe: Recipe, vectors: Path, text: Corpus, pieces: Pieces) -> Encoder:
    """The static vectors, with columns for languages and positions and a first layer that knows its neighbours."""
    encoder = load(xlmr.checkpoint.open(vectors))
    spare = neighbours.columns(encoder.config, recipe.neighbours.positions) if recipe.neighbours.steps else 0
    static.tell_languages(encoder, text, recipe.static.languages, spare)
    _set_head(encoder, text)
    if recipe.neighbours.steps:
        loop.follow(neighbours.learn(encoder, text, pieces, recipe.neighbours, recipe.seed), "first layer", recipe.neighbours.steps)
    return encoder


@torch.no_grad()
def _set_head(encoder: Encoder, text: Corpus) -> None:
    """Scores of about unit spread around the pieces' frequencies: the first steps then have little to undo."""
    assert encoder.head is not None
    size = encoder.config.vocabulary
    counts = np.bincount(text.tokens, minlength=size) + 1.0
    encoder.head.norm.weight.fill_(1 / float(encoder.output_table()[0].norm(dim=1).mean()))
    encoder.head.bias.copy_(torch.from_numpy(np.log(counts / counts.sum()) - np.log(1 / size)))


def _pieces_of(start: str) -> Path:
    """The file of a checkpoint's tokenizer."""
    folder = xlmr.checkpoint.open(start).folder
    return folder / xlmr.tokenizer.file(folder)


def _weights_of(start: str) -> str:
    """What a checkpoint's weights are, whatever their files are called."""
    return ",".join(_hash(path) for path in sorted({stored.file for stored in xlmr.checkpoint.open(start).stored.values()}))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
