"""The numbers that README and docs show, as Markdown, from what `recipes/small.py` measured: `recipes/small/scores.json` and `log.csv`.

`docs/refresh.py` puts each table of `TABLES` between its marks, `<!-- numbers: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from xlmr.languages import LANGUAGES

FOLDER = Path(__file__).parent / "small"
SCORES, COMPARISON = FOLDER / "scores.json", FOLDER / "comparison.md"
LOGS = (FOLDER / "log.csv", FOLDER / "taught.csv", FOLDER / "grown.csv")
"""Of the first run, the second and the third."""

FINETUNED = Path(__file__).parent / "finetuning" / "results.json"

SOURCES = ("heldout", "sib200", "characters")
CONTEXTS = ("translation", "unrelated")
NAMES = {"model": "small", "unigrams": "unigrams", "trigrams": "counts, a neighbour on each side", "guesser": "counts, two on each side"}
BY_CODE = {code.lower(): language.name for code, language in LANGUAGES.items()}
Scores = dict[str, Any]
ABSENT = "–"


def small(scores: Scores) -> str:
    """What the small model is worth, beside counts of its text and beside the vectors it started from."""
    return "\n".join([words(scores), vectors(scores), beside(scores)])


def words(scores: Scores) -> str:
    """Hidden words and pieces: the model and counts of the same text."""
    columns = predictors(scores)
    rows = [
        [f"word in held-out lines ({spread(columns['model']['heldout'])})", *(tops(of["heldout"]["mean"]) for of in columns.values())],
        [f"word in other text, SIB-200 ({spread(columns['model']['sib200'])})", *(tops(of["sib200"]["mean"]) for of in columns.values())],
        ["bits per character, held-out lines", *(f"{of['characters']['mean']['bits']:.2f}" for of in columns.values())],
    ]
    return table(["hidden, to be found: first / among the first five, %", *(NAMES[name] for name in columns)], rows)


def vectors(scores: Scores) -> str:
    """Retrieval and probes: the model and its static start."""
    rows = []
    for name, title in (("tatoeba", "translations found, Tatoeba"), ("ntrex", "translations found, NTREX ids held out")):
        of = [scores[part][name] for part in ("retrieval", "retrieval of static vectors")]
        if whole := scores.get("retrieval of calibrated vectors", {}).get(name):
            rows.append([f"{title} ({len(of[0]['pool'])} languages), calibrated vectors", percent(whole["mean"]), ABSENT])
        for kind in ("plain", "centred"):
            rows.append([f"{title} ({len(of[0]['pool'])} languages), {kind}", by_layer(of[0][kind]), by_layer(of[1][kind])])
    for name, title in (("pos", "parts of speech"), ("topics", "topics, SIB-200")):
        of = [scores[part][name] for part in ("probes", "probes of static vectors")]
        for kind in ("plain", "centred"):
            cells = [f"{percent(one[kind]['english'])} / {percent(one[kind]['mean'])}" for one in of]
            rows.append([f"{title}: English / mean, {kind}", f"{cells[0]} (layer {of[0]['layer']})", cells[1]])
    return table(["vectors, %", "small", "the static vectors it started from"], rows)


def beside(scores: Scores) -> str:
    """Transfer: the same hidden words beside a translation and beside another line."""
    found = scores["transfer"]
    rows = [[f"all ({spread_of(found['languages'])})", *(tops(found["mean"][context]) for context in CONTEXTS)]]
    rows += [[title, *(tops(found[of][context]) for context in CONTEXTS)]
             for of, title in (("all", "all, words alike"), ("new", "words that stand in neither context, alike"))]  # fmt: skip
    return table(["hidden word, read beside …: first / among the first five, %", "… its line's translation", "… another line"], rows)


def languages(scores: Scores) -> str:
    """A line for each language."""
    columns = predictors(scores)
    rows = []
    for code in sorted(columns["model"]["heldout"]["languages"] | columns["model"]["characters"]["languages"]):
        top5 = [share(of["heldout"]["languages"].get(code), "top5") for of in columns.values()]
        bits = [number(columns[name]["characters"]["languages"].get(code), "bits") for name in ("model", "guesser")]
        transfer = scores["transfer"]["languages"].get(code, {})
        pos, topics = (scores["probes"][task]["plain"]["languages"].get(code) for task in ("pos", "topics"))
        rows.append([code, BY_CODE.get(code, ""), *top5, *bits, *(share(transfer.get(context), "top1") for context in CONTEXTS),
                     *(ABSENT if of is None else percent(of) for of in (pos, topics))])  # fmt: skip
    head = [*(f"top-5, {NAMES[name]}" for name in columns), "bits per character, small", f"… {NAMES['guesser']}",
            "top-1 beside its translation", "… another line", "parts of speech", "topics"]  # fmt: skip
    return table(["", "language", *head], rows)


def short(scores: Scores) -> str:
    """Where the model is ahead of what it is compared with, and where not, by name."""
    columns = predictors(scores)
    lines = []
    for name in ("unigrams", "guesser"):
        for source, measure, sign, title in (
            ("heldout", "top5", 1, "top-5 of hidden words"),
            ("characters", "bits", -1, "bits per character"),
        ):
            ours, theirs = (columns[of][source]["languages"] for of in ("model", name))
            ahead = [code for code in ours if sign * ours[code][measure] > sign * theirs[code][measure]]
            lines.append(f"- {title}: {against(ahead, ours, NAMES[name])}")
    found = scores["transfer"]["languages"]
    helped = [code for code, of in found.items() if of["translation"]["top1"] > of["unrelated"]["top1"]]
    lines.append(f"- top-1 beside the translation: {against(helped, found, 'another line')}")
    return "\n".join(lines) + "\n"


def training(runs: list[list[dict[str, str]]]) -> str:
    """How long the runs were, together."""
    tokens, seconds = (sum(of(log[-1][name]) for log in runs) for name, of in (("tokens", int), ("seconds", float)))
    losses = [row["heldout"] for log in runs for row in log if row["heldout"]]
    loss = f", {float(losses[-1]):.2f} nats per hidden piece of held-out text (mean of the languages)" if losses else ""
    return f"{tokens / 1e6:,.1f} M tokens in {seconds / 3600:.1f} hours, {tokens / seconds:,.0f} tokens a second{loss}.\n"


def logs() -> list[list[dict[str, str]]]:
    """The curves of the runs that are there."""
    return [list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in LOGS if path.exists()]


def predictors(scores: Scores) -> dict[str, dict[str, Any]]:
    """By who predicts: `heldout`, `sib200` and `characters`."""
    parts = scores["prediction"], scores["counts"]
    names = ("model", *scores["counts"]["heldout"])
    return {name: {source: next(part[source][name] for part in parts if name in part[source]) for source in SOURCES} for name in names}


def against(ahead: list[str], of: Iterable[str], other: str) -> str:
    """In how many languages it is ahead, and in which not."""
    rest = [code for code in sorted(of) if code not in ahead]
    behind = f"; not ahead in {', '.join(rest)}" if rest else ""
    if not ahead:
        return f"ahead of {other} in none of {len(rest)} languages"
    return f"ahead of {other} in {len(ahead)} of {len(ahead) + len(rest)} languages{behind}"


def tops(of: dict[str, float]) -> str:
    """Top-1 and top-5."""
    return f"{percent(of['top1'])} / {percent(of['top5'])}"


def by_layer(of: dict[str, Any]) -> str:
    """The last layer's score, and the best layer's where that is another."""
    means = {layer: part["mean"] for layer, part in of.items()}
    last, best = list(means)[-1], max(means, key=means.__getitem__)
    return percent(means[last]) + (f" (layer {best}: {percent(means[best])})" if best != last else "")


def share(of: dict[str, Any] | None, name: str) -> str:
    """A share as a percentage, if there is one."""
    return percent(of[name]) if of else ABSENT


def number(of: dict[str, Any] | None, name: str) -> str:
    """A number, if there is one."""
    return f"{of[name]:.2f}" if of else ABSENT


def percent(value: float) -> str:
    """One digit after the point."""
    return f"{100 * value:.1f}"


def spread(of: dict[str, Any]) -> str:
    """Over what a mean is."""
    return spread_of(of["languages"])


def spread_of(of: dict[str, Any]) -> str:
    """Languages and questions."""
    return f"mean of {len(of)} languages, {sum(one['questions'] for one in of.values()):,} questions"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def _scored(make: Callable[[Scores], str]) -> Callable[[], str | None]:
    return lambda: make(json.loads(SCORES.read_text(encoding="utf-8"))) if SCORES.exists() else None


# -- fine-tuning --

TUNED = (
    ("parts of speech (UD), accuracy", "parts of speech", "XTREME"),
    ("… frozen encoder, linear head", "parts of speech, frozen", "XTREME"),
    ("… LoRA", "parts of speech, LoRA", "XTREME"),
    ("… Wolof, never pretrained on", "parts of speech", "Wolof"),
    ("topics (SIB-200), accuracy", "topics", "SIB-200"),
    ("… without the text's vector", "topics, no vectors", "SIB-200"),
    ("… frozen encoder", "topics, frozen", "SIB-200"),
    ("… LoRA", "topics, LoRA", "SIB-200"),
    ("… 700 examples, all English", "topics, 700 in English", "SIB-200"),
    ("… 700 examples in five languages", "topics, 700 in five languages", "SIB-200"),
    ("names (UNER), F1 of spans, linear", "names, linear", "UNER"),
    ("… CRF", "names, CRF", "UNER"),
    ("… CRF, old newspapers (Europeana)", "names, CRF", "Europeana"),
    ("… 2,000 sentences, all English", "names, 2000 in English", "UNER"),
    ("… 2,000 sentences in five languages", "names, 2000 in five languages", "UNER"),
    ("answers (SQuAD part to XQuAD), F1", "answers", "XQuAD"),
    ("… JaQuAD", "answers", "JaQuAD"),
)
"""What a row is called, the experiment of `recipes/finetuning`, and which of its measurements."""


def finetuning(found: dict[str, Any]) -> str:
    """What fine-tuning makes of the model inside: English, the mean of languages, and how long it took."""
    head = ["learnt from English examples, %", "English", "mean of languages", "examples", "minutes"]
    return table(head, [tuned(title, found[name]["seeds"], of) for title, name, of in TUNED if name in found])


def tuned(title: str, seeds: dict[str, Any], of: str) -> list[str]:
    """A row; where there are several seeds their mean and standard deviation."""
    measured = [one["measured"][of] for one in seeds.values()]
    english = [one["languages"]["en"] for one in measured if "en" in one["languages"]]
    count, (first, *_) = len(measured[0]["languages"]), seeds.values()
    minutes = mean(one["learning"] for one in seeds.values()) / 60
    return [
        title,
        spread_of_seeds(english),
        f"{spread_of_seeds([one['mean'] for one in measured])} ({count})",
        f"{first['examples']:,}",
        f"{minutes:.1f}",
    ]


def spread_of_seeds(values: list[float]) -> str:
    """In percent."""
    if not values:
        return ABSENT
    return f"{100 * mean(values):.1f}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")


TABLES: dict[str, Callable[[], str | None]] = {
    "small": _scored(small),
    "languages": _scored(languages),
    "short": _scored(short),
    "training": lambda: training(logs()) if logs() else None,
    "finetuning": lambda: finetuning(json.loads(FINETUNED.read_text(encoding="utf-8"))) if FINETUNED.exists() else None,
    "comparison": lambda: COMPARISON.read_text(encoding="utf-8") if COMPARISON.exists() else None,
}
"""By the name in the marks; None where nothing is measured yet."""
