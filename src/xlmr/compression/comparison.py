"""A model held against what was made of it: size, memory, time, and how alike they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, Generic, TypeVar

from xlmr import checkpoint, runtimes, tokenizer
from xlmr import encoder as encoders
from xlmr.checkpoint import Checkpoint, Stored, attachments, sentences
from xlmr.checkpoint.finetuned import Head
from xlmr.checkpoint.folder import CONFIG
from xlmr.compression import agreement, memory, probe, timing
from xlmr.compression.agreement import Fillings, Shares, Sides, Vectors
from xlmr.compression.memory import Memory
from xlmr.compression.parts import Step
from xlmr.compression.probe import Texts
from xlmr.compression.timing import Seconds
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.evaluation import examination
from xlmr.evaluation.reports import Evaluated
from xlmr.examples import Example
from xlmr.tasks.tuned import COMMANDS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """What the comparison is made on, and what it has to give."""

    texts: Texts | None = None
    """None: the sentences of `probe.builtin`."""
    dev: tuple[str, ...] = ()
    """Labelled data for a fine-tuned model, `FILE` or `LANG=FILE`."""
    agreement: float | None = None
    """How much of what is answered must be answered alike, from 0 to 1; see `Comparison.agreement`."""
    rounds: int = 5
    """Of taking the time, at most."""

    def __post_init__(self) -> None:
        if self.agreement is not None and not 0 <= self.agreement <= 1:
            raise BadInput(f"the agreement that is wanted is {self.agreement!r}; wanted a share from 0 to 1")
        if self.rounds < 1:
            raise BadInput(f"rounds is {self.rounds!r}, wanted 1 at least")


@dataclass(frozen=True, slots=True)
class Pair(Generic[T]):
    """Of the model, and of what was made of it."""

    before: T
    after: T


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found. Sizes are in bytes."""

    parameters: Pair[int]
    weights: Pair[int]
    """Of the files that hold the weights."""
    files: Pair[int]
    """Of all files that are read of a model, those among them."""
    memory: Pair[Memory]
    seconds: Seconds
    texts: int
    """How many it was asked."""
    languages: tuple[str, ...]
    """Theirs."""
    fillings: Fillings | None
    """None where there is no MLM head, or no text that both cut into the same pieces."""
    answers: tuple[str, Shares] | None
    """What the fine-tuned head says, and how often both say the same."""
    vectors: Vectors | None
    """None where they have not one size."""
    raw: Vectors | None
    """Of raw vectors, where others are made; None where not."""
    scores: Pair[Evaluated] | None
    """Of the task, on labelled data that were given."""

    @property
    def agreement(self) -> float:
        """The one share that says how alike they answer: of the likeliest fillings, mean of the languages; else of what the head says; else
        the mean cosine of raw vectors. 0 where there is nothing to compare.
        """
        if self.fillings:
            return self.fillings.top1.mean
        if self.answers:
            return self.answers[1].mean
        found = self.raw or self.vectors
        return found.mean if found else 0.0

    @property
    def measure(self) -> str:
        """What `agreement` is of."""
        return "likeliest fillings" if self.fillings else self.answers[0] if self.answers else "vectors of texts"

    def as_json(self) -> dict[str, Any]:
        """As `compression.json` has it."""
        held = {"parameters": self.parameters, "weights": self.weights, "files": self.files}
        resident = {name: {side: getattr(getattr(self.memory, side), name) for side in SIDES} for name in ("idle", "loaded", "peak")}
        return {
            **{name: asdict(of) for name, of in held.items()},
            "memory": resident,
            "seconds": self.seconds.as_json(),
            "texts": self.texts,
            "languages": list(self.languages),
            "agreement": self.agreement,
            "measure": self.measure,
            "fillings": self.fillings and self.fillings.as_json(),
            "answers": self.answers and {"of": self.answers[0], **self.answers[1].as_json()},
            "vectors": self.vectors and self.vectors.as_json(),
            "raw_vectors": self.raw and self.raw.as_json(),
            "scores": self.scores and _scores(self.scores),
        }


SIDES = ("before", "after")


def _scores(of: Pair[Evaluated]) -> dict[str, Any]:
    sides = {side: getattr(of, side) for side in SIDES}
    measured = {side: {"languages": {code: _number(score) for code, score in found.languages.items()}, "mean": _number(found.mean)}
                for side, found in sides.items()}  # fmt: skip
    return {"task": of.before.task, "metric": of.before.metric, **measured}


def _number(of: float) -> float | None:
    return of if isfinite(of) else None


def prepare(of: Checkpoint, check: Check) -> list[Example]:
    """The labelled data, read before anything is done: none where none are given. Raises what `examination.read` raises, and BadCheckpoint
    where the model cannot be loaded.
    """
    encoder = encoders.load(of.folder)
    if not check.dev:
        return []
    task = COMMANDS.get(encoder.head.of.task) if encoder.head else None
    if task is None:
        raise BadInput(f"{of.folder}: labelled data were given (--dev), and the model has no head for a task; leave them out")
    return examination.read(task, encoder, check.dev)


def compare(
    before: Path, after: Path, check: Check, examples: Sequence[Example] = (), *, languages: Sequence[str] = (), step: Step = lambda _: None
) -> Comparison:
    """Hold the model in one folder against that in another. With `languages` only texts in these are asked, if there are any.

    `examples` are of `prepare`. Raises BadCheckpoint where a model cannot be loaded, or answers with numbers that are not finite.
    """
    given = check.texts or probe.builtin()
    texts = probe.among(given, languages) if languages else given
    flat = [text for of in texts.values() for text in of]
    opened = [checkpoint.open(folder) for folder in (before, after)]
    step("measuring memory")
    resident = Pair(*(memory.measure(of.folder, flat) for of in opened))
    sides = encoders.load(before), encoders.load(after)
    fills = all(of.has_mlm_head for of in opened)
    step(f"comparing answers to {len(flat):,} texts in {len(texts)} languages")
    fillings = agreement.fillings(sides, texts, step) if fills else None
    answers = agreement.said(sides, texts, step)
    vectors = agreement.vectors(sides, texts)
    raw = agreement.vectors(sides, texts, raw=True) if agreement.calibrated(sides) else None
    scores = _scored(sides, examples, step) if examples else None
    step("taking the time")
    seconds = timing.measure(sides, agreement.sentences(sides, texts), fills=fills, rounds=check.rounds, step=step)
    learnt, stored, whole = (Pair(*map(count, opened)) for count in (parameters, weights, size))
    return Comparison(learnt, stored, whole, resident, seconds, len(flat), tuple(texts), fillings, answers, vectors, raw, scores)


def alike(before: Checkpoint, after: Checkpoint, texts: Texts) -> float:
    """The one share of `Comparison.agreement`, of two checkpoints with the same tokenizer and what is attached to the first."""
    pieces, recipe = tokenizer.open(before.folder), sentences.read(before.folder, before.config)
    attached, head = attachments.Attachments(before), Head(before.task) if before.task else None
    one, other = (Encoder(of.config, pieces, runtimes.start(of), recipe, attached, head) for of in (before, after))
    sides = one, other
    if before.has_mlm_head and (found := agreement.fillings(sides, texts)):
        return found.top1.mean
    if answers := agreement.said(sides, texts):
        return answers[1].mean
    vectors = agreement.vectors(sides, texts, raw=agreement.calibrated(sides))
    return vectors.mean if vectors else 0.0


def _scored(sides: Sides, examples: Sequence[Example], step: Step) -> Pair[Evaluated]:
    step(f"answering {len(examples):,} labelled examples")
    return Pair(*(score(side, examples) for side in sides))


def score(encoder: Encoder, examples: Sequence[Example]) -> Evaluated:
    """The score of a fine-tuned model for each language of the examples."""
    assert encoder.head is not None
    evaluate: Callable[..., Any] = examination.EVALUATIONS[COMMANDS[encoder.head.of.task]]
    report: Evaluated = evaluate(encoder, examples, rounds=0).report
    return report


# -- size --


def parameters(of: Checkpoint) -> int:
    """Numbers that were learnt, its head's among them."""
    return sum(prod(held.shape) for held in _stored(of).values())


def weights(of: Checkpoint) -> int:
    """Bytes of the files that hold the weights."""
    return sum(_size(path) for path in {held.file for held in _stored(of).values()})


def size(of: Checkpoint) -> int:
    """Bytes of all files that are read of a model; what else lies in its folder is not counted."""
    fitted = (attachments.path_of(of.folder, name) for name in attachments.names(of.folder))
    found = {of.folder / CONFIG, of.folder / tokenizer.file(of.folder), *fitted, *sentences.files_of(of.folder)}
    return weights(of) + sum(_size(path) for path in found if path.is_file())


def _stored(of: Checkpoint) -> Mapping[str, Stored]:
    return {**of.stored, **(of.task.stored if of.task else {})}


def _size(path: Path) -> int:
    return path.stat().st_size
