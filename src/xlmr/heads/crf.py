"""A linear-chain conditional random field: how likely each sequence of labels is, and the likeliest.

A sequence of labels weighs the sum of the emissions of its labels, of the transitions between neighbours, of the start and of the end;
its probability is in proportion to the exponential (Lafferty, McCallum and Pereira 2001, "Conditional random fields: probabilistic models
for segmenting and labeling sequence data", section 3). Normaliser and marginals are those of the forward-backward algorithm, the likeliest
sequence that of Viterbi (Rabiner 1989, "A tutorial on hidden Markov models and selected applications in speech recognition", section III),
in float64, and in logarithms wherever weights are large. Constraints leave out sequences altogether, before anything is shared out.

Labels are numbers; emissions are float `[n, labels]`, n = 0 included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlmr.errors import BadInput

LEAST = 1e-100
"""Three numbers above it have a product that float64 tells from 0."""


@dataclass(frozen=True, slots=True)
class Crf:
    """What neighbours add to the emissions; float32 or float64."""

    transitions: np.ndarray
    """`[labels, labels]`, from the row's label to the column's."""
    start: np.ndarray
    """`[labels]`: of the first label."""
    end: np.ndarray
    """`[labels]`: of the last label."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Which sequences there are at all."""

    transitions: np.ndarray
    """bool `[labels, labels]`: whether the column's label may follow the row's."""
    start: np.ndarray
    """bool `[labels]`: whether a sequence may begin with the label."""


def independent(labels: int) -> Crf:
    """A linear head's: neighbours add nothing, so that constraints alone bind them."""
    return Crf(np.zeros((labels, labels)), np.zeros(labels), np.zeros(labels))


def score(crf: Crf, emissions: np.ndarray, path: np.ndarray) -> float:
    """What one sequence weighs; `path` is int `[n]`. Its log-probability is this less the normaliser."""
    if not len(emissions):
        return 0.0
    path = np.asarray(path)
    steps = crf.transitions[path[:-1], path[1:]].sum(dtype=np.float64)
    chosen = emissions[np.arange(len(path)), path].sum(dtype=np.float64)
    return float(steps + chosen + np.float64(crf.start[path[0]]) + np.float64(crf.end[path[-1]]))


def normaliser(crf: Crf, emissions: np.ndarray, allowed: Constraints | None = None) -> float:
    """The logarithm of the sum of the exponentials of what all sequences weigh. Raises BadInput where none is allowed."""
    if not len(emissions):
        return 0.0
    transitions, emissions = _bound(crf, emissions, allowed)
    reached = emissions[0]
    for emission in emissions[1:]:
        reached = np.logaddexp.reduce(reached[:, None] + transitions, 0) + emission
    return _some(float(np.logaddexp.reduce(reached)))


def marginals(crf: Crf, emissions: np.ndarray, allowed: Constraints | None = None) -> np.ndarray:
    """How likely each label is at each place, float64 `[n, labels]`; rows sum to 1. Raises BadInput where no sequence is allowed."""
    if not len(emissions):
        return np.zeros(emissions.shape)
    transitions, emissions = _bound(crf, emissions, allowed)
    found = _scaled(transitions, emissions)
    return _logarithmic(transitions, emissions) if found is None else found


def viterbi(crf: Crf, emissions: np.ndarray, allowed: Constraints | None = None) -> np.ndarray:
    """The sequence that weighs most, int64 `[n]`; of equals, one of them. Raises BadInput where none is allowed."""
    path = np.zeros(len(emissions), np.int64)
    if not len(path):
        return path
    transitions, emissions = _bound(crf, emissions, allowed)
    into, labels = np.ascontiguousarray(transitions.T), np.arange(len(transitions))
    best, before = emissions[0], []
    for emission in emissions[1:]:
        weights = into + best
        before.append(weights.argmax(1))
        best = weights[labels, before[-1]] + emission
    path[-1] = best.argmax()
    _some(float(best[path[-1]]))
    for i in range(len(before) - 1, -1, -1):
        path[i] = before[i][path[i + 1]]
    return path


# -- forward-backward, in two ways. Backward is forward from the other end: both walks are taken at once, side by side --


def _scaled(transitions: np.ndarray, emissions: np.ndarray) -> np.ndarray | None:
    """In probabilities, scaled at each step (Rabiner 1989, section V A): several times faster. None where a number may have been too small.

    All numbers are products of three before them. Where all are 0 or above `LEAST`, none was lost, and only what is ruled out is 0.
    """
    labels = len(transitions)
    walks, halves = np.zeros((2, 2 * labels, 2 * labels))
    with np.errstate(invalid="ignore"):  # where nothing is allowed nothing can be taken away, and what is not a number is refused below
        steps, weights = np.exp(transitions - transitions.max()), np.exp(emissions - emissions.max(1, keepdims=True))
        walks[:labels, :labels], walks[labels:, labels:] = steps, steps.T
        halves[:labels, :labels] = halves[labels:, labels:] = 1
        given = np.concatenate([weights, weights[::-1]], 1)
        reached = np.empty_like(given)
        before = reached[0] = given[0]
        for weight, row in zip(given[1:], reached[1:], strict=True):
            np.dot(before, walks, out=row)
            row *= weight
            row /= row @ halves
            before = row
    if not all(_within(*pair) for pair in ((steps, transitions > -np.inf), (weights, emissions > -np.inf), (reached, reached != 0))):
        return None
    behind = np.ones_like(emissions)  # what comes after each place, its own emission left out
    behind[:-1] = reached[-2::-1, labels:] @ steps.T
    return _shares(reached[:, :labels] * behind)


def _within(values: np.ndarray, there: np.ndarray) -> bool:
    return bool((values[there] > LEAST).all())


def _logarithmic(transitions: np.ndarray, emissions: np.ndarray) -> np.ndarray:
    """In logarithms: for weights of any size."""
    walks = np.stack([transitions, transitions.T])
    given = np.stack([emissions, emissions[::-1]], 1)
    reached = np.empty_like(given)
    reached[0] = given[0]
    for i in range(1, len(given)):
        np.logaddexp.reduce(reached[i - 1][:, :, None] + walks, 1, out=reached[i])
        reached[i] += given[i]
    _some(float(np.logaddexp.reduce(reached[-1, 0])))
    behind = np.zeros_like(emissions)
    for i, after in enumerate(reached[-2::-1, 1]):
        behind[i] = np.logaddexp.reduce(transitions + after, 1)
    weights = reached[:, 0] + behind
    return _shares(np.exp(weights - weights.max(1, keepdims=True)))


def _shares(weights: np.ndarray) -> np.ndarray:
    shares: np.ndarray = weights / weights.sum(1, keepdims=True)
    return shares


def _bound(crf: Crf, emissions: np.ndarray, allowed: Constraints | None) -> tuple[np.ndarray, np.ndarray]:
    """Transitions and emissions in float64, minus infinity where not allowed; start and end are among the emissions."""
    transitions, emissions = crf.transitions.astype(np.float64), emissions.astype(np.float64)
    emissions[0] += crf.start
    emissions[-1] += crf.end
    if allowed is not None:
        transitions[~allowed.transitions] = -np.inf
        emissions[0, ~allowed.start] = -np.inf
    return transitions, emissions


def _some(weight: float) -> float:
    if weight == -np.inf:
        raise BadInput("no sequence of labels is allowed here; at least one label must be allowed to begin, and one to follow each")
    return weight
