"""Topics of sentences: learnt from 701 English ones (SIB-200), asked in 91 languages.

    python recipes/finetuning/topics.py

Measured: –

That is on two cores. Accuracy; the mean is that of all languages, English too. Three seeds, as so few examples leave much to luck.
"""

from __future__ import annotations

from experiments import Experiment, Part, Results, main, minutes, score

SIB = "SIB-200"
TRAIN_FILE, DEV_FILE = "sib200/train.tsv.xz", "sib200/dev.tsv.xz"
TRAIN, ENGLISH = (Part(TRAIN_FILE, "en"),), (Part(DEV_FILE, "en"),)
DEV = {SIB: (Part(DEV_FILE),)}
SEEDS = (1, 2, 3)
NAME = "topics"
EXPERIMENTS = (Experiment(name=NAME, task="classify", train=TRAIN, dev=DEV, watched=ENGLISH, seeds=SEEDS),)


def said(found: Results) -> str:
    """English and mean."""
    return f"{minutes(found, [NAME])}; English {score(found, NAME, SIB, 'en')}, mean {score(found, NAME, SIB)}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
