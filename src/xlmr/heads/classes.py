"""What a classification head says of a text, from its states: logits of the classes, and how likely each is.

The head is Hugging Face's: of the state of `<s>`, a linear layer, tanh, and another (`XLMRobertaClassificationHead`). Tagging and answers
have the last of the three alone, over the states of words and of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from xlmr.errors import BadCheckpoint

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
"""Hugging Face's names of the problems, `problem_type` in config.json: one of the labels, any of them, a number."""


def logits(weights: Mapping[str, np.ndarray], states: np.ndarray) -> np.ndarray:
    """Of texts, float32 `[rows, labels]`, from the states of their `<s>`, float32 `[rows, width]`.

    `weights` are `dense.weight` `[width, width]`, `dense.bias` `[width]`, `out.weight` `[labels, width]` and `out.bias` `[labels]`.
    """
    return linear(weights, np.tanh(states @ weights["dense.weight"].T + weights["dense.bias"]))


def linear(weights: Mapping[str, np.ndarray], states: np.ndarray) -> np.ndarray:
    """Of whatever has a state, `[rows, labels]` from `[rows, width]`, by `out.weight` `[labels, width]` and `out.bias` `[labels]`."""
    found: np.ndarray = states @ weights["out.weight"].T + weights["out.bias"]
    return found


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis, in the type of `logits`."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return shares


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Of each, in the type of `logits`."""
    shares: np.ndarray = np.exp(-np.logaddexp(0, -logits))  # overflows nowhere, and tells the smallest from 0
    return shares.astype(logits.dtype, copy=False)


PROBLEMS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {SINGLE: softmax, MULTI: sigmoid, REGRESSION: lambda logits: logits}


def probabilities(logits: np.ndarray, problem: str) -> np.ndarray:
    """How likely each label is, `[rows, labels]`; a regression's numbers as they are.

    Raises BadCheckpoint where `problem` is not of `PROBLEMS`.
    """
    if problem not in PROBLEMS:
        raise BadCheckpoint(f"problem_type is {problem!r}, wanted one of: {', '.join(PROBLEMS)}")
    return PROBLEMS[problem](logits)


def settled(problem: str, labels: int) -> str:
    """The problem, where config.json may be silent: with several labels one of them is meant, and one label is there or not.

    So has it the text classification of transformers, and so its rerankers have no `problem_type` and one label.
    """
    return problem or (SINGLE if labels > 1 else MULTI)
