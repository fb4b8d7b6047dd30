"""Pruning: heads, inner units and layers left out, so that the model is smaller; or single weights set to zero, so that it packs better.

Every layer keeps as many heads and inner units as any other, so that one config describes the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from xlmr import tokenizer
from xlmr.compression import calibration, narrowing, recovering, refitting, sparsity
from xlmr.compression.narrowing import Narrow
from xlmr.compression.parts import Parts, Step
from xlmr.compression.recovering import Recovery
from xlmr.errors import BadInput
from xlmr.examples import read_unlabelled

TOKENS = 8_192
"""Of the texts by which parts are weighed, at most …"""
LONGEST = 128
"""… each cut to so many."""
LINES, OF_EACH = 100_000, 500
"""Lines of a file that are looked at, and texts of a language that are held, at most."""
MASKED = 7
"""Every so many pieces one is masked, so that parts are weighed at masks too."""
SIZES = {"heads": "heads in every layer", "inner": "inner units in every layer", "layers": "layers"}
"""What may be kept fewer of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """What is left, or what goes."""

    heads: int | None = None
    """To keep in every layer."""
    inner: int | None = None
    """Units to keep in every layer."""
    layers: int | None = None
    """To keep."""
    magnitude: float | None = None
    """The share of the weights of each matrix that become zero."""
    pattern: str | None = None
    """`2:4`: two of every four weights become zero."""
    with_embeddings: bool = False
    """Whether weights of the word embeddings become zero too."""
    no_refit: bool = False
    """Else what is left takes over, by least squares, what it can of what went."""
    texts: tuple[str, ...] = ()
    """`FILE` or `LANG=FILE`, by which parts are weighed and the model is taught; without any, the sentences of `probe`."""
    recover: Recovery | None = None
    """How the model is taught by what it was, after; None: it is not."""

    def __post_init__(self) -> None:
        for name in SIZES:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}, wanted 1 or more: so many {SIZES[name]} are kept")
        if self.magnitude is not None and not 0 < self.magnitude < 1:
            raise BadInput(f"magnitude is {self.magnitude}, wanted a share of the weights, above 0 and below 1")
        if self.pattern not in (None, sparsity.TWO_OF_FOUR):
            raise BadInput(f"pattern is {self.pattern!r}, wanted {sparsity.TWO_OF_FOUR}")
        if self.magnitude is not None and self.pattern is not None:
            raise BadInput("magnitude and pattern both say which weights become zero; wanted one of them")
        if not (self.shrinks or self.thins):
            raise BadInput("nothing is to be pruned; wanted heads, inner, layers, magnitude or pattern")
        if self.with_embeddings and not self.thins:
            raise BadInput("with_embeddings was asked for, which is of magnitude and pattern; the embeddings have no heads or inner units")
        if self.recover is not None and not self.texts:
            raise BadInput("a model is taught by texts, and there are none; name some with --data FILE or --data LANG=FILE")
        if self.recover is not None and self.recover.embeddings and self.with_embeddings:
            raise BadInput("zeros of the embeddings would not stay zero while these learn; leave out with_embeddings, or their rate 0")

    @property
    def shrinks(self) -> bool:
        """Whether tensors become smaller."""
        return any(getattr(self, name) is not None for name in SIZES)

    @property
    def thins(self) -> bool:
        """Whether weights become zero."""
        return self.magnitude is not None or self.pattern is not None


def prune(parts: Parts, new: Path, options: Prune, step: Step) -> dict[str, Any]:
    """Write the model, pruned, into an empty folder; gives facts: what was kept, and how much of the layers' output variance was lost.

    Raises BadInput where there is not that much to prune, or it was pruned so before; what reading `texts` raises; what
    `recovering.recover` raises, before anything is computed where it can.
    """
    check(parts, options)
    teacher, facts = parts.source, dict[str, Any]()
    if options.recover is not None:
        recovering.check(parts, teacher, options.texts)
    step("reading texts")
    texts = _texts(parts, options.texts)
    if options.shrinks:
        wanted = Narrow(options.heads, options.inner, options.layers, refit=not options.no_refit)
        parts, facts = narrowing.shrink(parts, [*_masked(parts, texts)], wanted, step)
    if options.thins:
        parts = replace(parts, weights=sparsity.Thinned(parts.weights, options.magnitude, embeddings=options.with_embeddings))
        facts |= {"zeros": options.pattern or options.magnitude}
    if options.recover is not None:
        found = recovering.recover(parts, teacher, options.texts, options.recover, step)
        parts, texts = found.parts, [*found.heldout] or texts
        facts["recovery"] = found.facts
    step("writing the model")
    fitted = refitting.write(parts, teacher, new, texts)
    return {**facts, "attachments": fitted, "notes": [*notes(options), *refitting.notes(fitted)]}


def check(parts: Parts, options: Prune) -> None:
    """Raises BadInput where there is not that much to prune, or it was pruned so before."""
    config, where = parts.config, parts.source.folder
    for name, what in SIZES.items():
        kept, there = getattr(options, name), getattr(config, name)
        if kept is not None and kept >= there:
            raise BadInput(f"{where}: {name} is {kept}, and the model has {there} {what}, so nothing would be pruned; wanted fewer")
    inner = options.inner or config.inner
    if options.pattern and any(size % sparsity.FOUR for size in (config.width, config.head_width, inner)):
        raise BadInput(
            f"{where}: the model is {config.width} wide, its heads {config.head_width}, with {inner} inner units; {options.pattern} wants "
            f"multiples of {sparsity.FOUR}"
        )
    if options.thins and not options.shrinks and sparsity.is_done(parts.weights, options.magnitude, embeddings=options.with_embeddings):
        done = f"are zero by {options.pattern}" if options.pattern else f"are zero, a share of {options.magnitude:g} or more,"
        raise BadInput(f"{where}: weights {done} already, so nothing would be pruned")


def notes(options: Prune) -> list[str]:
    """What its user should know."""
    found = []
    if options.thins:
        found.append(
            "single weights are zero: only packing and kernels for sparse matrices gain by that; in xlmr's runtimes the model takes as "
            "much memory and time as before"
        )
    return found


# -- texts --


def _texts(parts: Parts, sources: Sequence[str]) -> list[str]:
    """Texts of some thousand tokens, of each source, or language, as many."""
    pieces, longest = tokenizer.open(parts.source.folder), _longest(parts)
    found, tokens = list[str](), 0
    for text in _in_turn(sources):
        found.append(text)
        tokens += len(pieces.encode(text, longest=longest).ids)
        if tokens >= TOKENS:
            break
    return found


def _in_turn(sources: Sequence[str]) -> Iterator[str]:
    """One of each language of each source after another."""
    languages = [*calibration.builtin().values()] if not sources else [of for source in sources for of in _by_language(source)]
    for texts in zip_longest(*languages):
        yield from (text for text in texts if text is not None)


def _by_language(source: str) -> list[list[str]]:
    """The first texts of each language there is among the first lines of a file."""
    found: dict[str, list[str]] = {}
    for of in islice(read_unlabelled(source), LINES):
        texts = found.setdefault(of.language, [])
        if len(texts) < OF_EACH:
            texts.append(of.text)
    return [*found.values()]


def _masked(parts: Parts, texts: Sequence[str]) -> Iterator[list[int]]:
    """The ids of each, with masks among them."""
    pieces, longest = tokenizer.open(parts.source.folder), _longest(parts)
    for number, text in enumerate(texts):
        row = list(pieces.encode(text, longest=longest).ids)
        for place in range(1 + number % MASKED, len(row) - 1, MASKED):
            row[place] = pieces.mask_id
        yield row


def _longest(parts: Parts) -> int:
    return min(LONGEST, parts.config.longest)
