"""What the linear layers of a model read when it reads texts, one layer after another, so that no more than one layer's is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.checkpoint import Checkpoint
from xlmr.compression.agreement import EVERY
from xlmr.compression.probe import Texts
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.runtimes import onnx_graph
from xlmr.runtimes.onnx import exact
from xlmr.tokenizer import Tokenizer

TOKENS = 16_384
"""Read at most: what is asked of them, second moments and largest numbers, is known by then."""
LONGEST = 128
"""Tokens of a text that are read."""
ENDS = 2
"""Tokens of a text of no pieces."""
ROUNDS = (0, EVERY // 2)
"""Each text is read twice, with other pieces hidden: first one of so many, then that."""


class Inputs:
    """What each linear layer of a checkpoint reads, float32 `[tokens, in]`, by its name, such as `layers.0.query`, `head.transform`, or
    `head.words` for the MLM head's matrix of pieces. Whoever asks for layers from below to above has each computed once.

    Raises BadCheckpoint where the model's numbers are not finite.
    """

    def __init__(self, of: Checkpoint, tokenizer: Tokenizer, texts: Texts) -> None:
        """Raises BadInput where there is no piece in the texts."""
        self._of = of
        self._batches = _batches(of, tokenizer, texts)
        self._layer = -1
        self._below: list[np.ndarray] = []
        self._read: Mapping[str, np.ndarray] = {}
        self._head: Mapping[str, np.ndarray] | None = None

    @property
    def tokens(self) -> int:
        """How many were read."""
        return sum(len(real) for _, real, _ in self._batches)

    def of(self, name: str) -> np.ndarray:
        """What one of them reads. The same array for those that read the same."""
        if name.startswith("head."):
            if self._head is None:
                self._head = self._ask_head()
            return self._head[name]
        wanted = int(name.split(".")[1]) + 1
        if wanted < self._layer:
            self._layer = -1
        while self._layer < wanted:
            self._climb()
        return self._read[name]

    def _climb(self) -> None:
        """One layer up."""
        self._read, self._layer = {}, self._layer + 1
        span = range(self._layer, self._layer + 1)
        session = start(self._of, onnx_graph.encoder(self._of.config, self._of.stored, span, watch=True))
        found = []
        for number, (ids, real, _) in enumerate(self._batches):
            below = {"below": self._below[number]} if self._layer else {}
            found.append(session.run(None, {"ids": ids, "picks": real, **below}))
        names = [of.name for of in session.get_outputs()]
        self._below = [of[names.index("states")] for of in found]
        self._read = _together(names, found)

    def _ask_head(self) -> Mapping[str, np.ndarray]:
        """At the hidden pieces alone: nowhere else is the head asked."""
        config = self._of.config
        trunk = start(self._of, onnx_graph.encoder(config, self._of.stored, range(config.layers + 1)))
        head = start(self._of, onnx_graph.mlm_head(config, self._of.stored, watch=True))
        names = [of.name for of in head.get_outputs() if of.name != "logits"]
        states = (trunk.run(None, {"ids": ids, "picks": hidden})[0] for ids, _, hidden in self._batches if len(hidden))
        return _together(names, [head.run(names, {"states": of}) for of in states])


def _batches(of: Checkpoint, tokenizer: Tokenizer, texts: Texts) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Ids with pieces hidden, the places of real tokens, and those of hidden ones, of the flattened ids."""
    rows: list[list[int]] = []
    for text in mixed(texts):
        for first in ROUNDS:
            row = tokenizer.encode(text, longest=min(LONGEST, of.config.longest)).ids
            if len(row) <= ENDS:
                break
            row[1 + first : -1 : EVERY] = [tokenizer.mask_id] * len(row[1 + first : -1 : EVERY])
            rows.append(row)
        if sum(map(len, rows)) > TOKENS:
            break
    if not rows:
        raise BadInput("there is no piece in the texts to calibrate on; wanted files with texts, or none for the sentences of xlmr")
    found = []
    for batch in batching.group([*map(len, rows)]):
        ids = encoders.pad([rows[i] for i in batch], of.config.pad_id)
        found.append((ids, np.flatnonzero(ids != of.config.pad_id), np.flatnonzero(ids == tokenizer.mask_id)))
    return found


def mixed(texts: Texts) -> list[str]:
    """One of each language, then another of each."""
    most = max(map(len, texts.values()), default=0)
    return [of[i] for i in range(most) for of in texts.values() if i < len(of)]


def _together(names: Sequence[str], found: Sequence[Sequence[np.ndarray]]) -> Mapping[str, np.ndarray]:
    read = {name: np.concatenate([of[i] for of in found]) for i, name in enumerate(names) if name != "states"}
    if not all(np.isfinite(of).all() for of in read.values()):
        raise BadCheckpoint("the model answers with numbers that are not finite; its weights are broken")
    return read


def start(of: Checkpoint, graph: ModelProto) -> ort.InferenceSession:
    """A graph of a checkpoint, ready to be asked."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    where = str(onnx_graph.folder(of.stored))
    for key, value in {**exact(of.stored), "session.model_external_initializers_file_folder_path": where}.items():
        options.add_session_config_entry(key, value)
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
