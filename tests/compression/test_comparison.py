"""Two models held against each other: agreement against a slow and plain count, and what must be so whatever they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

from xlmr import checkpoint
from xlmr import encoder as encoders
from xlmr.compression import agreement, comparison, memory, timing
from xlmr.compression.comparison import Check, Comparison
from xlmr.compression.parts import put, take
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads.classes import MULTI, REGRESSION

TEXTS = {
    "en": ("the cat drinks water in the house", "one big dog sleeps", "a good child reads two small books"),
    "de": ("die Katze trinkt Wasser", "das Kind liest ein Buch"),
    "ru": ("кошка пьёт", "книга и вода", "собака спит в городе"),
}
WEIGHTS_DIFFER = 0.02


@pytest.fixture(scope="module")
def other(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a little noise."""
    folder, dice = tmp_path_factory.mktemp("other"), np.random.default_rng(1)
    parts = take(checkpoint.open(tiny))
    noisy = {name: of + dice.standard_normal(of.shape, np.float32) * WEIGHTS_DIFFER for name, of in parts.weights.items()}
    put(replace(parts, weights=noisy), folder)
    return folder


@pytest.fixture(scope="module")
def sides(tiny: Path, other: Path) -> agreement.Sides:
    return load(tiny), load(other)


def load(folder: Path) -> Encoder:
    return encoders.load(folder, threads=1)


def likeliest(encoder: Encoder, row: list[int], place: int, hidden: list[int]) -> list[int]:
    """The five likeliest pieces at one place of one row with masks at some."""
    given = [encoder.tokenizer.mask_id if i in hidden else piece for i, piece in enumerate(row)]
    logits = encoder.runtime.mlm_logits(np.array([given]), np.array([[0, place]]))[0]
    ranked = [int(i) for i in np.argsort(-logits) if encoder.tokenizer.piece(int(i)) not in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
    return ranked[:5]


def test_a_model_agrees_with_itself(sides: agreement.Sides) -> None:
    same = sides[0], sides[0]
    found = agreement.fillings(same, TEXTS)
    assert found is not None
    assert {*found.top1.languages.values()} == {*found.top5.languages.values()} == {1.0}
    assert found.alike == 1
    assert found.places == sum(len(sides[0].tokenizer.encode(text).ids) - 2 for of in TEXTS.values() for text in of)
    vectors = agreement.vectors(same, TEXTS)
    assert vectors is not None
    assert vectors.least == pytest.approx(1)


def test_agreement_is_what_counting_one_place_at_a_time_gives(sides: agreement.Sides) -> None:
    found = agreement.fillings(sides, TEXTS)
    assert found is not None
    for language, texts in TEXTS.items():
        firsts, fives = [], []
        for text in texts:
            row = sides[0].tokenizer.encode(text).ids
            for place in range(1, len(row) - 1):
                hidden = [i for i in range(1, len(row) - 1) if i % 7 == place % 7]
                one, theirs = (likeliest(side, row, place, hidden) for side in sides)
                firsts.append(one[0] == theirs[0])
                fives.append(len({*one} & {*theirs}) / 5)
        assert found.top1.languages[language] == pytest.approx(np.mean(firsts))
        assert found.top5.languages[language] == pytest.approx(np.mean(fives))
    assert 0 < found.top1.mean < 1
    assert found.top1.mean == pytest.approx(np.mean([*found.top1.languages.values()]))
    assert found.top1.languages[found.top1.worst] == min(found.top1.languages.values())


def test_every_piece_is_hidden_once_and_one_in_seven_at_a_time(sides: agreement.Sides) -> None:
    every = agreement.sentences(sides, TEXTS)
    mask = sides[0].tokenizer.mask_id
    for sentence in every:
        asked = [of for of in agreement.masked(every) if of.of is sentence]
        hidden = sorted(place for of in asked for place, _ in of.places)
        assert hidden == [*range(1, len(sentence.rows[0]) - 1)]
        for of in asked:
            row = of.row(0, mask)
            assert [i for i, piece in enumerate(row) if piece == mask] == [place for place, _ in of.places]
            assert len(of.places) <= -(-len(hidden) // 7)


def test_pieces_are_compared_by_their_names(tiny: Path, tmp_path: Path) -> None:
    reordered(tiny, tmp_path, keep=lambda piece: True)
    same = agreement.fillings((load(tiny), load(tmp_path)), TEXTS)
    assert same is not None
    assert same.top1.mean == same.top5.mean == 1


def test_only_what_both_cut_alike_is_compared(tiny: Path, tmp_path: Path) -> None:
    reordered(tiny, tmp_path, keep=lambda piece: piece != "▁cat")
    sides = load(tiny), load(tmp_path)
    cat, *others = agreement.sentences(sides, TEXTS)
    row = [sides[0].tokenizer.piece(i) for i in cat.rows[0]]
    assert [row[place] for place, _ in cat.places] == [piece for piece in row[1:-1] if piece != "▁cat"]
    for one, two in cat.places:
        assert sides[0].tokenizer.piece(cat.rows[0][one]) == sides[1].tokenizer.piece(cat.rows[1][two])
    assert all(len(of.places) == len(of.rows[0]) - 2 for of in others)
    found = agreement.fillings(sides, TEXTS)
    assert found is not None
    assert found.alike == pytest.approx(1 - 1 / sum(len(of.rows[0]) - 2 for of in (cat, *others)))


def test_where_nothing_is_cut_alike_there_is_no_agreement(tiny: Path, tmp_path: Path) -> None:
    reordered(tiny, tmp_path, keep=lambda piece: piece != "▁cat")
    assert agreement.fillings((load(tiny), load(tmp_path)), {"en": ("cat",)}) is None


def reordered(tiny: Path, folder: Path, keep: Callable[[str], bool]) -> None:
    """The tiny model with pieces left out and the others in another order."""
    parts = take(checkpoint.open(tiny))
    text = json.loads((tiny / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = text["model"]["vocab"]
    middle = np.array([i for i in range(4, len(pieces) - 1) if keep(pieces[i][0])])
    order = [*range(4), *np.random.default_rng(0).permutation(middle).tolist(), len(pieces) - 1]
    text["model"]["vocab"] = [pieces[i] for i in order]
    for token in text["added_tokens"]:
        token["id"] = order.index(token["id"])
    rows = {"embeddings.words.weight", "head.bias"}
    weights = {name: of[order] if name in rows else of for name, of in parts.weights.items()}
    config = replace(parts.config, vocabulary=len(order))
    put(replace(parts, config=config, weights=weights, vocabulary=json.dumps(text, ensure_ascii=False)), folder)


def test_cosines_are_those_of_the_vectors(sides: agreement.Sides) -> None:
    found = agreement.vectors(sides, TEXTS)
    assert found is not None
    flat = [text for of in TEXTS.values() for text in of]
    ours, theirs = (agreement.embedded(side, flat) for side in sides)
    each = [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in zip(ours, theirs, strict=True)]
    assert found.mean == pytest.approx(np.mean(each))
    assert found.least == pytest.approx(min(each))
    assert found.shares.languages["de"] == pytest.approx(np.mean(each[3:5]))
    assert found.least < 0.9999


def test_vectors_of_other_sizes_have_no_cosine(tiny: Path, make_checkpoint: Callable[..., Path]) -> None:
    wide = make_checkpoint(replace(checkpoint.open(tiny).config, width=48))
    assert agreement.vectors((load(tiny), load(wide)), TEXTS) is None


@pytest.mark.parametrize(
    ("architecture", "labels", "problem", "what"),
    [
        (CLASSIFIER, TOPICS, "", "labels of texts"),
        (CLASSIFIER, TOPICS, MULTI, "labels of texts"),
        (TAGGER, NAMES, "", "tags of words"),
        (EXTRACTOR, (), "", "answers"),
    ],
)
def test_where_there_is_a_head_it_is_asked(tuned, architecture, labels, problem, what) -> None:
    more = {"problem": problem} if problem else {}
    ours, theirs = (load(tuned(architecture, labels, seed, **more)) for seed in (0, 1))
    found = agreement.said((ours, ours), TEXTS)
    assert found is not None
    assert found[0] == what
    assert found[1].languages == dict.fromkeys(TEXTS, 1.0)
    apart = agreement.said((ours, theirs), TEXTS)
    assert apart is not None
    for language, of in TEXTS.items():
        one, other = (agreement.asked(side, of) for side in (ours, theirs))
        assert apart[1].languages[language] == pytest.approx(np.mean([one[key] == other[key] for key in one]))


def test_numbers_of_a_regression_are_compared_by_nothing_but_vectors(tuned) -> None:
    folder = tuned(CLASSIFIER, ("score",), problem=REGRESSION)
    found = compared(folder, folder)
    assert found.answers is None
    assert found.fillings is None
    assert found.measure == "vectors of texts"
    assert found.agreement == pytest.approx(1)


def compared(before: Path, after: Path, **more: object) -> Comparison:
    return comparison.compare(before, after, Check(TEXTS, rounds=3), **more)


def test_what_was_made_is_held_against_what_it_was_made_of(tiny: Path, other: Path, sides: agreement.Sides) -> None:
    steps: list[str] = []
    found = compared(tiny, other, step=steps.append)
    assert found.fillings == agreement.fillings(sides, TEXTS)
    assert found.agreement == found.fillings.top1.mean
    assert found.measure == "likeliest fillings"
    assert found.raw is None
    assert found.parameters.before == found.parameters.after == sum(of.size for of in checkpoint.weights(checkpoint.open(tiny)).values())
    assert found.weights.before == (tiny / "model.safetensors").stat().st_size
    assert found.seconds.rounds == 3
    assert found.seconds.of == "fill-mask"
    assert (found.texts, found.languages) == (8, ("en", "de", "ru"))
    assert steps[:2] == ["measuring memory", "comparing answers to 8 texts in 3 languages"]


def test_other_files_in_a_folder_count_for_nothing(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    before = comparison.size(checkpoint.open(folder))
    assert before == sum((folder / name).stat().st_size for name in ("config.json", "tokenizer.json", "model.safetensors"))
    (folder / "pytorch_model.bin").write_bytes(b"x" * 1_000)
    assert comparison.size(checkpoint.open(folder)) == before


def test_languages_of_the_new_model_alone_are_asked(tiny: Path) -> None:
    assert compared(tiny, tiny, languages=["de", "fr"]).languages == ("de",)


def test_calibrated_vectors_are_compared_and_raw_ones_beside_them(tmp_path: Path) -> None:
    found = comparison.compare(checkpoint.open().folder, checkpoint.open().folder, Check({"en": ("good morning",)}, rounds=3))
    assert found.raw is not None
    assert found.vectors is not None
    assert found.raw.mean == pytest.approx(1, abs=1e-6)


def test_scores_are_those_of_evaluating_each(tuned, tmp_path: Path) -> None:
    one, other = (tuned(CLASSIFIER, TOPICS, seed) for seed in (0, 1))
    rows = [("en", text, TOPICS[i % 3]) for i, text in enumerate(TEXTS["en"])] + [("de", text, "cats") for text in TEXTS["de"]]
    (tmp_path / "dev.tsv").write_text("lang\ttext\tlabel\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    check = Check(TEXTS, (str(tmp_path / "dev.tsv"),), rounds=3)
    examples = comparison.prepare(checkpoint.open(one), check)
    assert len(examples) == 5
    found = comparison.compare(one, other, check, examples).scores
    assert found is not None
    for folder, score in ((one, found.before), (other, found.after)):
        said = agreement.asked(load(folder), [text for _, text, _ in rows])
        right = [said[i] == label for i, (_, _, label) in enumerate(rows)]
        assert score.languages["de"] == pytest.approx(np.mean(right[3:]))
        assert score.languages["en"] == pytest.approx(np.mean(right[:3]))
    assert found.before.metric == "accuracy"


def test_labelled_data_for_a_model_without_a_head_are_refused(tiny: Path) -> None:
    with pytest.raises(BadInput, match="the model has no head for a task"):
        comparison.prepare(checkpoint.open(tiny), Check(dev=("en=x.tsv",)))


@pytest.mark.parametrize("wanted", [{"agreement": 1.5}, {"agreement": float("nan")}, {"rounds": 0}])
def test_a_check_that_means_nothing_is_refused(wanted: dict) -> None:
    with pytest.raises(BadInput):
        Check(**wanted)


def test_a_model_whose_numbers_are_not_finite_is_told(tiny: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = load(other)
    monkeypatch.setattr(type(broken.runtime), "mlm_logits", lambda self, ids, picks: np.full((len(picks), 500), np.nan, np.float32))
    with pytest.raises(BadCheckpoint, match="not finite"):
        agreement.fillings((broken, broken), TEXTS)


def test_a_text_longer_than_the_model_takes_is_cut(sides: agreement.Sides) -> None:
    (of,) = agreement.sentences(sides, {"en": ("the cat drinks water " * 50,)})
    assert len(of.rows[0]) == sides[0].config.longest


def test_time_is_taken_in_turns(sides: agreement.Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(timing, "_ask", lambda encoder, batch, side, fills: asked.append(side))
    found = timing.measure(sides, agreement.sentences(sides, TEXTS), fills=True, rounds=4)
    assert found.rounds == 4
    assert asked == [0, 1, 0, 1, 1, 0, 0, 1, 1, 0]  # both once for nothing; then each round has one batch, and the other goes first


def test_where_no_piece_is_cut_alike_the_states_are_timed(tiny: Path, tmp_path: Path) -> None:
    reordered(tiny, tmp_path, keep=lambda piece: piece != "▁cat")
    found = comparison.compare(tiny, tmp_path, Check({"en": ("cat",)}, rounds=3))
    assert found.fillings is None
    assert found.seconds.of == "hidden states"
    assert found.measure == "vectors of texts"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what memory a process has")
def test_memory_is_that_of_a_process_of_its_own(tiny: Path) -> None:
    ballast = np.ones(100_000_000, np.float32)  # 400 MB of this process
    found = memory.measure(tiny, ["the cat drinks", "die Katze trinkt"])
    assert found.idle is not None
    assert found.loaded is not None
    assert found.peak is not None
    assert 0 < found.idle < found.loaded <= found.peak < ballast.nbytes


def test_where_the_process_fails_memory_is_not_known(tmp_path: Path) -> None:
    assert memory.measure(tmp_path, ["the cat"]) == memory.Memory(None, None, None)


def test_a_fine_tuned_model_has_memory_too(tuned) -> None:
    found = memory.measure(tuned(TAGGER, NAMES), ["the cat drinks"])
    assert (found.loaded is None) == (not Path("/proc/self/status").exists())
