"""How likely pieces of a vocabulary are in some languages, without any text in them: what their characters tell the classifier of languages
that lies beside the small model inside, and how common they are at all.

It was fitted to whole texts. Asked of a single piece it is unsure, but an order of pieces is all that is wanted of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xlmr import checkpoint, languages, scripts
from xlmr.checkpoint import attachments
from xlmr.errors import BadInput
from xlmr.heads import loglinear, ngrams
from xlmr.heads.loglinear import Classifier, Evidence
from xlmr.tasks import classifiers, evidence
from xlmr.tokenizer.vocabulary import SPACE

COMMON, USUAL = 0.8, 4.0
"""What the logarithm of a piece's probability in all languages weighs, and the share of its runs that are usual in the language, beside a
nat of evidence. Of other weights tried on XLM-R's pieces, for en, de, fr, es and for en, zh, ar, hi, none was better in all of these."""
BLOCK = 8_192
"""Pieces looked at together."""


def order(pieces: Sequence[tuple[str, float]], names: Sequence[str]) -> np.ndarray:
    """A number for each of some pieces and their scores, float32 `[pieces]`: the higher, the likelier the piece is in these languages.

    The less its evidence for the likeliest of these is behind that for the likeliest class of all, the more of its runs of characters are
    usual in one of these, and the commoner it is, the higher. Raises BadInput where the classifier does not know a language in its writing,
    BadCheckpoint where there is no small model inside.
    """
    small = checkpoint.open()
    of = classifiers.unpack(attachments.read(small, classifiers.NAME, classifiers.FIT), small.config)
    kept = sorted({column for name in names for column in _columns(of, name)})
    told = [_told(of, [piece for piece, _ in pieces[i : i + BLOCK]], kept) for i in range(0, len(pieces), BLOCK)]
    scores = np.array([score for _, score in pieces], np.float32)
    found: np.ndarray = COMMON * scores + np.concatenate([np.zeros(0, np.float32), *told])
    return found


def _columns(of: Classifier, name: str) -> list[int]:
    """The classes of a language, in the scripts that its name says."""
    code, written = languages.find(name).code, scripts.parts(languages.written(name))
    kinds = [kind for kind in evidence.SPLIT.get(code, (code,)) if kind in of.classes and evidence.written(kind) & written]
    if not kinds:
        raise BadInput(f"which pieces are likely in {name} nothing here knows; name a corpus, or no number of pieces, so that more stay")
    return [of.classes.index(kind) for kind in kinds]


def _told(of: Classifier, pieces: Sequence[str], kept: Sequence[int]) -> np.ndarray:
    """What the runs of characters say of the best of these classes: float32 `[pieces]`; all there is to say of what has no letters."""
    runs, starts = ngrams.of_parts([piece.replace(SPACE, " ") for piece in pieces])
    shares = evidence.shares([scripts.counted(piece) for piece in pieces], [evidence.written(kind) for kind in of.classes])
    states, none = np.tile(of.centre, (len(pieces), 1)), np.zeros(len(pieces) + 1, np.int64)
    found = loglinear.evidence(of, Evidence(states, np.zeros(0, np.int64), none, runs, starts, shares))
    behind = found.max(1) - found[:, kept].max(1)
    usual = [loglinear.means(loglinear.is_seen(of.seen, runs, np.full(len(runs), kind)), starts) for kind in kept]
    told: np.ndarray = np.where(np.diff(starts) > 0, USUAL * np.max(usual, axis=0) - behind, USUAL)
    return told.astype(np.float32)
