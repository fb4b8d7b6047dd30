"""Which matrices lose most when they are quantized: one at a time, with all others as they were.

What lies below a matrix's layer is computed once, and what lies above is started once for all matrices of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime as ort

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.checkpoint import Checkpoint
from xlmr.compression.agreement import EVERY
from xlmr.compression.inputs import ENDS, mixed, start
from xlmr.compression.parts import Step
from xlmr.compression.probe import Texts
from xlmr.compression.progress import Progress
from xlmr.runtimes import onnx_graph
from xlmr.tokenizer import Tokenizer

TEXTS = 48
"""That are asked: one of each language inside."""
LONGEST = 64
"""Tokens of a text that are read."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that are asked; "places" are those of the flattened ids."""

    ids: np.ndarray
    """`[batch, tokens]`."""
    real: np.ndarray
    """Places of the tokens."""
    wanted: np.ndarray
    """Places whose last states count: with an MLM head those of hidden pieces, without one all."""


def scan(
    before: Checkpoint, after: Checkpoint, names: Sequence[str], tokenizer: Tokenizer, texts: Texts, step: Step
) -> Mapping[str, float]:
    """What each of these matrices of `after` does to the answers of `before`, in the place of its own; the worst first.

    With an MLM head that is the mean divergence (Kullback-Leibler, in nats) of the predictions at hidden pieces; without one the mean
    square of what changes in the last states, as a share of theirs.
    """
    asked, layers = _batches(before, tokenizer, texts), before.config.layers
    progress = Progress(step, "matrices quantized one by one", len(names))
    head = _head(before)
    last = _run(_span(before, 0, layers), asked, None, top=True)
    truth = [_answer(head, states) for states in last]
    below = _run(_span(before, 0, 0), asked, None, top=layers == 0)
    found = {}
    for layer in range(1, layers + 1):
        here = [name for name in names if name.startswith(f"layers.{layer - 1}.")]
        above = _span(before, layer + 1, layers) if here and layer < layers else None
        for name in here:
            states = _run(_span(_with(before, after, name), layer, layer), asked, below, top=above is None)
            states = states if above is None else _run(above, asked, states, top=True)
            found[name] = _apart(truth, [_answer(head, of) for of in states], before)
            progress.add(1)
        if layer < layers:
            below = _run(_span(before, layer, layer), asked, below, top=False)
    for name in (name for name in names if name.startswith("head.")):
        found[name] = _apart(truth, [_answer(_head(_with(before, after, name)), states) for states in last], before)
        progress.add(1)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _batches(of: Checkpoint, tokenizer: Tokenizer, texts: Texts) -> list[Batch]:
    rows = []
    for text in mixed(texts)[:TEXTS]:
        row = tokenizer.encode(text, longest=min(LONGEST, of.config.longest)).ids
        row[1:-1:EVERY] = [tokenizer.mask_id] * len(row[1:-1:EVERY])
        rows += [row] if len(row) > ENDS else []
    found = []
    for batch in batching.group([*map(len, rows)]):
        ids = encoders.pad([rows[i] for i in batch], of.config.pad_id)
        real = np.flatnonzero(ids != of.config.pad_id)
        found.append(Batch(ids, real, np.flatnonzero(ids == tokenizer.mask_id) if of.has_mlm_head else real))
    return found


def _with(before: Checkpoint, after: Checkpoint, name: str) -> Checkpoint:
    """The model with one matrix of the other."""
    return replace(before, stored={**before.stored, name: after.stored[name]})


def _span(of: Checkpoint, first: int, last: int) -> ort.InferenceSession:
    """Layers from the first to the last; 0 is the embeddings."""
    return start(of, onnx_graph.encoder(of.config, of.stored, range(first, last + 1)))


def _head(of: Checkpoint) -> ort.InferenceSession | None:
    return start(of, onnx_graph.mlm_head(of.config, of.stored)) if of.has_mlm_head else None


def _run(span: ort.InferenceSession, asked: Sequence[Batch], below: Sequence[np.ndarray] | None, *, top: bool) -> list[np.ndarray]:
    """The states after a span: where they are wanted if it is the `top`, else of all tokens."""
    found = []
    for number, batch in enumerate(asked):
        feed = {"ids": batch.ids, "picks": batch.wanted if top else batch.real}
        found += span.run(None, feed if below is None else {**feed, "below": below[number]})
    return found


def _answer(head: ort.InferenceSession | None, states: np.ndarray) -> np.ndarray:
    """Logarithms of the predictions' probabilities, or the states themselves."""
    if head is None:
        return states
    logits: np.ndarray = head.run(None, {"states": states})[0]
    logits -= logits.max(1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    return logits


def _apart(truth: Sequence[np.ndarray], found: Sequence[np.ndarray], of: Checkpoint) -> float:
    """The mean of the batches."""
    if of.has_mlm_head:
        return float(np.mean([(np.exp(one) * (one - other)).sum(1).mean() for one, other in zip(truth, found, strict=True)]))
    return float(np.mean([((one - other) ** 2).mean() / (one**2).mean() for one, other in zip(truth, found, strict=True)]))
