"""How often a model finds the right language: a score for each, and their mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from xlmr import languages, metrics
from xlmr.encoder import Encoder
from xlmr.errors import BadInput
from xlmr.evaluation.reports import Evaluated
from xlmr.tasks import identification


def language(encoder: Encoder, texts: Iterable[tuple[str, str]], only: Collection[str] | None = None) -> Evaluated:
    """F1 of the first answer for texts with their languages; `und` is a wrong answer. `only` takes some languages' texts.

    Texts are read a window at a time. Raises BadInput where there are none, or a text cannot be answered.
    """
    chosen = None if only is None else {languages.find(name).code for name in only}
    codes: list[str] = []

    def asked() -> Iterator[str]:
        for code, text in texts:
            if chosen is None or code in chosen:
                codes.append(code)
                yield text

    answers = [answer[0].code for answer in identification.identify_language(encoder, asked(), top=1, stream=True)]
    if not answers:
        raise BadInput("the data have no texts" + (f" in {', '.join(sorted(chosen))}" if chosen else ""))
    given, wanted = np.array(answers), np.array(codes)
    return Evaluated("language", "f1", {code: metrics.f1(given, wanted, code) for code in sorted({*codes})})
