"""Models in other formats, made folders of ours: pickles of PyTorch and fairseq, what was exported to JAX and TensorFlow, and what lies
beside them.

Opening a pickle can run code. So it is opened by a process of its own (`unpickling`), whose unpickler builds nothing but tensors and plain
values, whose memory is limited, and which is ended when it takes too long; what it wrote is then read as any safetensors file is, and held
against the config. The folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from xlmr import config as configs
from xlmr import files, tensors, tokenizer
from xlmr.checkpoint import attachments, fairseq, folder, frameworks, header, sentences, shards
from xlmr.checkpoint.finetuned import SavedHead
from xlmr.checkpoint.folder import CONFIG, EXPORTED, SAVED_MODEL, TOKENIZER, VERSION, WEIGHTS
from xlmr.checkpoint.replacing import TOKENIZER_CONFIG, replacing
from xlmr.checkpoint.saving import tokenizer_config, write_json, write_weights
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput, MissingExtra, XlmrError
from xlmr.limits import IMPORT_MEMORY, IMPORT_SECONDS
from xlmr.tokenizer import SENTENCEPIECE
from xlmr.tokenizer.vocabulary import FIRST, Vocabulary, dump

PICKLED = "pytorch_model.bin"
FOUND = (WEIGHTS, shards.INDEX, *EXPORTED, PICKLED, f"{PICKLED}.index.json", "model.pt")
"""What a folder's weights may be, the first that is there."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
DICTIONARY = "dict.txt"
LARGEST_DICTIONARY = 1 << 26
SLACK = 1 << 20
"""Bytes of header that a file may have beyond twice the pickle's: tied weights lie in it once and may be written twice."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What opening one pickle may take."""

    memory: int | None = None
    """Bytes beyond what the process has before it opens anything; None: three times the files' size and a gigabyte."""
    seconds: float = IMPORT_SECONDS


def convert(source: str | PathLike[str], output: str | PathLike[str], *, bounds: Bounds | None = None) -> Path:
    """Make a folder that everything else here reads, and give it: `config.json`, `tokenizer.json`, `model.safetensors`.

    `source` is a file of weights or the folder of one: `pytorch_model.bin`, its index where there are several, fairseq's `model.pt`,
    safetensors, or what `xlmr export` made for JAX or TensorFlow, which comes back bit for bit; beside it lie `tokenizer.json` or
    `sentencepiece.bpe.model`, and, but for fairseq's, `config.json`. A head of a task comes along, and so do the files of
    sentence-transformers.

    Raises BadCheckpoint where a file is missing, broken, malicious, too large for the bounds or too slow, MissingExtra where a pickle
    needs PyTorch, BadInput where `output` may not be replaced or this system cannot limit a process.
    """
    weights = _weights(Path(source).expanduser())
    served = weights.name == SAVED_MODEL and weights.parent.name == VERSION and not (weights.parent / CONFIG).exists()
    place = weights.parent.parent if served else weights.parent
    with replacing(Path(os.path.realpath(output))) as new:
        try:
            _convert(weights, place, new, bounds or Bounds())
            _check(new)
        except XlmrError as error:
            raise type(error)(str(error).replace(str(new), str(place))) if not isinstance(error, MissingExtra) else error from None
    return Path(output)


def _weights(source: Path) -> Path:
    if source.is_dir():
        found = next((source / name for name in FOUND if (source / name).is_file()), None)
        if found is None:
            raise BadCheckpoint(f"{source}: has no weights; wanted one of {', '.join(FOUND)}")
        return found
    if not source.is_file():
        raise BadCheckpoint(f"{source}: not found; wanted a file of weights, or the folder of one")
    if source.name == SENTENCEPIECE:
        return _weights(source.parent)
    if not source.name.endswith((*PICKLES, *(f"{suffix}.index.json" for suffix in PICKLES))) and source.name not in FOUND:
        raise BadCheckpoint(f"{source}: is of no kind that is imported; wanted {', '.join(FOUND)}, or a name in {', '.join(PICKLES)}")
    return source


def _convert(weights: Path, place: Path, new: Path, bounds: Bounds) -> None:
    if weights.name in frameworks.READERS:
        arguments, config = None, _from_framework(weights, place, new)
    else:
        arguments = _copy_or_open(weights, new, bounds)
        config = _config(arguments, weights, new)
    vocabulary = tokenizer.open(place).vocabulary
    if arguments is not None and (place / DICTIONARY).exists():
        check_dictionary(place / DICTIONARY, vocabulary)
    if tokenizer.file(place) == SENTENCEPIECE:
        (new / TOKENIZER).write_text(dump(vocabulary), encoding="utf-8")
    else:
        shutil.copyfile(files.locate(place / TOKENIZER), new / TOKENIZER)
    write_json(new / TOKENIZER_CONFIG, tokenizer_config(config))
    _copy_sentences(place, new, bounds)


def _from_framework(weights: Path, place: Path, new: Path) -> Config:
    """Put weights that were exported into the new folder, and beside them the config and what was fitted to the model."""
    config, held = configs.read(place / CONFIG), frameworks.READERS[weights.name](weights, place)
    task = {name: array for name, array in held.items() if name.startswith("task.")}
    others = {name: array for name, array in held.items() if name not in task}
    kind = next((name for name in config.architectures if name in tensors.TASK_HEADS), None)
    head = SavedHead(kind, config.labels, task) if kind else None
    write_weights(new / WEIGHTS, config, others, "float32", head)
    for name in (CONFIG, *(attachments.path_of(place, name).name for name in attachments.names(place))):
        shutil.copyfile(files.locate(place / name), new / name)
    return config


def _copy_or_open(weights: Path, new: Path, bounds: Bounds) -> dict[str, Any] | None:
    """Put the weights into the new folder, as safetensors; gives fairseq's arguments where they are fairseq's."""
    suffix = next((suffix for suffix in PICKLES if weights.name.endswith((suffix, f"{suffix}.index.json"))), None)
    if suffix is None:
        parts = [*dict.fromkeys(shards.parse(weights).values())] if weights.name == shards.INDEX else []
        for name in (weights.name, *parts):
            shutil.copyfile(files.locate(weights.parent / name), new / name)
        return None
    if weights.name.endswith(".json"):
        opened = [weights.parent / name for name in dict.fromkeys(shards.parse(weights, suffix).values())]
    else:
        opened = [weights]
    return unpickle(opened, weights.parent, new / WEIGHTS, bounds)


def unpickle(pickles: list[Path], place: Path, output: Path, bounds: Bounds) -> dict[str, Any] | None:
    """Write the tensors of a model's pickles as safetensors, in a process of its own; gives fairseq's arguments where they are fairseq's.

    `place` is the model's folder, which they may not be links out of.
    """
    if not sys.platform.startswith("linux"):
        raise BadInput("a pickle is opened only by a process with a limit on its memory, and this system sets none; import it on Linux")
    if find_spec("torch") is None:
        raise MissingExtra("train", "opening a pickle")
    for path in pickles:
        if not path.is_file():
            raise BadCheckpoint(f"{path}: not found, and its index says that weights are in it")
    real = [files.locate(path, place) for path in pickles]
    size = sum(path.stat().st_size for path in real)
    memory = 3 * size + IMPORT_MEMORY if bounds.memory is None else bounds.memory
    request = {"files": [str(path) for path in real], "output": str(output), "memory": memory, "most": 2 * size + SLACK}
    answer = _ask(request, pickles[0], bounds.seconds)
    if "missing" in answer:
        raise MissingExtra("train", "opening a pickle", answer["missing"])
    if "error" in answer:
        raise BadCheckpoint(f"{pickles[0]}: {answer['error']}; nothing was imported")
    arguments: dict[str, Any] | None = answer["arguments"]
    return arguments


def _ask(request: dict[str, Any], name: Path, seconds: float) -> dict[str, Any]:
    """What the other process answers. It is ended, and all it may have started, however this ends."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "xlmr.checkpoint.unpickling"]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment, start_new_session=True, text=True) as process:
        try:
            out, _ = process.communicate(json.dumps(request), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise BadCheckpoint(
                f"{name}: took longer than {seconds:g} seconds to open; nothing was imported. Allow more with --timeout"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        raise BadCheckpoint(
            f"{name}: the process that opened it ended with {process.returncode} and no answer; nothing was imported"
        ) from None
    return answer


def _config(arguments: dict[str, Any] | None, weights: Path, new: Path) -> Config:
    """The config, written: fairseq's from its arguments, any other's as it is."""
    if arguments is None:
        config = configs.read(weights.parent / CONFIG)
        shutil.copyfile(files.locate(weights.parent / CONFIG), new / CONFIG)
        return config
    stored = header.read(new / WEIGHTS)
    try:
        config = fairseq.config(arguments, {name: of.shape for name, of in stored.items()})
    except BadCheckpoint as error:
        raise type(error)(f"{weights}: {error}") from None
    write_json(new / CONFIG, configs.dump(config, next(iter(stored.values())).dtype))
    return config


def check_dictionary(path: Path, vocabulary: Vocabulary) -> None:
    """Raises BadCheckpoint unless a `dict.txt` of fairseq has the vocabulary's pieces in its order.

    fairseq numbers pieces by that list; with another order, every text would be read as another one.
    """
    lines = files.read(path, LARGEST_DICTIONARY).split("\n")
    pieces = [line.rpartition(" ")[0] for line in lines if line]
    known = [piece for piece, _ in vocabulary.pieces[len(FIRST) : -1]]
    if pieces != known:
        first = next((i for i, (one, other) in enumerate(zip(pieces, known, strict=False)) if one != other), min(len(pieces), len(known)))
        raise BadCheckpoint(
            f"{path}: has {len(pieces):,} pieces, the vocabulary beside it {len(known):,} besides the special ones, and they differ "
            f"from number {first} on; are both of this model?"
        )


def _copy_sentences(place: Path, new: Path, bounds: Bounds) -> None:
    """The files of sentence-transformers, a dense layer's pickle opened as the weights are."""
    listed = place / sentences.MODULES
    if not listed.exists():
        return
    for name in (sentences.MODULES, *sentences.SETTINGS, *sentences.needed(listed)):
        old = place / name
        pickled = old.with_name(PICKLED)
        (new / name).parent.mkdir(exist_ok=True)
        if old.is_file():
            shutil.copyfile(files.locate(old, place), new / name)
        elif old.name == WEIGHTS and pickled.is_file():
            unpickle([pickled], place, new / name, bounds)


def _check(new: Path) -> None:
    """Whether what was made is a checkpoint, its vocabulary among it."""
    opened, pieces = folder.open(new), tokenizer.open(new)
    if opened.config.vocabulary != pieces.size:
        raise BadCheckpoint(
            f"{new}: the weights have {opened.config.vocabulary:,} pieces and the vocabulary {pieces.size:,}; are both of this?"
        )
    sentences.read(new, opened.config)
