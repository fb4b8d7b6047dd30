"""Parts of speech: learnt from English sentences (UD English-EWT), asked in all languages.

    python recipes/finetuning/parts_of_speech.py

Measured: 3.1 minutes; English 89.0, mean 49.6, Wolof 32.9

That is on two cores. Accuracy of words; the mean is that of those of XTREME's 33 languages that are among the data, English too. Wolof the
model was never pretrained on.
"""

from __future__ import annotations

from experiments import Experiment, Part, Results, main, minutes, score

from xlmr.evaluation.scores import XTREME

XTREMES, OTHERS, WOLOF = "XTREME", "others", "Wolof"
LANGUAGES = "af ar de en es fa fi fr gd hi id ja kk ko lt mr nl pt ro ru sd te th vi wo zh".split()
TRAIN = (Part("en=udpos/en.train.conll"),)
FILES = {code: Part(f"{code}=udpos/{code}.dev.conll") for code in LANGUAGES}
ENGLISH = (FILES["en"],)
DEV = {
    XTREMES: tuple(part for code, part in FILES.items() if code in XTREME),
    OTHERS: tuple(part for code, part in FILES.items() if code not in (*XTREME, "wo")),
    WOLOF: (FILES["wo"],),
}
NAME = "parts of speech"
EXPERIMENTS = (Experiment(name=NAME, task="tag", train=TRAIN, dev=DEV, watched=ENGLISH),)


def said(found: Results) -> str:
    """English, mean, Wolof."""
    english, mean, wolof = score(found, NAME, XTREMES, "en"), score(found, NAME, XTREMES), score(found, NAME, WOLOF)
    return f"{minutes(found, [NAME])}; English {english}, mean {mean}, Wolof {wolof}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
