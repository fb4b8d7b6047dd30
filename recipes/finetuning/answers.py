"""Answers out of a context: learnt from 4,366 English questions (a part of SQuAD 1.1), asked in the 12 languages of XQuAD and in Japanese.

    python recipes/finetuning/answers.py

Measured: 56 minutes; English 9.9, mean 8.7, Japanese 8.8

That is on two cores. F1 of words by each language's rules; the mean is that of XQuAD's languages, English too, Japanese is JaQuAD's. The
questions of XQuAD are about articles that those of training are about as well, which flatters a little; published scores learn from twenty
times as many.
"""

from __future__ import annotations

from experiments import Experiment, Part, Results, main, minutes, score

XQUAD, JAQUAD = "XQuAD", "JaQuAD"
PACKED = ("el", "hi", "ru", "th")
TRAIN = (Part("en=qa/squad/en.train.jsonl.xz"),)
FILES = {
    code: Part(f"{code}=qa/xquad/{code}.dev.jsonl{'.xz' if code in PACKED else ''}")
    for code in "ar de el en es hi ro ru th tr vi zh".split()
}
ENGLISH = (FILES["en"],)
DEV = {XQUAD: tuple(FILES.values()), JAQUAD: (Part("ja=qa/jaquad/ja.dev.jsonl.xz"),)}
NAME = "answers"
EXPERIMENTS = (Experiment(name=NAME, task="answer", train=TRAIN, dev=DEV, watched=ENGLISH),)


def said(found: Results) -> str:
    """English, mean, Japanese."""
    english, mean, japanese = score(found, NAME, XQUAD, "en"), score(found, NAME, XQUAD), score(found, NAME, JAQUAD)
    return f"{minutes(found, [NAME])}; English {english}, mean {mean}, Japanese {japanese}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
