"""What a linear classifier reads from frozen states: learnt on English, asked in every language.

Parts of speech: the state of each word's first piece; words are cut into pieces one by one. Topics: a sentence's mean state. `plain`
scales by the English training set's mean and spread; `centred` takes the mean of the language that is asked instead.
The layer is the one that scores best on the English development set, which flatters English a little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlmr import batching, metrics
from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.evaluation.benchmarks import Line, Tagged, Topic
from xlmr.evaluation.retrieval import vectors

ENGLISH = "en"
STEPS = 400
BATCH = 2_048
RATE = 0.02


Labelled = tuple[list[np.ndarray], list[str]]
"""States `[rows, width]` for each layer, and the label of each row."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear classifier of standardised states."""

    classes: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    """`[width, classes]`."""
    bias: np.ndarray

    def predict(self, states: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
        """The class of each row of `[rows, width]`, centred on `mean` where one is given."""
        x = (states - (self.mean if mean is None else mean)) / self.spread
        found: np.ndarray = self.classes[(x @ self.weight + self.bias).argmax(1)]
        return found


def fit(states: np.ndarray, labels: np.ndarray, seed: int = 0) -> Probe:
    """Multinomial logistic regression, `[rows, width]` to labels, the weights held small as if by a standard normal prior; by Adam."""
    classes, wanted = np.unique(labels, return_inverse=True)
    mean, spread = states.mean(0), states.std(0) + 1e-6
    rng = np.random.default_rng(seed)
    weight = np.zeros((states.shape[1] + 1, len(classes)), np.float32)  # the last row is the bias
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for step in range(STEPS):
        rows = rng.permutation(len(states))[:BATCH]
        x = np.append((states[rows] - mean) / spread, np.ones((len(rows), 1), np.float32), axis=1)
        gradient = x.T @ (_softmax(x @ weight) - (wanted[rows][:, None] == np.arange(len(classes)))) / len(rows)
        gradient[:-1] += weight[:-1] / len(states)
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        rate = RATE * (1 - step / STEPS)
        weight = weight - rate * (first / (1 - 0.9 ** (step + 1))) / (np.sqrt(second / (1 - 0.99 ** (step + 1))) + 1e-8)
    return Probe(classes, mean, spread, weight[:-1], weight[-1])


def topics(encoder: Encoder, train: Sequence[Topic], dev: Sequence[Topic], layers: Sequence[int]) -> dict[str, Any]:
    """Accuracy on topics, the mean over all languages; see `_scores`."""

    def labelled(rows: Sequence[Topic]) -> Labelled:
        return vectors(encoder, [row.text for row in rows], layers), [row.label for row in rows]

    found = {language: labelled([row for row in dev if row.language == language]) for language in sorted({row.language for row in dev})}
    return _scores(layers, labelled([row for row in train if row.language == ENGLISH]), found, found)


def languages(encoder: Encoder, train: Sequence[Line], asked: Sequence[Line], layer: int) -> float:
    """Macro F1 of the language of each line, from its mean state."""
    learnt, found = ((vectors(encoder, [line.text for line in lines], [layer])[0], np.array([line.language for line in lines]))
                     for lines in (train, asked))  # fmt: skip
    return metrics.macro_f1(fit(*learnt).predict(found[0]), found[1])


def parts_of_speech(
    encoder: Encoder, train: Sequence[Tagged], dev: Mapping[str, Sequence[Tagged]], layers: Sequence[int], means: Collection[str]
) -> dict[str, Any]:
    """Accuracy on universal part-of-speech tags, the mean over those of `means` that are there; see `_scores`."""
    found = {language: word_states(encoder, sentences, layers) for language, sentences in dev.items()}
    return _scores(layers, word_states(encoder, train, layers), found, means)


def word_states(encoder: Encoder, sentences: Sequence[Tagged], layers: Sequence[int]) -> Labelled:
    """The state of each word's first piece, `[words, width]` for each layer, and the tags. Words beyond the model's length are left out."""
    rows: list[tuple[list[int], list[int], list[str]]] = []
    for sentence in sentences:
        ids, firsts, tags = [encoder.tokenizer.bos_id], [], []
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            pieces = encoder.tokenizer.encode(word).ids[1:-1]
            if pieces and len(ids) + len(pieces) < encoder.config.longest:
                firsts.append(len(ids))
                tags.append(tag)
                ids += pieces
        rows.append(([*ids, encoder.tokenizer.eos_id], firsts, tags))
    states = list(_states(encoder, [row[0] for row in rows], [row[1] for row in rows], layers))
    return [np.concatenate([of[i] for of in states]) for i in range(len(layers))], [tag for row in rows for tag in row[2]]


def _states(encoder: Encoder, rows: list[list[int]], picks: list[list[int]], layers: Sequence[int]) -> Iterator[list[np.ndarray]]:
    """The states of the picked places of each row, `[picks, width]` for each layer."""

    def answer(batch: list[int]) -> list[list[np.ndarray]]:
        states = encoder.runtime.hidden_states(encoders.pad([rows[i] for i in batch], encoder.config.pad_id), layers)
        return [[of_layer[row, picks[i]] for of_layer in states] for row, i in enumerate(batch)]

    return batching.run(range(len(rows)), lambda i: len(rows[i]), answer)


def _scores(layers: Sequence[int], train: Labelled, dev: Mapping[str, Labelled], means: Collection[str]) -> dict[str, Any]:
    """`layer`, the best in English; `layers`, the English score of each; `plain` and `centred`: `english`, `mean` and `languages`."""
    probes = [fit(states, np.array(train[1])) for states in train[0]]

    def score(i: int, language: str, centred: bool) -> float:
        states, labels = dev[language][0][i], np.array(dev[language][1])
        return metrics.accuracy(probes[i].predict(states, states.mean(0) if centred else None), labels)

    english = [score(i, ENGLISH, False) for i in range(len(layers))]
    best = int(np.argmax(english))
    found: dict[str, Any] = {"layer": layers[best], "layers": dict(zip(map(str, layers), english, strict=True))}
    for kind, centred in (("plain", False), ("centred", True)):
        scores = {language: score(best, language, centred) for language in dev}
        mean = float(np.mean([scores[language] for language in scores if language in means]))
        found[kind] = {"english": scores[ENGLISH], "mean": mean, "languages": scores}
    return found


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(1, keepdims=True)
    return shares
