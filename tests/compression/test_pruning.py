"""A pruned model is the model in which what was left out says nothing, on every runtime; what cannot be pruned is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xlmr
from xlmr import checkpoint, export, runtimes
from xlmr.checkpoint import Checkpoint, attachments
from xlmr.compression import importance, narrowing, probe
from xlmr.compression.narrowing import Narrow
from xlmr.compression.parts import put, take
from xlmr.compression.pruning import Prune, prune
from xlmr.compression.recovering import Recovery
from xlmr.config import Config
from xlmr.errors import BadInput

IDS = np.array([[0, 5, 77, 310, 8, 2], [0, 9, 499, 2, 1, 1]])
PICKS = np.array([[0, 2], [1, 2]])
ROWS = [[0, *range(5 + 9 * i, 5 + 9 * i + 12), 2] for i in range(40)]
FRAMEWORK = {"onnx": "onnxruntime", "torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}
TINY = Config(vocabulary=500, width=32, layers=2, heads=4, inner=64, positions=66)
BIG = replace(TINY, layers=3)


def pruned(model: Path | None, new: Path, **options) -> Checkpoint:
    new.mkdir()
    prune(take(checkpoint.open(model)), new, Prune(**options), lambda _: None)
    return checkpoint.open(new)


def silenced(whole: Checkpoint, made: narrowing.Parts, heads: list[list[int]], inner: list[np.ndarray], layers: list[int]) -> dict:
    """All weights of the layers that are left, with zeros where the parts that went go out; the others' columns as they became."""
    config, new = whole.config, made.weights
    found = {name: checkpoint.read(whole, name) for name in whole.stored if not name.startswith("layers.")}
    for place, layer in enumerate(layers):
        for name in whole.stored:
            if name.startswith(f"layers.{layer}."):
                found[name.replace(str(layer), str(place), 1)] = checkpoint.read(whole, name)
        for out, kept, size in (("attention_out", heads, config.head_width), ("shrink", inner, 1)):
            name = f"layers.{place}.{out}"
            found[f"{name}.bias"] = new[f"{name}.bias"]
            places = importance.columns(np.array(kept[place]), size)
            found[f"{name}.weight"] = np.zeros_like(found[f"{name}.weight"])
            found[f"{name}.weight"][:, places] = new[f"{name}.weight"]
    return found


@pytest.mark.parametrize("refit", [True, False], ids=["refitted", "as it was"])
@pytest.mark.parametrize("name", runtimes.NAMES)
def test_pruning_is_masking_the_same_parts(
    name: str, refit: bool, make_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(FRAMEWORK[name]) is None:
        pytest.skip(f"needs {name}")
    whole, units, choose = checkpoint.open(make_checkpoint(BIG)), list[np.ndarray](), importance.choose

    def watched(said, weight, size, keep, **more):
        found = choose(said, weight, size, keep, **more)
        if size == 1:
            units.append(found.kept)
        return found

    monkeypatch.setattr(importance, "choose", watched)
    made, facts = narrowing.shrink(take(whole), ROWS, Narrow(heads=3, inner=40, layers=2, refit=refit), lambda _: None)
    masked = silenced(whole, made, facts["heads"], units, facts["layers"])
    for folder, parts in (("made", made), ("masked", replace(take(whole), config=replace(BIG, layers=2), weights=masked))):
        (tmp_path / folder).mkdir()
        put(parts, tmp_path / folder)
    small, large = checkpoint.open(tmp_path / "made"), checkpoint.open(tmp_path / "masked")
    assert (small.config.layers, small.config.heads, small.config.head_width, small.config.inner) == (2, 3, TINY.head_width, 40)
    ours, theirs = runtimes.start(small, name), runtimes.start(large)
    for mine, wanted in zip(ours.hidden_states(IDS, range(3)), theirs.hidden_states(IDS, range(3)), strict=True):
        np.testing.assert_allclose(mine[IDS != 1], wanted[IDS != 1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.mlm_logits(IDS, PICKS), theirs.mlm_logits(IDS, PICKS), rtol=0, atol=2e-5)
    assert np.abs(theirs.mlm_logits(IDS, PICKS) - runtimes.start(whole).mlm_logits(IDS, PICKS)).max() > 0.1, "nothing was pruned"


def test_not_refitted_columns_are_the_models_own(make_checkpoint: Callable[..., Path]) -> None:
    whole = checkpoint.open(make_checkpoint(BIG))
    made, facts = narrowing.shrink(take(whole), ROWS, Narrow(heads=2, refit=False), lambda _: None)
    for layer, heads in enumerate(facts["heads"]):
        places = importance.columns(np.array(heads), BIG.head_width)
        for name, axis in (("query.weight", 0), ("key.bias", 0), ("value.weight", 0), ("attention_out.weight", 1)):
            name = f"layers.{layer}.{name}"
            np.testing.assert_array_equal(made.weights[name], checkpoint.read(whole, name).take(places, axis))


def test_the_model_inside_keeps_its_attachments_and_answers(tmp_path: Path) -> None:
    file = tmp_path / "texts.tsv"
    file.write_text("lang\ttext\n" + "".join(f"{code}\t{text}\n" for code, texts in probe.builtin(1).items() for text in texts), "utf-8")
    made = pruned(None, tmp_path / "new", inner=960, texts=(str(file),))
    assert attachments.names(made.folder) == attachments.names(checkpoint.open().folder)
    assert made.stored["embeddings.words.weight"].dtype == "float16"
    before, after = xlmr.load(), xlmr.load(tmp_path / "new")
    assert after.identify_language("Kje je knjižnica?")[0].code == before.identify_language("Kje je knjižnica?")[0].code == "sl"
    text = "Paris est la capitale de la <mask>."
    assert after.fill_mask(text)[0].text == before.fill_mask(text)[0].text


def test_a_layer_left_out_leaves_the_others_as_they_were(tiny: Path, tmp_path: Path) -> None:
    whole, made = checkpoint.open(tiny), pruned(tiny, tmp_path / "new", layers=1)
    (at,) = narrowing.shrink(take(whole), ROWS, Narrow(layers=1), lambda _: None)[1]["layers"]
    for name in made.stored:
        np.testing.assert_array_equal(checkpoint.read(made, name), checkpoint.read(whole, name.replace("layers.0", f"layers.{at}")))


@pytest.mark.parametrize("options", [{"magnitude": 0.5}, {"pattern": "2:4"}, {"pattern": "2:4", "with_embeddings": True}], ids=str)
def test_half_of_the_layers_weights_are_zero_and_no_others(options: dict, tiny: Path, tmp_path: Path) -> None:
    whole, made = checkpoint.open(tiny), pruned(tiny, tmp_path / "new", **options)
    for name in whole.stored:
        old, new = checkpoint.read(whole, name), checkpoint.read(made, name)
        if (name.startswith("layers.") and old.ndim == 2) or (name == "embeddings.words.weight" and "with_embeddings" in options):
            assert np.count_nonzero(new) == old.size / 2
            assert ((new == 0) | (new == old)).all()
        else:
            np.testing.assert_array_equal(new, old)


def test_a_model_with_a_head_keeps_it(tuned: Callable[..., Path], tmp_path: Path) -> None:
    model = tuned("XLMRobertaForSequenceClassification", ("no", "yes"))
    made = pruned(model, tmp_path / "new", heads=3, inner=60)
    assert made.task is not None
    assert made.task.labels == ("no", "yes")
    wanted, found = checkpoint.head_weights(checkpoint.open(model)), checkpoint.head_weights(made)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert {label.label for label in xlmr.load(tmp_path / "new").classify("ein Haus")} == {"no", "yes"}


def test_texts_of_ones_own_weigh_parts(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.tsv"
    file.write_text("lang\ttext\n" + "".join(f"{code}\tthe cat reads a book {i}\n" for code in ("de", "en") for i in range(20)), "utf-8")
    new = tmp_path / "new"
    new.mkdir()
    facts = prune(take(checkpoint.open(tiny)), new, Prune(heads=2, texts=(str(file),)), lambda _: None)
    assert facts["texts"] == 40
    assert not any("sentences that come with xlmr" in note for note in facts["notes"])


def test_no_texts_are_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n\n", "utf-8")
    with pytest.raises(BadInput, match=r"none\.txt: holds no examples"):
        pruned(tiny, tmp_path / "new", heads=2, texts=(str(tmp_path / "none.txt"),))
    with pytest.raises(BadInput, match=r"missing\.txt"):
        pruned(tiny, tmp_path / "newer", heads=2, texts=(str(tmp_path / "missing.txt"),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing is to be pruned"),
        ({"heads": 0}, "heads is 0, wanted 1 or more"),
        ({"layers": -1}, "layers is -1, wanted 1 or more"),
        ({"magnitude": 0.0}, "magnitude is 0.0, wanted a share"),
        ({"magnitude": 1.0}, "magnitude is 1.0, wanted a share"),
        ({"pattern": "1:4"}, "pattern is '1:4', wanted 2:4"),
        ({"magnitude": 0.5, "pattern": "2:4"}, "magnitude and pattern both say"),
        ({"heads": 2, "with_embeddings": True}, "with_embeddings was asked for"),
        (
            {"magnitude": 0.5, "with_embeddings": True, "texts": ("t",), "recover": Recovery(embeddings=0.1)},
            "zeros of the embeddings would not stay",
        ),
        ({"heads": 2, "recover": Recovery(steps=3)}, "taught by texts, and there are none"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Prune(**options)


@pytest.mark.parametrize(("name", "there"), [("heads", 4), ("inner", 64), ("layers", 2)])
def test_as_many_as_there_are_or_more_is_refused(name: str, there: int, tiny: Path, tmp_path: Path) -> None:
    for i, kept in enumerate((there, there + 1)):
        with pytest.raises(BadInput, match=f"{name} is {kept}, and the model has {there} .*, so nothing would be pruned"):
            pruned(tiny, tmp_path / str(i), **{name: kept})


@pytest.mark.parametrize("options", [{"heads": 3}, {"inner": 40}, {"layers": 1}, {"magnitude": 0.3}, {"pattern": "2:4"}], ids=str)
def test_twice_the_same_is_refused(options: dict, tiny: Path, tmp_path: Path) -> None:
    pruned(tiny, tmp_path / "once", **options)
    with pytest.raises(BadInput, match="so nothing would be pruned"):
        pruned(tmp_path / "once", tmp_path / "twice", **options)


def test_more_of_the_same_is_not_refused(tiny: Path, tmp_path: Path) -> None:
    pruned(tiny, tmp_path / "once", heads=3, magnitude=0.3)
    assert pruned(tmp_path / "once", tmp_path / "twice", heads=2, magnitude=0.5).config.head_width == TINY.head_width


def test_widths_that_are_no_fours_are_refused(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    model = make_checkpoint(replace(TINY, inner=62))
    with pytest.raises(BadInput, match="62 inner units; 2:4 wants multiples of 4"):
        pruned(model, tmp_path / "new", pattern="2:4")


@pytest.mark.parametrize(
    ("target", "options", "needs"),
    [
        ("onnx", {}, "onnx"),
        ("onnx", {"fused": True}, "onnx"),
        pytest.param("pytorch", {}, "torch", marks=pytest.mark.slow),
        pytest.param("jax", {"stablehlo": True}, "jax", marks=pytest.mark.slow),
        pytest.param("tensorflow", {}, "tensorflow", marks=pytest.mark.slow),
    ],
)
def test_a_model_of_fewer_heads_is_exported(target: str, options: dict, needs: str, tiny: Path, tmp_path: Path) -> None:
    if find_spec(needs) is None:
        pytest.skip(f"needs {needs}")
    from xlmr.export.options import TARGETS

    pruned(tiny, tmp_path / "new", heads=3)
    assert export.run(target, tmp_path / "new", tmp_path / "out", TARGETS[target](**options)).parity


def test_it_is_not_exported_as_a_model_for_transformers(tiny: Path, tmp_path: Path) -> None:
    pruned(tiny, tmp_path / "new", heads=3)
    with pytest.raises(BadInput, match="its heads were pruned, and Hugging Face's config"):
        export.run("safetensors", tmp_path / "new", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_was_pruned_is_taught_and_stays_pruned(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("accelerate")
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"the cat reads a good book in the house {i}\n" for i in range(200)), "utf-8")
    options = Prune(heads=3, magnitude=0.5, texts=(f"en={file}",), recover=Recovery(steps=4, batch=256))
    (tmp_path / "new").mkdir()
    facts = prune(take(checkpoint.open(tiny)), tmp_path / "new", options, lambda _: None)
    made = checkpoint.open(tmp_path / "new")
    assert facts["recovery"]["settings"]["steps"] == 4
    assert made.config.heads == 3
    assert all((np.count_nonzero(checkpoint.read(made, f"layers.{i}.{of}.weight"), axis=1) <= width / 2).all()
               for i in range(2) for of, width in (("query", 32), ("attention_out", 24), ("shrink", 64)))  # fmt: skip
