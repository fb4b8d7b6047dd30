"""English only against a mix of five languages with as many examples in all: topics and names.

    python recipes/finetuning/mixture.py

Measured: 53 minutes; topics, 700 in English: mean 39.9 ± 0.1, of languages in neither 39.4 ± 0.1; topics, 700 in five languages: mean 41.7
± 1.1, of languages in neither 41.4 ± 1.1; names, 2000 in English: mean 24.5 ± 1.3, of languages in neither 19.3 ± 3.0; names, 2000 in five
languages: mean 33.7 ± 0.7, of languages in neither 27.1 ± 1.2

That is on two cores. Of topics 700 examples, in the mix 140 of each language and no sentence in two of them; of names 2,000, in the mix 400
of each. Means of all languages (of names UNER's), and of those that neither saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

import names
import topics
from experiments import Experiment, Part, Results, main, minutes, scores

SEEDS = (1, 2, 3)
TOPIC_LANGUAGES, TOPIC_EXAMPLES = ("en", "ar", "hi", "ru", "zh"), 700
NAME_LANGUAGES, NAME_EXAMPLES = ("en", "da", "pt", "sk", "zh"), 2_000
TOPICS = ("topics, 700 in English", "topics, 700 in five languages")
NAMES = ("names, 2000 in English", "names, 2000 in five languages")


def mixed_topics() -> tuple[Part, ...]:
    """The files are translations of each other: each language gives other lines."""
    each = TOPIC_EXAMPLES // len(TOPIC_LANGUAGES)
    return tuple(Part(topics.TRAIN_FILE, code, i * each, each) for i, code in enumerate(TOPIC_LANGUAGES))


def mixed_names() -> tuple[Part, ...]:
    """As many sentences of each language."""
    each = NAME_EXAMPLES // len(NAME_LANGUAGES)
    return tuple(Part(f"{code}=ner/uner/{code}.train.conll{'.xz' if code == 'en' else ''}", count=each) for code in NAME_LANGUAGES)


TRAIN = {
    TOPICS[0]: (Part(topics.TRAIN_FILE, "en", 0, TOPIC_EXAMPLES),),
    TOPICS[1]: mixed_topics(),
    NAMES[0]: (Part(names.TRAIN[0].source, count=NAME_EXAMPLES),),
    NAMES[1]: mixed_names(),
}
EXPERIMENTS = (
    *(Experiment(name=name, task="classify", train=TRAIN[name], dev=topics.DEV, watched=topics.ENGLISH, seeds=SEEDS) for name in TOPICS),
    *(Experiment(name=name, task="tag", train=TRAIN[name], dev={names.UNER: names.DEV[names.UNER]}, watched=names.ENGLISH, seeds=SEEDS)
      for name in NAMES),
)  # fmt: skip


def unseen(found: Results, name: str, of: str, seen: Sequence[str]) -> str:
    """The mean of the languages that are in neither training set, over the seeds, in percent."""
    seeds = found.get(name, {"seeds": {}})["seeds"].values()
    values = [100 * mean(score for code, score in one["measured"][of]["languages"].items() if code not in seen) for one in seeds]
    return shown(values)


def shown(values: Sequence[float]) -> str:
    """Mean and standard deviation; a dash where there is nothing."""
    if not values:
        return "–"
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def said(found: Results) -> str:
    """All languages, and those that neither saw, of each of the four."""
    parts = []
    for both, of, seen in ((TOPICS, topics.SIB, TOPIC_LANGUAGES), (NAMES, names.UNER, NAME_LANGUAGES)):
        for name in both:
            whole = shown([100 * value for value in scores(found, name, of)])
            parts.append(f"{name}: mean {whole}, of languages in neither {unseen(found, name, of, seen)}")
    return f"{minutes(found, [*TOPICS, *NAMES])}; {'; '.join(parts)}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said)
