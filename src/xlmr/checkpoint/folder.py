"""A checkpoint in a folder: the tensors of its files, found by name and held against its config."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from xlmr import config as configs
from xlmr import files, tensors
from xlmr.checkpoint import finetuned, floats, header, integers, shards
from xlmr.checkpoint.finetuned import TaskHead
from xlmr.checkpoint.header import Stored
from xlmr.checkpoint.integers import Quantized
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.tensors import ENCODER_PREFIX, HEAD_PREFIX, Tensor

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
QUANTIZED = "model-int8.safetensors"
"""A name that no other library reads, not even for a `variant` int8: it would take the integers for the numbers."""
TOKENIZER = "tokenizer.json"
HISTORY = "compression.json"
"""How a compressed model was made, step by step."""

PARAMS, SAVED_MODEL = "params.safetensors", "saved_model.pb"
"""What `xlmr export` writes for JAX and TensorFlow."""
VERSION = "1"
"""The folder of the weights where a server wants versions: Triton and TensorFlow Serving load the highest number."""

# Where weights may lie that are not read: those that `xlmr import` converts, and those that nothing converts any more.
EXPORTED = (PARAMS, SAVED_MODEL, f"{VERSION}/{SAVED_MODEL}")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt")
ABANDONED = ("tf_model.h5", "flax_model.msgpack")
INSTEAD = (*EXPORTED, *PICKLES, *ABANDONED)

# Tensors that Hugging Face's classes also store and that nothing here computes with.
EXTRAS = tuple(re.compile(pattern) for pattern in (
    r"(roberta\.)?embeddings\.(position_ids|token_type_ids)",  # counted, not learnt; written by transformers before 4.31
    r"(roberta\.)?pooler\.dense\.(weight|bias)",               # trained by nobody: XLM-R has no next-sentence task
))  # fmt: skip
BARE = ("embeddings.", "encoder.", "pooler.")
WORDS = "roberta.embeddings.word_embeddings.weight"
DECODER = "lm_head.decoder.weight"
BIAS = "lm_head.bias"
DECODER_BIAS = "lm_head.decoder.bias"

BLOCK = 1 << 22
"""Numbers compared at a time."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's files, checked: nothing of the weights is read yet."""

    folder: Path
    config: Config
    stored: Mapping[str, Stored]
    """Where each tensor lies, by our name for it (`tensors`): the encoder, and `head.*` where there is an MLM head."""
    task: TaskHead | None = None
    """What it was fine-tuned for, where its head is one that is known."""

    @property
    def has_mlm_head(self) -> bool:
        """Whether it can fill masks. A tied head has no `head.words.weight`: it uses `embeddings.words.weight`."""
        return "head.bias" in self.stored

    @property
    def quantized(self) -> bool:
        """Whether some of its weights are integers."""
        return any(isinstance(held, Quantized) for held in self.stored.values())

    @property
    def size(self) -> int:
        """Bytes of its weights, and of the scales of those that are integers."""
        found = [*self.stored.values()]
        for held in self.stored.values():
            if isinstance(held, Quantized):
                found += [held.scale] if held.input is None else [held.scale, held.input]
        return sum(held.length for held in found)


def open(folder: Path) -> Checkpoint:
    """The checkpoint in a folder, every tensor of the table found and of the config's shape, none unknown.

    Raises BadCheckpoint, or OtherArchitecture where it is another model's.
    """
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "not found"
        raise BadCheckpoint(f"{folder}: {found}; wanted a folder with {CONFIG}, {TOKENIZER} and {WEIGHTS}")
    config = configs.read(folder / CONFIG)
    file, held = _weights(folder)
    stored = _full_names(held, file)
    task = finetuned.find(config, stored, file)
    config = _settle_head(config, stored, file)
    return Checkpoint(folder, config, _match(config, stored, file), task)


def without_weights(where: str, instead: Collection[str]) -> BadCheckpoint:
    """What to say of a model without safetensors, which has the files `instead`."""
    if exported := [name for name in instead if name in EXPORTED]:
        return BadCheckpoint(
            f"{where}: found {', '.join(exported)}, which `xlmr export` writes for other frameworks, wanted {WEIGHTS}; "
            f"bring it back: xlmr import FOLDER --output NEW"
        )
    if pickles := [name for name in instead if name in PICKLES]:
        return BadCheckpoint(
            f"{where}: found {', '.join(pickles)}, wanted {WEIGHTS}. Opening a pickle can run any code in it, so it is not opened here; "
            f"convert it, in a process of its own that lets no code run: xlmr import FOLDER --output NEW"
        )
    if instead:
        return BadCheckpoint(f"{where}: found {', '.join(instead)}, which no library of today reads; wanted {WEIGHTS}")
    return BadCheckpoint(f"{where}: {WEIGHTS} not found; a checkpoint is a folder with {files.WANTED}")


def _weights(folder: Path) -> tuple[Path, dict[str, Stored]]:
    """The file that says which tensors there are, one file of weights or the index of several, and the tensors.

    Where floats and integers lie side by side the model is the floats, as for every other library.
    """
    for name, read in ((WEIGHTS, header.read), (shards.INDEX, shards.read), (QUANTIZED, header.read)):
        if (folder / name).is_file():
            return folder / name, read(folder / name)
    raise without_weights(str(folder), [name for name in INSTEAD if (folder / name).exists()])


def _full_names(held: Mapping[str, Stored], file: Path) -> dict[str, Stored]:
    """The tensors by their Hugging Face names; an encoder saved alone drops the prefix."""
    full: dict[str, Stored] = {}
    for name, stored in held.items():
        whole = ENCODER_PREFIX + name if name.startswith(BARE) else name
        if whole in full:
            raise BadCheckpoint(f"{file}: has both {name.removeprefix(ENCODER_PREFIX)} and {whole}, two names of one tensor")
        full[whole] = stored
    return full


def _settle_head(config: Config, found: dict[str, Stored], file: Path) -> Config:
    """Keep of an MLM head what it computes with, and say whether it is really tied.

    As transformers 5.23 has it: a tied pair of which one name is stored is that one; a pair of which both are stored, and
    differ, is not tied, whatever the config says; the bias that counts is the decoder's. (One difference: an untied head
    without the decoder's bias has `lm_head.bias`, as transformers 4 wrote and read it, where 5.23 starts from zeros.)
    """
    if DECODER_BIAS in found:
        found[BIAS] = found.pop(DECODER_BIAS)
    if not config.tied or DECODER not in found:
        return config
    if WORDS not in found or _equal(found[WORDS], found[DECODER], file):
        decoder = found.pop(DECODER)
        found.setdefault(WORDS, decoder)
        return config
    return replace(config, tied=False)


def _match(config: Config, found: dict[str, Stored], file: Path) -> dict[str, Stored]:
    """The tensors of the table by our names; what is missing, misshapen or not in the table is an error."""
    wanted = list(tensors.encoder(config))
    if any(name.startswith(HEAD_PREFIX) for name in found):
        wanted += tensors.mlm_head(config)
    missing = [tensor.hf for tensor in wanted if tensor.hf not in found]
    if missing:
        raise BadCheckpoint(f"{file}: {_some(missing)} missing, of {len(wanted)} that {_described(config)} has")
    found = {**found, **{tensor.hf: _joined(tensor, found, config, file) for tensor in wanted}}
    for tensor in wanted:
        _check(tensor, found[tensor.hf], config, file)
    whole = [tensor.hf for tensor in wanted if isinstance(found[tensor.hf], Quantized)]
    unknown = found.keys() - {tensor.hf for tensor in wanted} - {name for own in whole for name in scales(own)}
    surplus = sorted(name for name in unknown if not _tolerated(name, config))
    if surplus:
        raise BadCheckpoint(f"{file}: {_some(surplus)} unknown to {_described(config)}, as {CONFIG} has it; is it of this model?")
    return {tensor.name: found[tensor.hf] for tensor in wanted}


def scales(name: str) -> tuple[str, str]:
    """The names under which a quantized tensor's scales lie: its own, and that of what it is multiplied with."""
    return name + integers.SCALE, f"{name.rpartition('.')[0]}.{integers.INPUT}"


def _joined(tensor: Tensor, found: Mapping[str, Stored], config: Config, file: Path) -> Stored:
    """A tensor as it is stored, and where that is as integers, with its scales. Raises BadCheckpoint where they do not fit each other."""
    own, inputs = scales(tensor.hf)
    held, scale, fixed = found[tensor.hf], found.get(own), found.get(inputs)
    if scale is None:
        return held
    shape = tensor.shape(config)
    layout = "columns" if held.dtype == "I8" else "rows" if len(held.shape) == 2 else "blocks"
    bits = 4 if layout == "blocks" and held.length * 2 == prod(shape) else 8
    wanted = integers.shapes(layout, shape, bits) if len(shape) == 2 and held.dtype in ("I8", "U8") else None
    if wanted != (held.shape, scale.shape) or scale.dtype not in floats.HELD or (layout == "rows") != (tensor.axes[0] in tensors.TABLES):
        raise BadCheckpoint(f"{file}: {tensor.hf} is {held.dtype} {held.shape} with scales {scale.shape}, which is no {shape} quantized")
    if fixed and (layout != "columns" or fixed.shape != () or fixed.dtype != "float32"):
        raise BadCheckpoint(f"{file}: {inputs} is {fixed.dtype} {fixed.shape}, wanted one number for a matrix of int8")
    return Quantized(
        held.file, held.offset, held.length, f"int{bits}", shape, held.seen, layout=layout, held=held.shape, scale=scale, input=fixed
    )


def _check(tensor: Tensor, stored: Stored, config: Config, file: Path) -> None:
    shape = tensor.shape(config)
    if stored.shape != shape:
        raise BadCheckpoint(
            f"{file}: {tensor.hf} has shape {stored.shape}, {CONFIG} wants {shape} ({', '.join(tensor.axes)}); is it of this model?"
        )
    if stored.dtype not in floats.HELD and not isinstance(stored, Quantized):
        raise BadCheckpoint(f"{file}: {tensor.hf} is stored as {stored.dtype}, wanted one of {', '.join(floats.HELD)}")


def _tolerated(name: str, config: Config) -> bool:
    named = [task for task in config.architectures if task in tensors.TASK_HEADS] if config.architectures else tensors.TASK_HEADS
    starts = tuple({tensor.hf.partition(".")[0] + "." for task in named for tensor in tensors.task_head(task)})
    return name.startswith(starts) or any(pattern.fullmatch(name) for pattern in EXTRAS)


def _equal(one: Stored, other: Stored, file: Path) -> bool:
    """Whether two tensors hold the same numbers."""
    known = one.dtype in floats.HELD and other.dtype in floats.HELD
    return known and one.shape == other.shape and all(map(np.array_equal, _blocks(one, file), _blocks(other, file)))


def _blocks(stored: Stored, file: Path) -> Iterator[np.ndarray]:
    for begin in range(0, int(np.prod(stored.shape)), BLOCK):
        yield numbers(stored, begin, BLOCK)


def numbers(stored: Stored, begin: int = 0, count: int = -1) -> np.ndarray:
    """A flat run of a tensor's numbers, in float32: `count` of them from `begin`, or all."""
    if isinstance(stored, Quantized):
        whole = integers.numbers(
            raw(stored).reshape(stored.held), raw(stored.scale).reshape(stored.scale.shape), stored.layout, stored.shape
        ).reshape(-1)
        return whole[begin:] if count < 0 else whole[begin : begin + count]
    return floats.widen(raw(stored, begin, count), stored.dtype)


def raw(stored: Stored, begin: int = 0, count: int = -1) -> np.ndarray:
    """A flat run of what a file holds of a tensor, as NumPy holds its bytes: of one that is quantized, the integers."""
    held = integers.HELD[stored.layout] if isinstance(stored, Quantized) else floats.HELD[stored.dtype]
    total = stored.length // held.itemsize
    count = total - begin if count < 0 else min(count, total - begin)
    try:
        with stored.file.open("rb") as file:
            stored.check(os.fstat(file.fileno()))
            read = np.fromfile(file, held, count, offset=stored.offset + begin * held.itemsize)
    except OSError as error:
        raise BadCheckpoint(f"{stored.file}: cannot be read ({error.strerror})") from None
    if len(read) < count:
        raise BadCheckpoint(f"{stored.file}: is not as it was when it was opened; it must not change while a model uses it")
    return read


def _some(names: Iterable[str]) -> str:
    """The first few of many names, with a verb: `a, b and 7 more are`."""
    named = [files.shown(name) for name in names]
    rest = len(named) - 3
    return ", ".join(named[:3]) + (f" and {rest} more are" if rest > 0 else " is" if len(named) == 1 else " are")


def _described(config: Config) -> str:
    return f"a {'tied' if config.tied else 'not tied'} XLM-R of {config.layers} layers"
