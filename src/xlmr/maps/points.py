"""From texts to a map: vectors, languages, translations, places, and what the picture says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from xlmr import maps
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.maps import Dot, Map, Row, Shares, nearness, svg
from xlmr.tasks import embeddings, identification
from xlmr.tasks.recognition import UNKNOWN

T = TypeVar("T")

JOINED = 1_000
"""Texts among which lines between translations can be told apart, about."""
Watch = Callable[[Iterator[T]], Iterator[T]]
"""Hands on what it is given, and counts it for people."""


def gather(
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    among: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    watch: Watch[Any] = iter,
) -> tuple[list[Dot], np.ndarray]:
    """Each row's dot, and the vectors of length 1 `[rows, size]`; so what is near is near by the cosine.

    Texts without a language are asked for theirs, among some languages or all; `options` are those of `embed`.
    Raises BadInput where there are no rows or a text cannot be answered, BadCheckpoint where the model has no classifier and needs one.
    """
    if not rows:
        raise BadInput("there are no texts to draw")
    asked = [row for row in rows if row.language is None]
    identify = identification.identifier(encoder, top=1, among=among) if asked else None
    embed = embeddings.embedder(encoder, **{**(options or {}), "unit": True})
    vectors = np.stack([*_whole(rows, watch(embed([str(row.text) for row in rows])))])
    found = iter(_whole(asked, watch(identify([str(row.text) for row in asked])))) if identify else iter(())
    groups = _groups(rows)
    dots = []
    for row in rows:
        dot = Dot(str(row.text), row.language or "", group=groups.get(row.name or ""))
        if row.language is None:
            best = next(found).languages[0]
            dot = replace(dot, language=best.code, confidence=best.confidence)
        dots.append(dot)
    return dots, vectors


def measured(dots: Sequence[Dot], vectors: np.ndarray, places: np.ndarray) -> dict[str, Shares]:
    """How the texts lie: by their vectors, in the picture, and by chance."""
    return {
        "by the vectors": nearness.shares(vectors, dots),
        "in the picture": nearness.shares(places, dots),
        "by chance": nearness.chance(dots),
    }


def described(dots: Sequence[Dot], places: np.ndarray, shares: Mapping[str, Shares], *, total: int, model: str, method: str,
              lines: bool | None = None) -> Map:  # fmt: skip
    """The map, with what it says of itself. Without a word about `lines`, translations are joined where texts are few enough to see it."""
    languages = _counted(len({dot.language for dot in dots} - {UNKNOWN}), "language")
    drawn = _counted(len(dots), "text") if total == len(dots) else f"{len(dots):,} of {total:,} texts, drawn by chance,"
    found = "; the model found the languages" if all(dot.confidence is not None for dot in dots) else ""
    near = {
        "tsne": "What is near here is near by the cosine of the vectors; distances between clusters and their sizes mean little.",
        "pca": "The two directions in which the vectors of length 1 differ most.",
    }
    joined = len(dots) <= JOINED if lines is None else lines
    caption = [
        f"{drawn} in {languages}{found}. Vectors: {svg.shown(model, svg.TITLE)}. {maps.METHODS[method]}. {near[method]}",
        *(f"{said}: {', '.join(f'{share:.2f} {where}' for where, share in of.items())}." for said, of in told(shares).items()),
    ]
    return Map(dots, places, "Texts in the plane, by language", caption, joined and any(dot.group is not None for dot in dots))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def told(shares: Mapping[str, Shares]) -> dict[str, dict[str, float]]:
    """What is measured, in words, and the share by where; what nothing can have is left out."""
    words = {
        "language": f"Of the {nearness.NEAREST} nearest texts, those in the same language",
        "translation": "Texts whose nearest in another language is a translation",
    }
    found = {words[name]: {where: getattr(of, name) for where, of in shares.items()} for name in words}
    return {said: of for said, of in found.items() if None not in of.values()}


def _groups(rows: Sequence[Row]) -> dict[str, int]:
    """The names that several rows share, numbered."""
    counts = Counter(row.name for row in rows if row.name)
    return {name: i for i, name in enumerate(name for name, count in counts.items() if count > 1)}


def _whole(rows: Sequence[Row], answers: Iterator[Any]) -> Iterator[Any]:
    """The answers. Raises the first BadInput, with its place."""
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, BadInput):
            raise type(answer)(f"{row.place}: {answer}")
        yield answer
