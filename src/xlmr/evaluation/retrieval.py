"""Whether a sentence's vector lies nearest to that of its translation, in pools of one language against English, both ways.

`evaluate` asks it of the vectors that `embed` gives a user. `measure` asks it of each layer, whose vector of a sentence is the mean of its
states, `<s>` and `</s>` among them, as the contrastive loss of pretraining pools them: `plain`, and `centred`, which first subtracts from
each side the mean of its own pool, as nobody can who embeds one text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from reprlib import repr as shorten
from typing import Any

import numpy as np

from xlmr import languages, metrics
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.evaluation.benchmarks import Pairs
from xlmr.evaluation.reports import Evaluated
from xlmr.tasks import embeddings
from xlmr.tasks.embeddings import Parts

Answers = Iterator[np.ndarray | Parts | BadInput]


@dataclass(frozen=True, slots=True)
class Pool:
    """How many of a language's sentences find their translation."""

    pairs: int
    """Among how many each is looked for."""
    to_english: float
    from_english: float

    @property
    def accuracy(self) -> float:
        """The mean of both ways."""
        return (self.to_english + self.from_english) / 2


@dataclass(frozen=True, slots=True)
class Retrieved(Evaluated):
    """The accuracy of each language, their mean, and the two ways that each is the mean of."""

    pools: dict[str, Pool]


def evaluate(
    encoder: Encoder,
    pairs: Iterable[tuple[str, str, str]],
    only: Collection[str] | None = None,
    *,
    counted: Callable[[Answers], Answers] = iter,
    **options: Any,
) -> Retrieved:
    """Accuracy for sentences, each with its language and its English; `only` takes some languages'. `options` are those of `embed`.

    All sentences and the vectors of one language are held. The vectors pass through `counted` as they come.

    Raises BadInput where there are none, or a text cannot be answered, and what `embed` raises.
    """
    chosen = None if only is None else {languages.find(name).code for name in only}
    sides: dict[str, tuple[list[str], list[str]]] = {}
    for code, source, english in pairs:
        if chosen is None or code in chosen:
            ours, theirs = sides.setdefault(code, ([], []))
            ours.append(source)
            theirs.append(english)
    if not sides:
        raise BadInput("the data have no pairs" + (f" in {', '.join(sorted(chosen))}" if chosen else ""))
    texts = {code: [*dict.fromkeys(ours + theirs)] for code, (ours, theirs) in sorted(sides.items())}
    made = embeddings.plan(encoder, **options).form
    found = counted(embeddings.embedder(encoder, **options)(text for of in texts.values() for text in of))
    pools = {}
    for code, once in texts.items():
        place = {text: i for i, text in enumerate(once)}
        rows = np.fromiter(_answered(code, once, found), made.stored, len(once))
        there, back = metrics.retrieval(*(rows[[place[text] for text in side]] for side in sides[code]))
        pools[code] = Pool(len(sides[code][0]), there, back)
    next(found, None)  # so that what counts them sees the end
    return Retrieved("retrieve", "accuracy", {code: pool.accuracy for code, pool in pools.items()}, pools)


def _answered(code: str, texts: Sequence[str], found: Answers) -> Iterator[np.ndarray]:
    for text in texts:
        vector = next(found)
        if isinstance(vector, BadInput):
            raise type(vector)(f"{code}: {shorten(text)}: {vector}")
        assert isinstance(vector, np.ndarray)  # of level text, the only one asked for
        yield vector


def vectors(encoder: Encoder, texts: Sequence[str], layers: Sequence[int]) -> list[np.ndarray]:
    """Mean-pooled states, float32 `[texts, width]` for each layer. A text that comes twice is worked once."""
    once = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    found = embeddings.embed(encoder, once, layers=layers, pooling="mean", prompt="")
    return np.split(found[[once[text] for text in texts]], len(layers), axis=1)


def measure(encoder: Encoder, pairs: Pairs, layers: Sequence[int]) -> dict[str, Any]:
    """Accuracy, the mean of both ways: `plain` and `centred`, for each layer, `languages` and their `mean`."""
    languages = sorted(pairs)
    texts = [text for language in languages for side in pairs[language] for text in side]
    found: dict[str, Any] = {"pool": {language: len(pairs[language][0]) for language in languages}, "plain": {}, "centred": {}}
    for layer, all_vectors in zip(layers, vectors(encoder, texts, layers), strict=True):
        cuts = np.cumsum([len(side) for language in languages for side in pairs[language]])[:-1]
        sides = np.split(all_vectors, cuts)
        for kind, shift in (("plain", False), ("centred", True)):
            pools = [side - side.mean(0) if shift else side for side in sides]
            scores = {language: float(np.mean(metrics.retrieval(*pools[2 * i : 2 * i + 2]))) for i, language in enumerate(languages)}
            found[kind][str(layer)] = {"mean": float(np.mean(list(scores.values()))), "languages": scores}
    return found
