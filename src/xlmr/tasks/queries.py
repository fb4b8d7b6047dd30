"""What a task asks of a model, one place of one row at a time; asked together, in batches of about the same length.

A task that must know one answer to ask the next is a generator: it yields lists of queries and is sent their answers. Many of them are
led side by side, so that their queries fill batches together, whatever text they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

import numpy as np

from xlmr import batching
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint

R = TypeVar("R")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Query(Generic[A]):
    """What the model says at one place."""

    ids: Sequence[int]
    """A row of the model's input, `<s>` … `</s>`."""
    at: int
    """The place in it, a mask."""
    take: Callable[[np.ndarray], A]
    """What is kept of the logarithms of the probabilities there, float64 `[vocabulary]`: those of a 250,002-piece vocabulary are 2 MB."""


Search = Generator[Sequence[Query[A]], Iterator[A], R]
"""It takes every answer that it is sent, one at a time: of thousands, each with the best of a vocabulary, few need be held."""


def ask(encoder: Encoder, queries: Iterable[Query[A]]) -> Iterator[A]:
    """What each query takes, in their order. They are read a window at a time."""

    def answer(batch: list[Query[A]]) -> list[A]:
        logits = encoders.mlm_logits(encoder, [query.ids for query in batch], [(row, query.at) for row, query in enumerate(batch)])
        return [query.take(log_probabilities(there)) for query, there in zip(batch, logits, strict=True)]

    return batching.run(queries, lambda query: len(query.ids), answer, first=batching.WINDOW)


def lead(encoder: Encoder, searches: Sequence[Search[A, R]]) -> list[R]:
    """What each search comes to, step by step beside each other."""
    results: dict[int, R] = {}
    wanted: dict[int, Sequence[Query[A]]] = {}

    def step(i: int, found: Iterator[A] | None) -> None:
        try:
            wanted[i] = searches[i].send(found) if found is not None else next(searches[i])
        except StopIteration as done:
            wanted.pop(i, None)
            results[i] = done.value

    for i in range(len(searches)):
        step(i, None)
    while wanted:
        waiting = list(wanted.items())
        answers = ask(encoder, chain.from_iterable(queries for _, queries in waiting))
        for i, queries in waiting:
            step(i, islice(answers, len(queries)))
    return [results[i] for i in range(len(searches))]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax, float64, of one place's logits. Raises BadCheckpoint where they are no numbers."""
    logits = logits.astype(np.float64)
    peak = logits.max()
    if not np.isfinite(peak):
        raise BadCheckpoint("the model answers with numbers that are not finite; its weights are broken")
    logits -= peak
    logits -= np.log(np.exp(logits).sum())
    return logits


def best(log_probabilities: np.ndarray, among: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest pieces `among` some ids (int64, rising), and their logarithms: `top` at most, equals in the order of their ids."""
    scores = log_probabilities[among]
    if top < len(scores):
        near = np.flatnonzero(scores >= np.partition(scores, -top)[-top])
        among, scores = among[near], scores[near]
    order = np.argsort(-scores, kind="stable")[:top]
    return among[order], scores[order]
