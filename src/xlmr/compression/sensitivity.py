"""Which matrices lose most when they are quantized: one at a time, with all others as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from xlmr import batching, runtimes
from xlmr import encoder as encoders
from xlmr.checkpoint import Checkpoint
from xlmr.compression.agreement import EVERY
from xlmr.compression.inputs import ENDS, mixed
from xlmr.compression.parts import Step
from xlmr.compression.probe import Texts
from xlmr.compression.progress import Progress
from xlmr.runtimes import Runtime
from xlmr.tokenizer import Tokenizer

TEXTS = 48
"""That are asked: one of each language inside."""
LONGEST = 64
"""Tokens of a text that are read."""

Question = tuple[np.ndarray, np.ndarray]
"""Ids `[batch, tokens]`, and the hidden places among them, `[places, 2]`."""


def scan(
    before: Checkpoint, after: Checkpoint, names: Sequence[str], tokenizer: Tokenizer, texts: Texts, step: Step
) -> Mapping[str, float]:
    """What each of these matrices of `after` does to the answers of `before`, in the place of its own; the worst first.

    With an MLM head that is the mean divergence (Kullback-Leibler, in nats) of the predictions at hidden pieces; without one the mean
    square of what changes in the last states, as a share of theirs.
    """
    asked = _questions(before, tokenizer, texts)
    progress = Progress(step, "matrices quantized one by one", len(names))
    truth = _answers(before, asked)
    found = {}
    for name in names:
        with_one = replace(before, stored={**before.stored, name: after.stored[name]})
        found[name] = float(np.mean([_apart(one, other, before) for one, other in zip(truth, _answers(with_one, asked), strict=True)]))
        progress.add(1)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _questions(of: Checkpoint, tokenizer: Tokenizer, texts: Texts) -> list[Question]:
    rows = []
    for text in mixed(texts)[:TEXTS]:
        row = tokenizer.encode(text, longest=min(LONGEST, of.config.longest)).ids
        row[1:-1:EVERY] = [tokenizer.mask_id] * len(row[1:-1:EVERY])
        rows += [row] if len(row) > ENDS else []
    found = []
    for batch in batching.group([*map(len, rows)]):
        ids = encoders.pad([rows[i] for i in batch], of.config.pad_id)
        found.append((ids, np.argwhere(ids == tokenizer.mask_id)))
    return found


def _answers(of: Checkpoint, asked: Sequence[Question]) -> list[np.ndarray]:
    runtime = runtimes.start(of)
    return [_answer(of, runtime, ids, places) for ids, places in asked]


def _answer(of: Checkpoint, runtime: Runtime, ids: np.ndarray, places: np.ndarray) -> np.ndarray:
    if not of.has_mlm_head:
        states: np.ndarray = runtime.hidden_states(ids)[0][ids != of.config.pad_id]
        return states
    logits = runtime.mlm_logits(ids, places)
    logits -= logits.max(1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(1, keepdims=True))
    return logits


def _apart(one: np.ndarray, other: np.ndarray, of: Checkpoint) -> float:
    if of.has_mlm_head:
        return float((np.exp(one) * (one - other)).sum(1).mean())
    return float(((one - other) ** 2).mean() / (one**2).mean())
