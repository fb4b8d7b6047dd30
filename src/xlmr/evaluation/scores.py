"""All that is measured of a pretrained model, its static start and the counts of its text, in one JSON, part by part.

A part is measured again only when what it was measured on has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xlmr import encoder as encoders
from xlmr.checkpoint import attachments
from xlmr.checkpoint.folder import TOKENIZER, WEIGHTS
from xlmr.encoder import Encoder
from xlmr.evaluation import benchmarks, guesser, prediction, probes, questions, retrieval, transfer
from xlmr.evaluation.benchmarks import Line, Tagged
from xlmr.evaluation.guesser import Corpus
from xlmr.evaluation.questions import Question
from xlmr.tasks import calibrations

SEED = 1
XTREME = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh".split()
"""The 33 languages of XTREME's part-of-speech task (Hu et al. 2020, table 1); the mean is over those that are there."""
BASELINES = {"unigrams": guesser.UNIGRAMS, "trigrams": guesser.TRIGRAMS, "guesser": guesser.CONTEXTS}
SOURCES = ("heldout", "sib200")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is measured; of each language, unless said otherwise."""

    words: int = 120
    """Hidden words in held-out lines."""
    foreign_words: int = 60
    """Hidden words in text that is none of the training text's kind: SIB-200's development sentences."""
    pieces: int = 100
    """Hidden pieces for bits per character, in held-out lines."""
    transfer: int = 60
    train_sentences: int = 2_000
    """English sentences that part-of-speech probes learn from."""
    dev_sentences: int = 300
    """Sentences they are asked in."""


@dataclass(frozen=True)
class Subject:
    """What is measured, and on what. Files are read when a part needs them."""

    model: Path
    """A checkpoint's folder."""
    start: Path
    """The checkpoint it started from: static vectors, which are its layer 0."""
    corpus_file: Path
    corpus: Callable[[], Corpus]
    """Reads the text it learnt from."""
    heldout_file: Path
    bench: Path
    """Holds `sib200/`, `tatoeba/` and `udpos/`, as benchmarks reads them."""
    counts: Counts
    threads: int | None = None

    @cached_property
    def heldout(self) -> list[Line]:
        """The lines that were kept back."""
        return benchmarks.heldout(self.heldout_file)

    @cached_property
    def encoder(self) -> Encoder:
        """The model, started."""
        return encoders.load(self.model, threads=self.threads)

    @cached_property
    def static(self) -> Encoder:
        """What it started from."""
        return encoders.load(self.start, threads=self.threads)

    @cached_property
    def marks(self) -> questions.Marks:
        """What the vocabulary's pieces are."""
        return questions.look_at(self.encoder.tokenizer)

    @cached_property
    def words(self) -> dict[str, list[Question]]:
        """Hidden words by where they stand."""
        sib = [Line(topic.language, "sib200", "", topic.text) for topic in benchmarks.topics(self.bench / "sib200" / "dev.tsv")]
        counts = {"heldout": (self.heldout, self.counts.words), "sib200": (sib, self.counts.foreign_words)}
        return {source: self._draw(lines, questions.whole_words, count) for source, (lines, count) in counts.items()}

    @cached_property
    def pieces(self) -> list[Question]:
        """Hidden pieces, for bits per character."""
        return self._draw(self.heldout, questions.known, self.counts.pieces)

    @property
    def layers(self) -> range:
        """All of the model's."""
        return range(self.encoder.config.layers + 1)

    def _draw(self, lines: list[Line], places: Callable[[np.ndarray, questions.Marks], np.ndarray], count: int) -> list[Question]:
        marks = self.marks
        return questions.draw(lines, self.encoder.tokenizer, lambda ids: places(ids, marks), count=count, seed=SEED)


def measure(subject: Subject, path: Path) -> Iterator[str]:
    """Measure what `path` does not have yet of this subject, and write it there; yields the name of each part as soon as it is there."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, (files, part) in PARTS.items():
        of = [file_hash(file) for file in files(subject)] + [repr(subject.counts)]
        if found.get(name, {}).get("of") != of:
            found[name] = {"of": of, **part(subject)}
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(_rounded(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            partial.replace(path)
        yield name


def predicted_by_model(subject: Subject) -> dict[str, Any]:
    """`model`, `model_words` in `heldout` and `sib200`; `characters`."""
    found: dict[str, Any] = {}
    for source, asked in subject.words.items():
        prompts = [prediction.alone(subject.encoder, question) for question in asked]
        free, among = prediction.model(subject.encoder, prompts, [subject.marks.text, subject.marks.word])
        found[source] = {"model": prediction.words(asked, free), "model_words": prediction.words(asked, among)}
    prompts = [prediction.alone(subject.encoder, question) for question in subject.pieces]
    (guesses,) = prediction.model(subject.encoder, prompts, [subject.marks.text])
    return found | {"characters": {"model": prediction.characters(subject.pieces, guesses, subject.marks)}}


def predicted_by_counts(subject: Subject) -> dict[str, Any]:
    """`unigrams`, `trigrams` and `guesser`, as `predicted_by_model`."""
    corpus, contexts = subject.corpus(), list(BASELINES.values())
    asked = [question for source in SOURCES for question in subject.words[source]]
    found: dict[str, Any] = {source: {} for source in SOURCES}
    for name, guesses in zip(BASELINES, prediction.counts(corpus, asked, subject.marks, words=True, contexts=contexts), strict=True):
        first = len(subject.words["heldout"])
        for source, rows in zip(SOURCES, (slice(first), slice(first, None)), strict=True):
            part = replace(guesses, ranks=guesses.ranks[rows], bits=guesses.bits[rows])
            found[source][name] = prediction.words(subject.words[source], part)
    by_piece = prediction.counts(corpus, subject.pieces, subject.marks, words=False, contexts=contexts)
    named = zip(BASELINES, by_piece, strict=True)
    return found | {"characters": {name: prediction.characters(subject.pieces, guesses, subject.marks) for name, guesses in named}}


def retrieved(subject: Subject, encoder: Encoder, layers: range) -> dict[str, Any]:
    """`tatoeba` and `ntrex` (its held-out ids)."""
    pairs = {"tatoeba": benchmarks.tatoeba(subject.bench / "tatoeba"), "ntrex": benchmarks.translations(subject.heldout)}
    return {name: retrieval.measure(encoder, of, layers) for name, of in pairs.items()}


def calibrated(subject: Subject) -> dict[str, Any]:
    """`tatoeba` and `ntrex`, by the calibrated vectors of texts: `pool`, `languages` and their `mean`; nothing where there are none."""
    if calibrations.find(subject.encoder) is None:
        return {}
    pairs = {"tatoeba": benchmarks.tatoeba(subject.bench / "tatoeba"), "ntrex": benchmarks.translations(subject.heldout)}
    found: dict[str, Any] = {}
    for name, of in pairs.items():
        rows = ((code, ours, english) for code, sides in of.items() for ours, english in zip(*sides, strict=True))
        measured = retrieval.evaluate(subject.encoder, rows)
        pool = {code: part.pairs for code, part in measured.pools.items()}
        found[name] = {"pool": pool, "languages": measured.languages, "mean": measured.mean}
    return found


def probed(subject: Subject, encoder: Encoder, layers: range) -> dict[str, Any]:
    """`pos`, its mean over XTREME's languages and `others`, and `topics`."""
    folder, counts = subject.bench / "udpos", subject.counts
    dev = {path.name.split(".")[0]: _some(benchmarks.tagged(path), counts.dev_sentences) for path in sorted(folder.glob("*.dev.conll"))}
    train = _some(benchmarks.tagged(folder / "en.train.conll"), counts.train_sentences)
    pos = probes.parts_of_speech(encoder, train, dev, layers, means=XTREME)
    parts = [benchmarks.topics(subject.bench / "sib200" / f"{part}.tsv") for part in ("train", "dev")]
    return {"pos": pos, "topics": probes.topics(encoder, parts[0], parts[1], layers)}


def transferred(subject: Subject) -> dict[str, Any]:
    """See `transfer.measure`."""
    return transfer.measure(subject.encoder, subject.heldout, count=subject.counts.transfer, seed=SEED)


STATIC = range(1)
Files = Callable[[Subject], list[Path]]
PARTS: dict[str, tuple[Files, Callable[[Subject], dict[str, Any]]]] = {
    "prediction": (lambda of: _files(of, of.model, "sib200"), predicted_by_model),
    "counts": (lambda of: [of.model / TOKENIZER, of.corpus_file, of.heldout_file, *_set(of, "sib200")], predicted_by_counts),
    "retrieval": (lambda of: _files(of, of.model, "tatoeba"), lambda of: retrieved(of, of.encoder, of.layers)),
    "retrieval of static vectors": (lambda of: _files(of, of.start, "tatoeba"), lambda of: retrieved(of, of.static, STATIC)),
    "retrieval of calibrated vectors": (lambda of: [*_calibration(of), *_files(of, of.model, "tatoeba")], calibrated),
    "probes": (lambda of: _files(of, of.model, "udpos", "sib200"), lambda of: probed(of, of.encoder, of.layers)),
    "probes of static vectors": (lambda of: _files(of, of.start, "udpos", "sib200"), lambda of: probed(of, of.static, STATIC)),
    "transfer": (lambda of: _files(of, of.model), transferred),
}
"""Of what files each part is, and how it is measured."""


def _files(of: Subject, model: Path, *sets: str) -> list[Path]:
    """A model's, the held-out lines and the published sets."""
    return [model / WEIGHTS, model / TOKENIZER, of.heldout_file, *(path for name in sets for path in _set(of, name))]


def _calibration(of: Subject) -> list[Path]:
    return [path for path in [attachments.path_of(of.model, calibrations.NAME)] if path.exists()]


def _set(of: Subject, name: str) -> list[Path]:
    return sorted(path for path in (of.bench / name).iterdir() if path.is_file())


def file_hash(path: Path) -> str:
    """What a file is known by in the scores."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _some(sentences: list[Tagged], count: int) -> list[Tagged]:
    chosen = np.random.default_rng(SEED).permutation(len(sentences))[:count]
    return [sentences[i] for i in sorted(chosen)]


def _rounded(value: Any) -> Any:
    """Five digits after the point: more say nothing, and make the file long."""
    if isinstance(value, dict):
        return {key: _rounded(of) for key, of in value.items()}
    return round(value, 5) if isinstance(value, float) else value
