"""Fixed scales for what is multiplied with integers: how far from zero the 8 bits reach. What lies beyond is cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from xlmr.checkpoint.integers import MOST

SHARE = 99.99
"""Per cent of the numbers that `percentile` reaches."""
BINS = 2_048
CANDIDATES = 64


def largest(values: np.ndarray) -> float:
    """The largest there was (min-max calibration)."""
    return float(np.abs(values).max(initial=0.0))


def percentile(values: np.ndarray) -> float:
    """What all but one in ten thousand are within (Wu et al. 2020, "Integer Quantization for Deep Learning Inference", section 5.2)."""
    return float(np.percentile(np.abs(values), SHARE))


def entropy(values: np.ndarray) -> float:
    """Where the numbers as they would be stored tell the most about the numbers as they are: the least Kullback-Leibler divergence of their
    histograms (Migacz 2017, "8-bit Inference with TensorRT"; Wu et al. 2020, section 5.2)."""
    counts, edges = np.histogram(np.abs(values), BINS)
    reaches = np.linspace(MOST + 1, BINS, CANDIDATES).astype(int)
    return float(edges[min(reaches, key=lambda reach: _divergence(counts, reach))])


def _divergence(counts: np.ndarray, reach: int) -> float:
    """Of the histogram cut off at a bin, and the same in as many steps as there are integers."""
    given = counts[:reach].astype(np.float64)
    bins = np.arange(reach) * (MOST + 1) // reach
    there = given > 0
    told = np.bincount(bins, given, MOST + 1) / np.maximum(np.bincount(bins, there, MOST + 1), 1)
    stored = np.where(there, told[bins], 0)
    given[-1] += counts[reach:].sum()
    if not there[-1] and given[-1]:
        stored[-1] = 1e-9 * given.sum()
    given, stored = given / given.sum(), stored / stored.sum()
    seen = given > 0
    return float((given[seen] * np.log(given[seen] / stored[seen])).sum())


CALIBRATIONS: Mapping[str, Callable[[np.ndarray], float]] = {"min-max": largest, "percentile": percentile, "entropy": entropy}


def scale(values: np.ndarray, calibration: str) -> float:
    """The scale of the integers, by a key of `CALIBRATIONS`."""
    return max(CALIBRATIONS[calibration](values), 1e-30) / MOST
