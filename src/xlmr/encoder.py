"""A checkpoint, its tokenizer and a runtime together: texts to hidden states and MLM logits, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from xlmr import batching, checkpoint, runtimes, tokenizer
from xlmr.checkpoint import sentences
from xlmr.checkpoint.attachments import Attachments
from xlmr.checkpoint.finetuned import Head
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.vectors import Recipe
from xlmr.limits import CHARACTERS, THREADS, whole
from xlmr.runtimes import Runtime
from xlmr.tokenizer import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model ready to run."""

    config: Config
    tokenizer: Tokenizer
    runtime: Runtime
    recipe: Recipe = field(default_factory=Recipe)
    """How it makes one vector of a text."""
    attachments: Attachments | None = None
    """What was fitted for it and lies beside its weights; None where it comes from no folder."""
    head: Head | None = None
    """What it was fine-tuned for; None where it was not, or where its head is not known."""


def load(
    source: str | PathLike[str] | None = None, *, runtime: str = "onnx", threads: int | None = None, revision: str | None = None
) -> Encoder:
    """The model at `source`: a folder, a hub id, or nothing for the small one inside the package.

    `runtime` is of `runtimes.NAMES`; `threads` None leaves their number to it. Raises what `checkpoint.open`, `tokenizer.open` and
    `runtimes.start` raise, and BadCheckpoint where config and vocabulary contradict each other.
    """
    threads = None if threads is None else whole("threads", threads, THREADS)
    found = checkpoint.open(source, revision=revision)
    pieces = tokenizer.open(found.folder)
    for name, ours, theirs in (
        ("vocab_size", found.config.vocabulary, pieces.size),
        ("pad_token_id", found.config.pad_id, pieces.pad_id),
        ("bos_token_id", found.config.bos_id, pieces.bos_id),
        ("eos_token_id", found.config.eos_id, pieces.eos_id),
    ):
        if ours != theirs:
            file = tokenizer.file(found.folder)
            raise BadCheckpoint(f"{found.folder}: {name} is {ours} in config.json and {theirs} in {file}; are both of this model?")
    recipe = sentences.read(found.folder, found.config)
    head = Head(found.task) if found.task else None
    return Encoder(found.config, pieces, runtimes.start(found, runtime, threads=threads), recipe, Attachments(found), head)


def encode(encoder: Encoder, text: str, *, cut: int | None = None) -> Encoding:
    """The ids of a text that the model can take whole; `cut` takes its first tokens, that many, `<s>` and `</s>` among them.

    Raises BadInput where it is too long or no text.
    """
    if cut is not None:
        return encoder.tokenizer.encode(bounded(text), longest=cut)
    longest = encoder.config.longest
    encoding = encoder.tokenizer.encode(bounded(text), longest=longest + 1)
    if len(encoding.ids) > longest:
        raise BadInput(f"the text has more than {longest} tokens (its {len(text):,} characters), and this model takes no more; split it")
    return encoding


def bounded(text: str) -> str:
    """The text itself, seen before anything is done with it. Raises BadInput where it is longer than any that is taken, or no text."""
    if isinstance(text, str) and len(text) > CHARACTERS:
        raise BadInput(f"the text has {len(text):,} characters, and at most {CHARACTERS:,} are taken; split it")
    return tokenizer.check(text)


def hidden_states(encoder: Encoder, texts: Iterable[str], layers: Sequence[int] = (-1,)) -> Iterator[list[np.ndarray]]:
    """For each text, in order, the states after each asked layer: float32 `[tokens, width]`, `<s>` first and `</s>` last.

    Layer 0 is the embeddings, -1 the last. Texts are read a window at a time.
    """

    def answer(batch: list[Encoding]) -> list[list[np.ndarray]]:
        rows = [encoding.ids for encoding in batch]
        states = encoder.runtime.hidden_states(pad(rows, encoder.config.pad_id), layers)
        return [[of_layer[i, : len(row)] for of_layer in states] for i, row in enumerate(rows)]

    return batching.run((encode(encoder, text) for text in texts), lambda encoding: len(encoding.ids), answer)


def mlm_logits(encoder: Encoder, rows: Sequence[Sequence[int]], picks: Sequence[tuple[int, int]]) -> np.ndarray:
    """Logits of one batch at the picked places, (row, token) each: float32 `[picks, vocabulary]`.

    One pick of XLM-R's 250,002 pieces is a megabyte: take what you need of a batch before you ask the next.
    """
    return encoder.runtime.mlm_logits(pad(rows, encoder.config.pad_id), np.array(picks, np.int64).reshape(-1, 2))


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> np.ndarray:
    """Rows of ids side by side, int64 `[rows, longest]`."""
    ids = np.full((len(rows), max(map(len, rows), default=0)), pad_id, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return ids
