"""A model whose weights are integers, as one of the floats that they stand for: what is exported of it, and what that is held against.

Our own runtimes compute with the integers, or some of them do; other programs are given floats, which answer a little otherwise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint, SavedHead, attachments, sentences
from xlmr.checkpoint.attachments import Attachment
from xlmr.checkpoint.folder import TOKENIZER
from xlmr.export.answers import MASKS
from xlmr.export.beside import Weights

FIT = "xlmr fit"


@contextmanager
def widened(of: Checkpoint, output: Path) -> Iterator[Checkpoint]:
    """The model as it is, or, where it is quantized, in float32, in a folder beside `output`, where there is room, that is gone at the end.

    What was fitted to it is said to be fitted to the floats. Raises BadCheckpoint where that is broken, or of another encoder.
    """
    if not of.quantized:
        yield of
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        folder = Path(temporary) / "model"
        checkpoint.save(folder, of.config, Weights(of, MASKS), tokenizer=of.folder / TOKENIZER, head=_head(of))
        made = checkpoint.open(folder)
        encoder = attachments.fingerprint(made)
        for name, held in _fitted(of).items():
            attachments.write(folder, name, held, encoder)
        sentences.copy(of.folder, of.config, folder)
        yield made


def _head(of: Checkpoint) -> SavedHead | None:
    if of.task is None:
        return None
    return SavedHead(of.task.architecture, of.task.labels, checkpoint.head_weights(of), of.config.problem)


def _fitted(of: Checkpoint) -> dict[str, Attachment]:
    return {name: attachments.read(of, name, FIT) for name in attachments.names(of.folder)}
