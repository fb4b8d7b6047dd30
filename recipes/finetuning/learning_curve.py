"""How many times less data pretraining needs: the small model, and the same architecture from random weights, learn from 10, 30, 100, 300
and all English examples, three times each.

    python recipes/finetuning/learning_curve.py

Measured: 181 minutes; topics: 1.8 times less data; parts of speech: 5.5 times less data

That is on two cores. Accuracy on English development sentences, at which no run looks before its end. The number is that of all examples,
divided by how many the small model needs for the score that random weights reach with all of them, on a line between the logarithms of the
numbers that were measured. `learning_curve.svg` shows both curves. Examples are drawn with the run's seed, smaller sets out of larger ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path
from statistics import mean

import parts_of_speech
import topics
from experiments import RANDOM, SMALL, Experiment, Part, Results, main, minutes, scores

from xlmr.training.finetuning import growth

COUNTS = (10, 30, 100, 300, None)
SEEDS = (1, 2, 3)
WHOLE = {"freeze": growth.NOTHING}
"""All learns: random embeddings that stay as they are would be worth nothing."""
PICTURE = Path(__file__).with_name("learning_curve.svg")
ENGLISH = "English"
LINES = {SMALL: ("the small model", "#4477aa"), RANDOM: ("the same from random weights", "#cc6677")}


@dataclass(frozen=True, slots=True)
class Task:
    """What is learnt, and of how many examples there are."""

    title: str
    task: str
    train: Part
    dev: tuple[Part, ...]
    examples: int

    def name(self, start: str, count: int | None) -> str:
        """Of the experiment."""
        return f"curve, {self.title}, {start}, {'all' if count is None else count}"

    def experiments(self) -> tuple[Experiment, ...]:
        """All of its points."""
        return tuple(
            Experiment(
                name=self.name(start, count), task=self.task, train=(Part(self.train.source, self.train.language, 0, count),),
                dev={ENGLISH: self.dev}, start=start, seeds=SEEDS, settings=WHOLE,
            )
            for start in (SMALL, RANDOM)
            for count in COUNTS
        )  # fmt: skip

    def points(self, found: Results, start: str) -> dict[int, list[float]]:
        """Scores of the seeds by the number of examples; those that are measured."""
        held = {count or self.examples: scores(found, self.name(start, count), ENGLISH) for count in COUNTS}
        return {count: of for count, of in held.items() if of}


TASKS = (
    Task("topics", "classify", topics.TRAIN[0], topics.ENGLISH, 701),
    Task("parts of speech", "tag", parts_of_speech.TRAIN[0], parts_of_speech.ENGLISH, 4_141),
)
EXPERIMENTS = tuple(one for task in TASKS for one in task.experiments())


@dataclass(frozen=True, slots=True)
class Less:
    """How many times less data the small model needs."""

    times: float
    exactly: bool
    """False where its smallest set is enough already: then it is that or more."""

    def __str__(self) -> str:
        return f"{'' if self.exactly else '≥ '}{self.times:.0f}" if self.times >= 10 else f"{self.times:.1f}"


def less(small: Mapping[int, float], random: Mapping[int, float]) -> Less | None:
    """From scores by numbers of examples; None where the small model does not come to the score that random weights reach with the most."""
    most = max(random)
    wanted = random[most]
    counts = sorted(small)
    if small[counts[0]] >= wanted:
        return Less(most / counts[0], exactly=False)
    for one, other in pairwise(counts):
        if small[other] >= wanted:
            share = (wanted - small[one]) / (small[other] - small[one])
            return Less(most / exp(log(one) + share * (log(other) - log(one))), exactly=True)
    return None


def lessened(found: Results, task: Task) -> Less | None:
    """Of a task, by the means of the seeds; None where a curve is not measured to its end too."""
    curves = {start: {count: mean(of) for count, of in task.points(found, start).items()} for start in LINES}
    if any(len(of) < len(COUNTS) for of in curves.values()):
        return None
    return less(curves[SMALL], curves[RANDOM])


def draw(found: Results, path: Path = PICTURE) -> None:
    """Both curves of each task: means, and the seeds as dots."""
    import matplotlib  # of the dependency group `plot`

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "xlmr", "svg.fonttype": "none", "font.size": 9}  # the same picture from the same numbers
    figure, places = pyplot.subplots(1, len(TASKS), figsize=(8, 3.2), layout="constrained")
    for task, axes in zip(TASKS, places, strict=True):
        for start, (label, colour) in LINES.items():
            points = task.points(found, start)
            axes.plot([*points], [100 * mean(of) for of in points.values()], "-", color=colour, linewidth=1, label=label)
            dots = [(count, 100 * score) for count, of in points.items() for score in of]
            axes.plot([count for count, _ in dots], [score for _, score in dots], "o", color=colour, markersize=3)
        axes.set(xscale="log", xlabel="English examples", ylabel="accuracy, English, %", title=task.title)
        axes.spines[["top", "right"]].set_visible(False)
    places[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def said(found: Results) -> str:
    """The number for each task."""
    numbers = {task.title: lessened(found, task) for task in TASKS}
    told = "; ".join(f"{title}: {'–' if of is None else f'{of} times less data'}" for title, of in numbers.items())
    return f"{minutes(found, [one.name for one in EXPERIMENTS])}; {told}"


if __name__ == "__main__":
    main(__file__, EXPERIMENTS, said, draw)
