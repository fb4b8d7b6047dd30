"""The classifier of languages that ships beside the small model: fitted on the text that the model was pretrained on, minutes on two cores.

    python recipes/languages.py MODEL      # a folder

`make small` runs it on what ships. What is there already, for the same encoder, text and plan, is not fitted again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xlmr import checkpoint, encoder
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.errors import BadCheckpoint
from xlmr.tasks import classifiers
from xlmr.training import corpus, languages
from xlmr.training.corpus import Line
from xlmr.training.crops import Text, draw
from xlmr.training.languages import Plan
from xlmr.training.recipes import Data

# Lines that a source may give each language. Bibles, help pages and interfaces have a language of their own: they fill up, no more.
# Words and phrases (CLDR, map features) are left out: most are names, alike in many languages.
CAPS = {
    "prose": 6_000, "ntrex128": 3_000, "tico19": 3_000, "stories": 1_500, "bible": 800, "osguide": 800, "docs": 800, "gnomehelp": 800,
    "strings": 2_000,
}  # fmt: skip
# News and medicine, translated into most languages: nearest to prose of any kind. Each line is cut in two ways.
PREFERRED = {"ntrex128": 2, "tico19": 2}
HELD_OUT = {name: 1_000_000 for name in CAPS if name != "strings"}
TEXTS, CHECKED = 6_000, 120
"""Texts of each class to fit on and held out."""
SEED = 1
PLAN = Plan(layer=2)
"""Alone, the geometry of layers 1 and 2 tells languages apart equally well (macro F1 .82 of held-out texts, fitted on 60 of each class);
in layer 2 the nearest tokens of a token are of its language most often (benchmarks/README.md)."""


def fit(model: Path, data: Data) -> Path:
    """Fit, beside the weights in a folder; gives the attachment's file."""
    path = attachments.path_of(model, classifiers.NAME)
    opened = checkpoint.open(model)
    drawn = {"caps": CAPS, "preferred": PREFERRED, "texts": [TEXTS, CHECKED], "seed": SEED}
    of = json.loads(json.dumps({"plan": asdict(PLAN), **drawn, "data": asdict(data)}))
    if done(opened, classifiers.NAME, of):
        return path
    train, heldout = texts(data)
    found, measured = languages.fit(encoder.load(model), train, heldout, PLAN)
    packed = classifiers.pack(found, measured)
    packed = Attachment(packed.arrays, {**packed.facts, "of": of})
    return attachments.write(model, classifiers.NAME, packed, attachments.fingerprint(opened))


def done(model: checkpoint.Checkpoint, name: str, of: dict[str, Any]) -> bool:
    """Whether that attachment is there, and of this encoder, plan and data."""
    try:
        return attachments.read(model, name, "make small").facts.get("of") == of
    except BadCheckpoint:
        return False


def texts(data: Data) -> tuple[list[Text], list[Text]]:
    """Texts to fit on, and of lines that pretraining held out."""
    train, heldout = corpus.split(corpus.read(data), data)
    return draw(rows(train), CAPS, TEXTS, SEED, PREFERRED), draw(rows(heldout), HELD_OUT, CHECKED, SEED + 1)


def rows(lines: list[Line]) -> Iterator[tuple[str, str, str]]:
    """Lines as they are drawn from."""
    return ((line.language, line.source, line.text) for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("wanted: python recipes/languages.py MODEL, a folder")
    print(fit(Path(sys.argv[1]), Data()))
