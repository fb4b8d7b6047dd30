"""What a command does with texts: a model, a task with its options, and how an answer looks. Small enough to be sent to another process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import xlmr
from xlmr.batching import Pause
from xlmr.cli.options import Source
from xlmr.errors import BadInput
from xlmr.tasks.answers import Text

Shown = Callable[[Iterable[Text]], Iterator[str | BadInput]]
"""Texts in, for each what is to be printed out, or why there is nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One command's work. Its functions are those of modules, so that it can be pickled."""

    model: Mapping[str, Any]
    """What `xlmr.load` takes."""
    task: Callable[..., Any]
    """Makes of a model and options what answers texts, such as `masks.filler`."""
    options: Mapping[str, Any]
    show: Callable[[str, Any], str]
    """How an answer to a text is written."""

    def begin(self) -> Shown:
        """Load the model and check the options."""
        answer = self.task(xlmr.load(**self.model), **self.options)

        def shown(texts: Iterable[Text]) -> Iterator[str | BadInput]:
            waiting: deque[str] = deque()

            def seen() -> Iterator[Text]:
                for text in texts:
                    if not isinstance(text, Pause):
                        waiting.append(str(text))
                    yield text

            for found in answer(list(seen()) if isinstance(texts, list) else seen()):
                text = waiting.popleft()
                yield found if isinstance(found, BadInput) else self.show(text, found)

        return shown


def run(source: Source, job: Job, count: int, as_json: bool) -> int:
    """Do a job, here or in several processes, and print. Gives the exit status."""
    from xlmr.cli import printing, workers

    if count == 1:
        return printing.answers(source, job.begin(), as_json)
    threads = job.model["threads"] or workers.threads(count)
    return printing.answers(source, workers.run(replace(job, model={**job.model, "threads": threads}), count), as_json)
