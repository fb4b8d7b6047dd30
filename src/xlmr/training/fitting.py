"""What `xlmr fit` does: takes a model and texts, fits, and writes a folder that has both the model and what was fitted to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from xlmr import checkpoint
from xlmr import encoder as encoders
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.checkpoint.folder import CONFIG
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.tasks import calibrations, classifiers
from xlmr.training import contrast, corpus, loop, translations
from xlmr.training import languages as fits
from xlmr.training.contrast import Settings as Contrast
from xlmr.training.corpus import Corpus, Line, draw
from xlmr.training.crops import draw as drawn
from xlmr.training.languages import Plan
from xlmr.training.recipes import Data
from xlmr.training.regression import Settings

HELD_OUT = 20
"""One text in so many is held out, by its hash."""
CHECKED = 120
"""Of each class, held out, at most."""
SOURCE = "data"
MOST = 1_000_000
COPIED = ("*.json", "*.model", "*/*.json", "*/*.safetensors")
"""What of a model's folder is copied beside its weights and what was fitted to them."""


def languages(
    model: Mapping[str, Any], texts: Iterable[tuple[str, str]], output: Path, *, layer: int | None = None, count: int = 2_500, seed: int = 1
) -> Iterator[str]:
    """Fit a classifier of languages to a model, from texts with their languages, and say what was measured.

    `model` is what `xlmr.load` takes; `count` texts are drawn of each language. `output` may be the model's folder. Raises BadInput
    where the texts are too few or the output is another model's, and what opening the model raises.
    """
    opened = checkpoint.open(model["source"], revision=model["revision"])
    where = prepare(opened, output)
    lines = [(language, SOURCE, text) for language, text in texts]
    heldout = [line for line in lines if draw(line[2]) % HELD_OUT == 0]
    held = {line[2] for line in heldout}
    train = drawn((line for line in lines if line[2] not in held), {SOURCE: MOST}, count, seed)
    kinds = {text.kind for text in train}
    checked = [text for text in drawn(heldout, {SOURCE: MOST}, CHECKED, seed + 1) if text.kind in kinds]
    if not checked:
        raise BadInput(f"found {len(lines):,} texts, one in {HELD_OUT} of which is held out: none is left for that; wanted more")
    found, measured = fits.fit(encoders.load(**model), train, checked, Plan(settings=Settings(seed=seed), layer=layer))
    fill(opened, where)
    path = attachments.write(where, classifiers.NAME, classifiers.pack(found, measured), attachments.fingerprint(opened))
    yield f"{path}"
    yield from (f"  {name:20}{value:,.3f}" for name, value in measured.items() if isinstance(value, float))


def calibration(model: Mapping[str, Any], pairs: Iterable[tuple[str, str, str, str]], output: Path, settings: Contrast) -> Iterator[str]:
    """Fit a calibration of text vectors to a model, from translated texts, and say what was measured.

    `model` is what `xlmr.load` takes; each of `pairs` is a domain, a language, a text in it, and its English. `output` may be the model's
    folder. Raises BadInput where the texts are too few or the output is another model's, and what opening the model raises.
    """
    opened = checkpoint.open(model["source"], revision=model["revision"])
    where = prepare(opened, output)
    encoder = encoders.load(**model)
    calibrations.check_size(encoder.config, settings.size, settings.sequences)
    lines = dict.fromkeys(line for pair in pairs for line in translated(*pair))
    parts = corpus.split(lines, Data(heldout_ids=HELD_OUT, phrases=()))
    if not all(parts):
        raise BadInput(f"found {len(lines):,} translated texts, one in {HELD_OUT} of which is held out: none is left; wanted hundreds")
    train, heldout = (tokenised(encoder, lines) for lines in parts)
    found, measured = contrast.fit(encoder, train, translations.domains(parts[0]), heldout, settings)
    fill(opened, where)
    packed = calibrations.pack(found, measured)
    path = attachments.write(where, calibrations.NAME, packed, attachments.fingerprint(opened))
    yield f"{path}"
    yield from (f"  {name:20}{share:,.3f}" for name, share in measured["tried"].items())


def tokenised(encoder: Encoder, lines: Sequence[Line], phrases: Sequence[str] = ()) -> Corpus:
    """Lines as the model's pieces."""
    bar = tqdm(total=len(lines), desc="pieces of texts", mininterval=loop.often())

    def tokenize(texts: list[str]) -> list[list[int]]:
        bar.update(len(texts))
        return [found.ids[1:-1] for found in encoder.tokenizer.encode_batch(texts)]

    with bar:
        return corpus.encode(lines, tokenize, encoder.config.vocabulary, phrases)


def translated(domain: str, language: str, text: str, english: str) -> Iterator[Line]:
    """A pair as lines of one id; nothing of one without its English."""
    if english:
        yield Line(language, domain, english, text)
        yield Line(translations.PIVOT, domain, english, english)


def prepare(model: Checkpoint, output: Path) -> Path:
    """The folder to write to. Raises BadInput, before any work is done, where it holds something else than this model."""
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output}: is a file; wanted the model's folder, or a new one")
    if (output / CONFIG).exists():
        if attachments.fingerprint(checkpoint.open(output)) != attachments.fingerprint(model):
            raise BadInput(f"{output}: holds another model than {model.folder}; wanted that one's folder, or a new one")
    elif output.exists() and any(output.iterdir()):
        raise BadInput(f"{output}: is not empty and holds no model; wanted the model's folder, or a new one")
    return output


def fill(model: Checkpoint, output: Path) -> None:
    """Copy a model into a new folder, whole or not at all; nothing where it is there."""
    if (output / CONFIG).exists():
        return
    paths = {path for pattern in COPIED for path in model.folder.glob(pattern)}
    paths |= {attachments.path_of(model.folder, name) for name in attachments.names(model.folder)}
    paths |= {model.folder / held.file.name for held in model.stored.values() if (model.folder / held.file.name).exists()}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for path in sorted(paths):
            to = partial / path.relative_to(model.folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
        if output.exists():
            output.rmdir()  # it is empty
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
