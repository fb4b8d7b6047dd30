"""The calibration of text vectors that ships beside the small model: fitted on all translations at hand, half an hour on a core.

    python recipes/calibration.py MODEL      # a folder

`make small` runs it twice: after the first run, for the teacher of those that come after, and for what ships. What is there already, for
the same encoder, text and settings, is not fitted again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from languages import done

from xlmr import checkpoint, encoder
from xlmr.checkpoint import attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.tasks import calibrations
from xlmr.training import contrast, corpus, fitting, translations
from xlmr.training.contrast import Settings
from xlmr.training.recipes import Data

EVERY = 1_000_000
"""Ids that a parallel set may give: all, where pretraining takes fewer."""
TEACHER = Settings(size=128, sequences=60_000, steps=24_000)
SHIPPED = replace(TEACHER, temperature=0.1, sequences=90_000, worth=1.0)
"""At that temperature it finds as many translations, and says more of what a text is about; the runs began before that was known. Of rows
alone, whatever states would add: such vectors need no pass of the encoder, and a head that is fine-tuned reads them."""


def fit(model: Path, data: Data, settings: Settings = SHIPPED) -> Path:
    """Fit, beside the weights in a folder; gives the attachment's file."""
    opened, data = checkpoint.open(model), replace(data, cap=EVERY)
    of = json.loads(json.dumps({"settings": asdict(settings), "data": asdict(data)}))
    if done(opened, calibrations.NAME, of):
        return attachments.path_of(model, calibrations.NAME)
    parts = [[line for line in lines if line.id] for lines in corpus.split(corpus.read(data), data)]
    loaded = encoder.load(model)
    train, heldout = (fitting.tokenised(loaded, lines, data.phrases) for lines in parts)
    found, measured = contrast.fit(loaded, train, translations.domains(parts[0]), heldout, settings)
    packed = calibrations.pack(found, measured)
    packed = Attachment(packed.arrays, {**packed.facts, "of": of})
    return attachments.write(model, calibrations.NAME, packed, attachments.fingerprint(opened))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("wanted: python recipes/calibration.py MODEL, a folder")
    print(fit(Path(sys.argv[1]), Data()))
