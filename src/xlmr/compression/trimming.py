"""A model with fewer pieces: those of some languages, or of a corpus. What it says of text that keeps its pieces is what it said before.

The rows of the pieces that go are cut out of the word embeddings, the MLM head and what was fitted to the model; nothing else changes. So
states, vectors and languages of such a text are the same, and of a masked one the logits of the pieces that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import tensors, tokenizer
from xlmr.checkpoint.attachments import Attachment
from xlmr.compression import probe, usage
from xlmr.compression.parts import Parts, Read, Step, put
from xlmr.compression.progress import told
from xlmr.compression.selection import Trim, choose
from xlmr.compression.usage import Coverage
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.examples.sources import UNDETERMINED
from xlmr.tasks import calibrations, classifiers
from xlmr.tokenizer import Tokenizer, trimming
from xlmr.tokenizer.vocabulary import dump, parse

__all__ = ["Trim", "trim"]

ROWS: Mapping[str, Callable[[Attachment, np.ndarray, Config], Attachment]] = {
    calibrations.NAME: calibrations.trim,
    classifiers.NAME: classifiers.trim,
}
"""Attachments with a row for each piece, and what takes some of them. The others know nothing of pieces."""


NAMED = 8
"""Languages of which a note says something each."""


class Rows(Mapping[str, np.ndarray]):
    """Weights of which some tensors lose rows, each read when it is asked for."""

    def __init__(self, of: Mapping[str, np.ndarray], names: frozenset[str], ids: np.ndarray) -> None:
        self._of, self._names, self._ids = of, names, ids

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            return self._of[name]
        if isinstance(self._of, Read):
            return self._of.rows(name, self._ids)  # the whole table of the largest model has a gigabyte
        kept: np.ndarray = self._of[name][self._ids]
        return kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


def trim(parts: Parts, new: Path, options: Trim, step: Step) -> dict[str, Any]:
    """Write the model with the pieces that `options` keeps into an empty folder.

    Gives how many pieces there are of how many, and how the corpus, and sentences in the languages kept, are cut before and after.

    Raises BadInput where nothing would go, a piece that must stay would, or more must stay than is wanted, where the corpus cannot be read
    or has no text; BadCheckpoint where weights and tokenizer disagree or an attachment is broken.
    """
    before = _tokenizer(parts)
    sources, codes = options.sources, frozenset(options.codes)
    step("looking which pieces are used")
    counts = usage.count(before, told(usage.read(sources, codes), step, "texts whose pieces were counted")) if sources else None
    kept, ids = trimming.trim(before.vocabulary, choose(before.vocabulary, options, counts))
    if len(ids) == before.size:
        raise BadInput(f"all {before.size:,} pieces are among those to keep: there is nothing to trim; name fewer languages, or a corpus")
    after, to = Tokenizer(kept), trimming.renumbered(ids, before.size)
    step("cutting the texts before and after")
    corpus = usage.cover(before, after, to, told(usage.read(sources, codes), step, "texts cut by both"))
    languages = options.codes or tuple(name for name in dict.fromkeys(of.language for of in sources) if name not in (None, UNDETERMINED))
    probed = usage.cover(before, after, to, _probe(languages))
    step(f"writing {len(ids):,} of {before.size:,} pieces")
    put(_cut(parts, ids, dump(kept)), new)
    return {
        "pieces": len(ids),
        "of": before.size,
        "languages": list(languages),
        "corpus": {name: of.as_json() for name, of in corpus.items()},
        "probe": {name: of.as_json() for name, of in probed.items()},
        "attachments": {name: "rows kept" if name in ROWS else "unchanged" for name in parts.attachments},
        "notes": [f"{len(ids):,} of {before.size:,} pieces are left", *_notes(options, languages, corpus, probed)],
    }


def _tokenizer(parts: Parts) -> Tokenizer:
    """Of the model as it is. Raises BadCheckpoint where the weights have other pieces."""
    found = tokenizer.open(parts.source.folder) if parts.vocabulary is None else Tokenizer(parse(parts.vocabulary))
    if found.size != parts.config.vocabulary:
        raise BadCheckpoint(
            f"{parts.source.folder}: the weights have {parts.config.vocabulary:,} pieces and the tokenizer {found.size:,}; "
            "are both of this model?"
        )
    return found


def _cut(parts: Parts, ids: np.ndarray, vocabulary: str) -> Parts:
    """The parts of the model with these pieces."""
    table = [*tensors.encoder(parts.config), *tensors.mlm_head(parts.config)]
    tall = frozenset(tensor.name for tensor in table if tensor.axes[0] == "vocabulary")
    attachments = {name: ROWS[name](of, ids, parts.config) if name in ROWS else of for name, of in parts.attachments.items()}
    return replace(
        parts,
        config=replace(parts.config, vocabulary=len(ids)),
        weights=Rows(parts.weights, tall, ids),
        attachments=attachments,
        vocabulary=vocabulary,
    )


def _probe(languages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Sentences in these languages, in all where there are none."""
    texts = probe.builtin()
    for language in languages or texts:
        yield from ((language, text) for text in texts.get(language, ()))


def _notes(options: Trim, languages: tuple[str, ...], corpus: Mapping[str, Coverage], probed: Mapping[str, Coverage]) -> list[str]:
    """What its user should know."""
    of = ", ".join(languages) if languages else "the corpus"
    notes = [f"it is for text in {of}; other text is cut into shorter pieces, and characters without a piece of their own are unknown"]
    for what, covered in (("texts of the corpus", corpus), ("sentences to try it on", probed)):
        if covered:
            notes.append(f"{what} that are cut exactly as before: {_shares(covered)}")
        if more := [f"{name} {found.as_json()['unknown_after']:.2%}" for name, found in covered.items() if found.newly_unknown]:
            notes.append(f"of the pieces of {what} so many are unknown now, more than before: {', '.join(more[:NAMED])}")
    if options.drop:
        notes.append(f"dropped: {', '.join(map(repr, options.drop))}")
    return notes


def _shares(covered: Mapping[str, Coverage]) -> str:
    """How many of the texts are the same, by language, the least first."""
    ordered = sorted(covered.items(), key=lambda item: item[1].same / item[1].texts)
    named = ", ".join(f"{name} {of.same:,} of {of.texts:,}" for name, of in ordered[:NAMED])
    return named + (f", and {len(ordered) - NAMED} others as many or more" if len(ordered) > NAMED else "")
