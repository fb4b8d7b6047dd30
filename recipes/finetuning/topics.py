"""Topics of sentences: learnt from 701 English ones (SIB-200), asked in 91 languages.

    python recipes/finetuning/topics.py

Measured: 24 minutes; English 63.3 ± 2.5, mean 39.8 ± 0.2; without the vectors: English 62.3 ± 1.2, mean 27.7 ± 1.2

That is on two cores. Accuracy; the mean is that of all languages, English too. Three seeds, as so few examples leave much to luck. And once
more without the head that learns from the texts' calibrated vectors (`--no-vectors`): what that is worth.
"""

from __future__ import annotations

from experiments import Experiment, Part, Results, main, minutes, score

SIB = "SIB-200"
TRAIN_FILE, DEV_FILE = "sib200/train.tsv.xz", "sib200/dev.tsv.xz"
TRAIN, ENGLISH = (Part(TRAIN_FILE, "en"),), (Part(DEV_FILE, "en"),)
DEV = {SIB: (Part(DEV_FILE),)}
SEEDS = (1, 2, 3)
NAME, WITHOUT = NAMES = ("topics", "topics, no vectors")
EXPERIMENTS = tuple(
    Experiment(name=name, task="classify", train=TRAIN, dev=DEV, watched=ENGLISH, seeds=SEEDS, settings={"vectors": name != WITHOUT})
    for name in NAMES
)


def said(found: Results) -> str:
    """English and mean."""
    with_vectors, without = (f"English {score(found, name, SIB, 'en')}, mean {score(found, name, SIB)}" for name in NAMES)
    return f"{minutes(found, NAMES)}; {with_vectors}; without the vectors: {without}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
