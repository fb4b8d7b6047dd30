"""A model taken apart, to be changed and written anew: its sizes, its weights, its head, and what was fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from xlmr import checkpoint, tokenizer
from xlmr.checkpoint import Checkpoint, SavedHead, attachments, floats, folder, saving, sentences
from xlmr.checkpoint.attachments import Attachment
from xlmr.checkpoint.folder import BLOCK, TOKENIZER, WEIGHTS
from xlmr.config import Config
from xlmr.errors import BadInput

FIT = "xlmr fit"

Step = Callable[[str], object]
"""Is told what is done next."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a checkpoint folder is made of. Take one with `take`, change it with `dataclasses.replace`, write it with `put`."""

    source: Checkpoint
    """Where all of it comes from, and what is not named here, as the files of sentence-transformers."""
    config: Config
    weights: Mapping[str, np.ndarray]
    """Float32 by our names, each read when it is asked for: the encoder's, and the MLM head's where it has one and no other."""
    dtype: str
    """In which they are to be stored: that of the word embeddings."""
    head: SavedHead | None
    """Of a fine-tuned model, without its attachments."""
    attachments: Mapping[str, Attachment]
    """Those of the head and of the encoder alike, by name."""
    vocabulary: str | None = None
    """A new `tokenizer.json`; None leaves it as it is."""


class Read(Mapping[str, np.ndarray]):
    """A checkpoint's weights, float32 by our names, each read when it is asked for."""

    def __init__(self, of: Checkpoint, names: list[str]) -> None:
        self._of, self._names = of, names

    def __getitem__(self, name: str) -> np.ndarray:
        return checkpoint.read(self._of, name)

    def rows(self, name: str, wanted: np.ndarray) -> np.ndarray:
        """Some rows of a tensor, float32; of the others, where they are floats, no more is in memory than a block of them."""
        stored = self._of.stored[name]
        if stored.dtype not in floats.HELD:
            kept: np.ndarray = self[name][wanted]
            return kept
        count, width = stored.shape[0], prod(stored.shape[1:])
        found = np.empty((len(wanted), *stored.shape[1:]), np.float32)
        step = max(1, BLOCK // width)
        for begin in range(0, count, step):
            end = min(count, begin + step)
            here = (wanted >= begin) & (wanted < end)
            block = folder.numbers(stored, begin * width, (end - begin) * width).reshape(end - begin, *stored.shape[1:])
            found[here] = block[wanted[here] - begin]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def take(of: Checkpoint) -> Parts:
    """A checkpoint, taken apart. Raises BadInput where it is quantized, BadCheckpoint where an attachment is broken."""
    if of.quantized:
        raise BadInput(f"{of.folder}: is quantized, which comes last; compress the model that it was made of, and quantize that")
    head = None
    if of.task:
        head = SavedHead(of.task.architecture, of.task.labels, checkpoint.head_weights(of), of.config.problem)
    names = [name for name in of.stored if head is None or not name.startswith("head.")]
    fitted = {name: attachments.read(of, name, FIT) for name in attachments.names(of.folder)}
    return Parts(of, of.config, Read(of, names), of.stored["embeddings.words.weight"].dtype, head, fitted)


def put(parts: Parts, new: Path) -> None:
    """Write a whole checkpoint into an empty folder. What was fitted to the old encoder is said to be fitted to the new one."""
    describe(parts, new)
    saving.write_weights(new / WEIGHTS, parts.config, parts.weights, parts.dtype, parts.head)
    attach(parts, new)


def describe(parts: Parts, new: Path) -> None:
    """Write what lies beside the weights and depends on none of them: the config, the tokenizer, how vectors of texts are made."""
    saving.describe(new, saving.named(parts.config, parts.weights, parts.head), parts.dtype)
    if parts.vocabulary is None:
        tokenizer.copy(parts.source.folder, new / TOKENIZER)
    else:
        (new / TOKENIZER).write_text(parts.vocabulary, encoding="utf-8")
    sentences.copy(parts.source.folder, parts.source.config, new)


def attach(parts: Parts, new: Path) -> None:
    """Write the attachments beside weights that are there."""
    if parts.attachments:
        of = attachments.fingerprint(checkpoint.open(new))
        for name, attachment in parts.attachments.items():
            attachments.write(new, name, attachment, of)
