import json
import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xlmr import checkpoint
from xlmr import encoder as encoders
from xlmr.checkpoint import attachments
from xlmr.evaluation import benchmarks, prediction, questions, scores
from xlmr.heads.calibration import Calibration, Table
from xlmr.tasks import calibrations
from xlmr.training import corpus
from xlmr.training.corpus import Corpus

SMALL = scores.Counts(words=6, foreign_words=2, pieces=5, transfer=4, train_sentences=3, dev_sentences=2)


@pytest.fixture(scope="module")
def subject(tmp_path_factory, make_checkpoint, lines):
    """Everything `measure` reads, made up."""
    folder = tmp_path_factory.mktemp("run")
    rows = [{"language": line.language, "source": line.source, "id": line.id, "text": line.text} for line in lines]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model, start = make_checkpoint(), make_checkpoint(seed=1)
    tokenizer = encoders.load(model).tokenizer
    pieces = [questions.pieces(tokenizer, line.text) for line in lines]
    text = Corpus(np.concatenate(pieces).astype(np.uint16), np.cumsum([0, *map(len, pieces)]),
                  np.array([line.language == "en" for line in lines], np.uint8), np.full(len(lines), -1, np.int32),
                  np.zeros(len(lines), bool), ("de", "en"))  # fmt: skip
    corpus.save(text, folder / "corpus.safetensors")
    write_benchmarks(folder / "bench")
    return scores.Subject(
        model=model, start=start, corpus_file=folder / "corpus.safetensors", corpus=lambda: corpus.load(folder / "corpus.safetensors"),
        heldout_file=folder / "heldout.jsonl", bench=folder / "bench", counts=SMALL, threads=1,
    )  # fmt: skip


def write_benchmarks(folder: Path) -> None:
    for name in ("sib200", "tatoeba", "udpos"):
        (folder / name).mkdir(parents=True)
    texts = [(language, *of) for language in ("en", "de") for of in (("sports", "the cat reads"), ("travel", "das Haus ist groß"))]
    rows = ["lang\tflores\tindex_id\tcategory\ttext", *(f"{language}\t?\t0\t{topic}\t{text}" for language, topic, text in texts)]
    for part in ("train", "dev"):
        (folder / "sib200" / f"{part}.tsv.xz").write_bytes(lzma.compress("\n".join(rows).encode()))
    pairs = ["lang\tpair\tsource\tenglish", "deu\t0\tHaus\thouse", "deu\t1\tBuch\tbook"]
    (folder / "tatoeba" / "tatoeba12.tsv").write_text("\n".join(pairs), encoding="utf-8")
    for name in ("en.train", "en.dev", "de.dev", "wo.dev"):
        (folder / "udpos" / f"{name}.conll").write_text("the\tDET\ncat\tNOUN\n\nreads\tVERB\n\n", encoding="utf-8")


@pytest.fixture(scope="module")
def found(subject, tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    assert list(scores.measure(subject, path)) == list(scores.PARTS)
    return path


def test_every_part_is_written(found):
    parts = json.loads(found.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert list(parts) == list(scores.PARTS)
    assert list(parts["prediction"]["heldout"]) == ["model", "model_words"]
    assert list(parts["counts"]["sib200"]) == ["unigrams", "trigrams", "guesser"]
    assert list(parts["retrieval"]["tatoeba"]["plain"]) == ["0", "1", "2"]
    assert list(parts["retrieval of static vectors"]["ntrex"]["plain"]) == ["0"]
    assert sorted(parts["probes"]["pos"]["plain"]["languages"]) == ["de", "en", "wo"]
    assert parts["transfer"]["all"]["questions"] == 4


def test_model_and_counts_are_asked_the_same(found):
    parts = json.loads(found.read_text(encoding="utf-8"))
    for source in ("heldout", "sib200"):
        asked = {name: part["all"]["questions"] for of in ("prediction", "counts") for name, part in parts[of][source].items()}
        assert len(set(asked.values())) == 1
    characters = [parts["prediction"]["characters"]["model"], *parts["counts"]["characters"].values()]
    assert [of["all"]["questions"] for of in characters] == [10] * 4


def test_what_is_measured_is_not_measured_again(subject, found, monkeypatch):
    monkeypatch.setattr(scores, "PARTS", {name: (files, pytest.fail) for name, (files, _) in scores.PARTS.items()})
    before = found.read_bytes()
    assert list(scores.measure(subject, found)) == list(scores.PARTS)
    assert found.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"model": "other"}, {"prediction", "retrieval", "retrieval of calibrated vectors", "probes", "transfer"}),
        ({"start": "other"}, {"retrieval of static vectors", "probes of static vectors"}),
        ({"counts": replace(SMALL, words=5)}, set(scores.PARTS)),
    ],
    ids=["model", "start", "counts"],
)
def test_what_has_changed_is_measured_again(subject, found, make_checkpoint, monkeypatch, tmp_path, change, again):
    measured = []

    def noted(name):
        return lambda subject: measured.append(name) or {}

    monkeypatch.setattr(scores, "PARTS", {name: (files, noted(name)) for name, (files, _) in scores.PARTS.items()})
    path = tmp_path / "scores.json"
    path.write_bytes(found.read_bytes())
    list(scores.measure(replace(subject, **{key: make_checkpoint(seed=7) if of == "other" else of for key, of in change.items()}), path))
    assert set(measured) == again


def test_another_calibration_is_measured_again(subject, found, monkeypatch, tmp_path):
    """Here one that finds every translation of Tatoeba's."""
    shutil.copytree(subject.model, tmp_path / "model")
    texts = [text for sides in benchmarks.tatoeba(subject.bench / "tatoeba").values() for side in sides for text in side]
    ids = [subject.encoder.tokenizer.encode(text).ids[1:-1] for text in texts]
    pieces = np.zeros((subject.encoder.config.vocabulary, 2), np.int8)
    for text, of in zip(texts, ids, strict=True):
        pieces[of] = {"Haus": (9, 1), "house": (9, 1), "Buch": (1, 9), "book": (1, 9)}[text]
    table = Table(pieces, np.zeros(0, np.uint32), np.zeros((0, 2), np.int8), 1.0)
    packed = calibrations.pack(Calibration(2, table, None), {})
    attachments.write(tmp_path / "model", calibrations.NAME, packed, attachments.fingerprint(checkpoint.open(subject.model)))
    (tmp_path / "scores.json").write_bytes(found.read_bytes())
    name = "retrieval of calibrated vectors"
    monkeypatch.setattr(scores, "PARTS", {name: scores.PARTS[name]})
    assert list(scores.measure(replace(subject, model=tmp_path / "model"), tmp_path / "scores.json")) == [name]
    parts = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert parts[name]["tatoeba"] == {"pool": {"de": 2}, "languages": {"de": 1.0}, "mean": 1.0}
    assert {key: of for key, of in parts.items() if key != name} == {
        key: of for key, of in json.loads(found.read_text(encoding="utf-8")).items() if key != name
    }


def test_a_killed_measurement_keeps_the_parts_it_has(subject, tmp_path, monkeypatch):
    path = tmp_path / "scores.json"
    run = scores.measure(subject, path)
    next(run)
    monkeypatch.setattr(prediction, "model", pytest.fail)  # the first part is not asked again
    rest = scores.measure(subject, path)
    assert [next(rest), next(rest)] == ["prediction", "counts"]
