"""Several masks, or several pieces of one, filled together.

The score of a filling is a chain: the probability of its first piece with all other places masked, times that of its second
with the first filled in and the rest masked, and so on from left to right. A masked language model has no one distribution over several
places: its conditionals contradict each other, and another order gives another number (Yamakoshi, Griffiths and Hawkins 2022, "Probing
BERT's priors with serial reproduction chains"; Wang and Cho 2019, "BERT has a mouth, and it must speak"). With one fixed order
the scores of all fillings of a text sum to one, so they can be compared; where each filling chose its own, as in decoding the surest place
first (Ghazvininejad et al. 2019, "Mask-predict"; Schick and Schütze 2021, "It's not just size that matters"), they could not.
Left to right is also the order within words by which Kauf and Ivanova 2023 correct the pseudo-log-likelihood, see `scoring`.

The search keeps the `width` best partial fillings at every step: a beam. Where that is no fewer than there are, it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod

import numpy as np

from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.limits import CUTS
from xlmr.tasks.choices import Choices
from xlmr.tasks.contexts import around
from xlmr.tasks.queries import Query, Search, best

Step = tuple[np.ndarray, np.ndarray]
"""Pieces that may come next, and the logarithms of their probabilities."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the model sees of a text whose masks are divided into so many places each."""

    lengths: tuple[int, ...]
    """Places of each mask."""
    row: list[int]
    """`<s>` … `</s>`, a mask at each of the places."""
    places: tuple[int, ...]
    """Where in the row they are."""

    def filled(self, pieces: Sequence[int]) -> list[int]:
        """The row with its first places filled."""
        row = self.row.copy()
        for place, piece in zip(self.places, pieces, strict=False):
            row[place] = piece
        return row

    def divided(self, pieces: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """Pieces, by the masks they stand for; fewer for the last, none for those after it, where there are not enough."""
        ends = np.cumsum(self.lengths).tolist()
        return tuple(pieces[end - length : end] for end, length in zip(ends, self.lengths, strict=True))


@dataclass(frozen=True, slots=True)
class Path:
    """A filling, or the beginning of one."""

    total: float
    """The logarithm of its score so far."""
    pieces: tuple[int, ...]


def layouts(encoder: Encoder, ids: Sequence[int], choices: Sequence[Choices]) -> list[Layout]:
    """Every way to divide the masks of a text into places. Raises BadInput where there are too many, or the masks are too far apart."""
    ways = prod(len(of_mask.lengths) for of_mask in choices)
    if ways > CUTS:
        raise BadInput(
            f"{len(choices)} masks for {' × '.join(str(len(of_mask.lengths)) for of_mask in choices)} lengths of words can be divided into "
            f"pieces in {ways:,} ways, and at most {CUTS} are tried; ask for shorter words, or fill one mask after another"
        )
    return [layout(encoder, ids, lengths) for lengths in product(*(of_mask.lengths for of_mask in choices))]


def layout(encoder: Encoder, ids: Sequence[int], lengths: tuple[int, ...]) -> Layout:
    """The row of a text (`ids`: `<s>` … `</s>`, however long) with so many places for each mask, the masks in its middle."""
    mask, room = encoder.tokenizer.mask_id, encoder.config.longest - 2
    each = iter(lengths)
    tokens = [i for token in ids[1:-1] for i in ([mask] * next(each) if token == mask else [token])]
    places = [place for place, token in enumerate(tokens) if token == mask]
    if places[-1] - places[0] >= room:
        raise BadInput(
            f"the masks are too far apart: from the first to the last there are {places[-1] - places[0] + 1:,} tokens, and this model sees "
            f"{room} at once; fill them in several goes"
        )
    begin, end = around(places[0], places[-1], len(tokens), room)
    return Layout(lengths, [ids[0], *tokens[begin:end], ids[-1]], tuple(place - begin + 1 for place in places))


def search(ways: Sequence[Layout], choices: Sequence[Choices], width: int) -> Search[Step, list[list[Path]]]:
    """The best fillings in each of the ways, best first, `width` at most of each. A search, see `queries`."""
    paths = [[Path(0.0, ())] for _ in ways]
    for step in range(max(len(way.places) for way in ways)):
        live = [i for i, way in enumerate(ways) if step < len(way.places)]
        found = yield [_next(ways[i], choices, path, width) for i in live for path in paths[i]]
        for i in live:
            paths[i] = _kept(paths[i], [next(found) for _ in paths[i]], width)
    return paths


def _next(way: Layout, choices: Sequence[Choices], path: Path, width: int) -> Query[Step]:
    """What may follow a beginning, `width` at most."""
    divided = way.divided(path.pieces)
    mask = next(i for i, pieces in enumerate(divided) if len(pieces) < way.lengths[i])
    among = choices[mask].following(way.lengths[mask], divided[mask])
    return Query(way.filled(path.pieces), way.places[len(path.pieces)], partial(best, among=among, top=width))


def _kept(paths: Sequence[Path], found: Sequence[Step], width: int) -> list[Path]:
    """The best ways to go on, best first; equals in the order of what they go on with, then of ids."""
    if not paths:
        return []
    parents = np.repeat(np.arange(len(paths)), [len(ids) for ids, _ in found])
    pieces = np.concatenate([ids for ids, _ in found])
    totals = np.concatenate([path.total + logs for path, (_, logs) in zip(paths, found, strict=True)])
    order = np.argsort(-totals, kind="stable")[:width]
    return [Path(float(totals[i]), (*paths[parents[i]].pieces, int(pieces[i]))) for i in order]
