"""What a command does with texts: a model, a task with its options, and how an answer looks. Small enough to be sent to another process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import xlmr
from xlmr.batching import Pause
from xlmr.cli.options import Source
from xlmr.errors import BadInput
from xlmr.texts import Line, Row

S = TypeVar("S")

Asked = str | tuple[str, ...]
"""A text, or several that are asked about together."""
Shown = Callable[[Iterable[Asked | BadInput | Pause]], Iterator[S | BadInput]]
"""Texts in, for each what is to be printed or written out, or why there is nothing."""


@dataclass(frozen=True, slots=True)
class Job(Generic[S]):
    """One command's work. Its functions are those of modules, so that it can be pickled."""

    model: Mapping[str, Any]
    """What `xlmr.load` takes."""
    task: Callable[..., Any]
    """Makes of a model and options what answers texts, such as `masks.filler`."""
    options: Mapping[str, Any]
    show: Callable[[Any, Any], S]
    """What is made of an answer to a text: a line for people, or JSON, or a row of a file."""

    def begin(self, model: xlmr.Model | None = None) -> Shown[S]:
        """Load the model, unless it is there, and check the options."""
        answer = self.task(model or xlmr.load(**self.model), **self.options)

        def shown(texts: Iterable[Asked | BadInput | Pause]) -> Iterator[S | BadInput]:
            waiting: deque[Asked | BadInput] = deque()

            def seen() -> Iterator[Asked | BadInput | Pause]:
                for text in texts:
                    if not isinstance(text, Pause):
                        waiting.append(text)
                    yield text

            for found in answer(list(seen()) if isinstance(texts, list) else seen()):
                text = waiting.popleft()
                yield found if isinstance(found, BadInput) else self.show(text, found)

        return shown


def run(source: Source, job: Job[str], count: int, as_json: bool) -> int:
    """Do a job, here or in several processes, and print. Gives the exit status."""
    from xlmr.cli import printing

    shown = start(job, count)
    return printing.answers(source, shown, as_json)


def start(job: Job[S], count: int, model: xlmr.Model | None = None) -> Shown[S]:
    """What answers texts, here, with the model where it is loaded already, or in several processes, each with its own."""
    from xlmr.cli import workers

    if count == 1:
        return job.begin(model)
    threads = job.model["threads"] or workers.threads(count)
    return workers.run(replace(job, model={**job.model, "threads": threads}), count)


def answered(source: Source, shown: Shown[S]) -> Iterator[tuple[Line | Row, S | BadInput]]:
    """Each line of a source and what is shown for it, as soon as it is there."""
    waiting: deque[Line | Row] = deque()

    def texts() -> Iterator[Asked | BadInput | Pause]:
        for line in source.lines:
            if isinstance(line, Pause):
                yield line
            else:
                waiting.append(line)
                yield line.text

    for found in shown(texts()):
        yield waiting.popleft(), found
