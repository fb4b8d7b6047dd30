"""Sentences in several languages, written for the tests, and a classifier fitted on them."""

from __future__ import annotations

from pathlib import Path

from xlmr import checkpoint, encoder, texts
from xlmr.checkpoint import attachments
from xlmr.tasks import classifiers

FILE = Path(__file__).with_name("sentences.tsv")


def sentences() -> list[tuple[str, str]]:
    """Languages with sentences."""
    return [(language, text) for _, (language, text) in texts.rows(FILE, "lang", "text")]


def fitted(folder: Path) -> Path:
    """A model's folder, with a classifier fitted on them in a second."""
    from xlmr.training import languages  # with torch, which the light tests do without
    from xlmr.training.crops import draw
    from xlmr.training.languages import Plan
    from xlmr.training.regression import Settings

    opened = checkpoint.open(folder)
    lines = [(language, "tests", text) for language, text in sentences()]
    plan = Plan(layer=1, left_out=2, mixtures=20, settings=Settings(rank=8, runs=3_000, common=1_500, least=150, batch=128, rate=2e-2))
    train, held = (draw(lines, {"tests": 99}, count, seed) for count, seed in ((60, 1), (20, 2)))
    found, measured = languages.fit(encoder.load(folder, threads=1), train, held, plan)
    attachments.write(folder, classifiers.NAME, classifiers.pack(found, measured), attachments.fingerprint(opened))
    return folder
