"""Several processes that answer side by side, each with a model of its own; their answers come in the order of the texts.

The processes share the weights' file in memory, and each has working memory of its own. No more than two parcels of texts for each
process are under way, so memory is bounded however long the input is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread
from typing import Any

from xlmr.batching import Pause
from xlmr.cli.jobs import Asked, Job, S, Shown
from xlmr.errors import BadInput, XlmrError
from xlmr.tasks.answers import characters

PARCEL = 256
"""Texts sent to a process at once, at most."""
HEAVIEST = 100_000
"""Characters of text sent to a process at once, about. What comes back can be a thousand times as much: so many fillings of each text."""
AHEAD = 2
"""Parcels under way for each process: one that it works on, one that waits."""

Parcel = list[Asked | BadInput]


def threads(workers: int) -> int:
    """Processor threads for each of so many processes: the processors there are, divided among them."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors // workers)


def run(job: Job[S], workers: int) -> Shown[S]:
    """What answers texts in so many processes. Raises what the job raises, and XlmrError where a process ended before its time."""
    return lambda texts: _run(job, texts, workers)


def _run(job: Job[S], texts: Iterable[Asked | BadInput | Pause], workers: int) -> Iterator[S | BadInput]:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of ONNX Runtime hold
    pool = ProcessPoolExecutor(workers, context, _start, (job,))
    waiting: deque[Future[list[S | BadInput]]] = deque()
    try:
        for parcel in parcels(texts):
            if parcel:
                with _interrupts_held():
                    waiting.append(pool.submit(_answer, parcel))
            while waiting and (not parcel or len(waiting) >= AHEAD * workers):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise XlmrError(
            f"one of {workers} worker processes ended before its time; was it killed for want of memory? Try fewer --workers"
        ) from None
    finally:
        for process in multiprocessing.active_children():  # what they still work on, nobody waits for
            process.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits; and a process started meanwhile never hears it, where a new Python would print what it was just importing."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def parcels(texts: Iterable[Asked | BadInput | Pause]) -> Iterator[Parcel]:
    """The texts in parcels, small ones first; an empty one where what is under way should be waited for before more is read.

    An error of the texts comes after what was read before it.
    """
    held: Parcel = []
    size, carried = 1, 0
    broken: Exception | None = None
    rest = iter(texts)
    while broken is None:
        try:
            text = next(rest)
        except StopIteration:
            break
        except Exception as error:
            broken = error
            break
        if isinstance(text, Pause):
            yield from filter(None, [held])
            yield []
            held, carried = [], 0
            continue
        held.append(text)
        carried += characters(text)
        if len(held) >= size or carried >= HEAVIEST:
            yield held
            size, held, carried = min(2 * size, PARCEL), [], 0
    yield from filter(None, [held])
    if broken is not None:
        yield []
        raise broken


_job: Job[Any]
_shown: Shown[Any] | None = None


def _start(job: Job[Any]) -> None:
    """In a process: remember what it is for. The model is loaded with the first texts, because an error here would not be told."""
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the first one ends the others
    Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    """In a process: end when the first one has, which may have been killed; the queue between them would be waited at forever."""
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os._exit(1)


def _answer(parcel: Parcel) -> list[Any]:
    """In a process: what is shown for each text."""
    global _shown
    if _shown is None:
        _shown = _job.begin()
    return list(_shown(parcel))
