"""Rounding that minds what is computed, scales, what is kept, and models that are whole, told apart, or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantizers import KINDS, TEXTS, quantized
from tuners import CLASSIFIER, TOPICS

import xlmr
from xlmr import checkpoint, compression, export, tokenizer
from xlmr.checkpoint import integers
from xlmr.checkpoint.folder import QUANTIZED
from xlmr.checkpoint.integers import Quantized
from xlmr.compression import Check, calibration, parts, probe, quantizing, ranges, sensitivity
from xlmr.compression.inputs import Inputs
from xlmr.compression.quantizing import Quantize
from xlmr.compression.rounding import rounding
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.runtimes import onnx

QUIET = Check(TEXTS, rounds=3)


# -- rounding --


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), width=st.sampled_from([16, 32, 96]), layout=st.sampled_from(["columns", "rows", "blocks"]))
def test_gptq_changes_less_of_what_is_computed_than_rounding_to_the_nearest(seed: int, width: int, layout: str) -> None:
    """On the inputs that it was told, which go together as those of a model do."""
    dice = np.random.default_rng(seed)
    wide = 96 if layout == "blocks" else width
    mixed = dice.standard_normal((8, wide)) * np.logspace(0, -1.5, 8)[:, None]
    x = (dice.standard_normal((400, 8)) @ mixed + 0.05 * dice.standard_normal((400, wide))).astype(np.float32)
    weights = dice.standard_normal((12, wide)).astype(np.float32)
    bits = 4 if layout == "blocks" else 8
    scale = integers.scales(weights, layout, bits)

    def lost(how: integers.Rounding | None) -> float:
        held = integers.quantize(weights, layout, bits, how)
        return float(np.square(x @ (integers.numbers(held, scale, layout, weights.shape) - weights).T).mean())

    assert lost(rounding(x)) < 0.8 * lost(None)


def test_gptq_of_inputs_that_have_nothing_to_do_with_each_other_is_rounding_to_the_nearest() -> None:
    x, weights = np.eye(32, dtype=np.float32), np.random.default_rng(0).standard_normal((5, 32)).astype(np.float32)
    np.testing.assert_array_equal(integers.quantize(weights, "rows", 8, rounding(x)), integers.quantize(weights, "rows"))
    np.testing.assert_array_equal(integers.quantize(weights, "rows", 8, rounding(0 * x)), integers.quantize(weights, "rows"))


# -- fixed scales --


def test_ranges_reach_as_far_as_they_say() -> None:
    values = np.concatenate([np.linspace(-1, 1, 99_990), [8.0] * 9, [-20.0]]).astype(np.float32)
    assert ranges.largest(values) == 20
    assert ranges.percentile(values) == pytest.approx(1, abs=0.01)
    assert ranges.scale(values, "min-max") == 20 / 127
    assert all(ranges.scale(np.zeros(10, np.float32), of) > 0 for of in ranges.CALIBRATIONS)


def divergence(counts: list[int], reach: int, levels: int) -> float:
    """As the papers have it, bin by bin: what is cut off counts with the last; each step shares its count among its bins that are seen."""
    given, told = [float(of) for of in counts[:reach]], [0.0] * reach
    for level in range(levels):
        bins = [i for i in range(reach) if i * levels // reach == level]
        seen = [i for i in bins if given[i] > 0]
        for i in seen:
            told[i] = sum(given[j] for j in bins) / len(seen)
    cut = float(sum(counts[reach:]))
    given[-1] += cut
    if cut and not told[-1]:
        told[-1] = 1e-9 * sum(given)
    one, other = sum(given), sum(told)
    return sum(p / one * np.log((p / one) / (q / other)) for p, q in zip(given, told, strict=True) if p)


@settings(max_examples=15)
@given(seed=st.integers(0, 1_000), reach=st.sampled_from([128, 200, 256, 399]))
def test_the_divergence_of_a_histogram_is_that_of_the_papers(seed: int, reach: int) -> None:
    dice = np.random.default_rng(seed)
    counts = np.histogram(np.abs(dice.standard_normal(3_000)), 400)[0] * (dice.random(400) < 0.9)
    np.testing.assert_allclose(ranges._divergence(counts, reach), divergence(counts.tolist(), reach, 128), rtol=1e-6, atol=1e-9)


def test_entropy_takes_the_least_of_all_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BINS", 300)
    monkeypatch.setattr(ranges, "CANDIDATES", 6)
    reaches = np.linspace(128, 300, 6).astype(int).tolist()
    taken = set()
    for seed, power in ((0, 1), (1, 2), (2, 5)):
        values = np.abs(np.random.default_rng(seed).standard_normal(4_000)).astype(np.float32) ** power
        counts, edges = np.histogram(values, 300)
        least = min(reaches, key=lambda reach: divergence(counts.tolist(), reach, 128))
        assert ranges.entropy(values) == edges[least]
        taken.add(least)
    assert len(taken) > 1


# -- what layers read --


def test_inputs_are_what_the_layers_read(tiny: Path) -> None:
    """PyTorch's own modules, listened to, have the same second moments: all that the order of texts leaves."""
    torch = pytest.importorskip("torch")
    from transformers import XLMRobertaForMaskedLM

    opened, pieces = checkpoint.open(tiny), tokenizer.open(tiny)
    found, model, heard = Inputs(opened, pieces, TEXTS), XLMRobertaForMaskedLM.from_pretrained(tiny, dtype=torch.float32).eval(), {}
    layer = model.roberta.encoder.layer[1]
    listened = {"layers.1.query": layer.attention.self.query, "layers.1.attention_out": layer.attention.output.dense,
                "layers.1.grow": layer.intermediate.dense, "layers.1.shrink": layer.output.dense}  # fmt: skip
    for name, module in {**listened, "head.transform": model.lm_head.dense, "head.words": model.lm_head.decoder}.items():
        module.register_forward_pre_hook(lambda _, given, name=name: heard.setdefault(name, []).append(given[0][0].detach().numpy()))
    hidden = []
    for text in (text for of in TEXTS.values() for text in of):
        for first in (0, 3):
            ids = np.array(pieces.encode(text).ids)
            ids[1 + first : -1 : 7] = pieces.mask_id
            hidden.append(ids == pieces.mask_id)
            with torch.inference_mode():
                model(torch.from_numpy(ids[None]))
    assert found.tokens == sum(map(len, hidden))
    for name, rows in heard.items():
        chosen = [row[there] if name.startswith("head") else row for row, there in zip(rows, hidden, strict=True)]
        wanted, ours = np.concatenate(chosen), found.of(name)
        assert ours.shape == wanted.shape
        np.testing.assert_allclose(ours.T @ ours, wanted.T @ wanted, rtol=1e-3, atol=1e-3)
    assert found.of("layers.1.query") is not found.of("layers.0.query")
    np.testing.assert_array_equal(found.of("layers.0.key"), found.of("layers.0.query"))


def test_texts_without_a_piece_are_told(tiny: Path) -> None:
    for texts in ({"en": ()}, {"en": (" ", "\t")}):
        with pytest.raises(BadInput, match="no piece in the texts to calibrate on"):
            Inputs(checkpoint.open(tiny), tokenizer.open(tiny), texts)


@pytest.mark.parametrize("texts", [{}, {"en": ()}])
def test_no_texts_are_told_before_anything_is_done(texts: probe.Texts) -> None:
    with pytest.raises(BadInput, match="no texts to calibrate on"):
        Quantize(calibrate=texts)


def test_a_model_whose_numbers_are_not_finite_is_told(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_checkpoint(seed=5)
    path = folder / "model.safetensors"
    held = checkpoint.open(folder).stored["embeddings.norm.weight"]
    content = bytearray(path.read_bytes())
    content[held.offset : held.offset + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match="not finite"):
        quantized(folder, tmp_path / "out")


def test_calibration_has_the_languages_of_the_probe_and_none_of_its_sentences() -> None:
    ours, theirs = calibration.builtin(), probe.builtin()
    assert ours.keys() == theirs.keys()
    assert all(len({*of}) == len(of) == 4 for of in ours.values())
    assert not {text for of in ours.values() for text in of} & {text for of in theirs.values() for text in of}


# -- what is kept --


def test_the_matrices_that_lose_most_stay_floats(tiny: Path, tmp_path: Path) -> None:
    """By brute force: each alone in integers, the divergence of what is said at hidden pieces."""
    whole, pieces, opened = quantized(tiny, tmp_path / "whole", rounding="nearest"), tokenizer.open(tiny), checkpoint.open(tiny)
    names = [name for name, of in whole.stored.items() if isinstance(of, Quantized) and of.layout == "columns"]
    rows = []
    for text in ("the cat drinks water in the house", "die Katze und der Hund", "кошка пьёт воду", "the dog sleeps"):
        ids = np.array(pieces.encode(text).ids)
        ids[1:-1:7] = pieces.mask_id
        rows.append(ids)

    def said(of: checkpoint.Checkpoint) -> np.ndarray:
        runtime = onnx.start(of, threads=1)
        logits = np.concatenate([runtime.mlm_logits(ids[None], np.argwhere(ids[None] == pieces.mask_id)) for ids in rows]).astype(
            np.float64
        )
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    truth, lost = said(opened), {}
    for name in names:
        other = said(replace(opened, stored={**opened.stored, name: whole.stored[name]}))
        lost[name] = float((np.exp(truth) * (truth - other)).sum(1).mean())
    found = sensitivity.scan(opened, whole, names, pieces, TEXTS, lambda _: None)
    assert found.keys() == {*names}
    assert [*found.values()] == sorted(found.values(), reverse=True)
    np.testing.assert_allclose([found[name] for name in names], [lost[name] for name in names], rtol=0.05, atol=2e-7)
    kept = quantized(tiny, tmp_path / "kept", rounding="nearest", keep_worst=3)
    floats = {name for name in names if not isinstance(kept.stored[name], Quantized)}
    assert floats == {*[*found][:3]}
    for name in names:
        if name not in floats:
            np.testing.assert_array_equal(checkpoint.read(kept, name), checkpoint.read(whole, name))
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "config.json",
        QUANTIZED,
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_without_an_mlm_head_the_states_say_what_is_lost(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_checkpoint(head=False)
    whole = quantized(folder, tmp_path / "out")
    found = sensitivity.scan(checkpoint.open(folder), whole, ["layers.0.grow.weight"], tokenizer.open(folder), TEXTS, lambda _: None)
    assert 0 < found["layers.0.grow.weight"] < 0.01


# -- what is refused, and what is there --


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bits": 4}, "4 bits are for mode weight-only alone; dynamic was asked for"),
        ({"bits": 4, "mode": "static"}, "4 bits are for mode weight-only alone"),
        ({"bits": 5}, "bits 5 is not known; wanted one of 8, 4"),
        ({"mode": "int8"}, "mode 'int8' is not known"),
        ({"rounding": "up"}, "rounding 'up' is not known"),
        ({"calibration": "luck"}, "calibration 'luck' is not known"),
        ({"keep_worst": -1}, "keep_worst is -1, wanted 0 or more"),
        ({"keep_worst": 3, "mode": "fp16"}, "mode fp16 keeps no matrices and calibrates nothing"),
        ({"calibrate": TEXTS, "mode": "fp16"}, "mode fp16 keeps no matrices and calibrates nothing"),
        ({"calibration": "entropy"}, "calibration entropy is of the fixed scales of mode static; dynamic was asked for"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Quantize(**options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", ["dynamic", "weight-only", "fp16"])
def test_what_is_quantized_is_not_compressed_again(tiny: Path, tmp_path: Path, kind: str, again: str) -> None:
    quantized(tiny, tmp_path / "once", rounding="nearest", **KINDS[kind])
    with pytest.raises(BadInput, match="is quantized, which comes last; compress the model that it was made of"):
        compression.run(tmp_path / "once", tmp_path / "twice", quantizing.quantize, Quantize(again), check=QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["once"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_goes_wrong_leaves_nothing(tiny: Path, tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the worst are looked for, when one model is written already."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(sensitivity, "scan", fail)
    with pytest.raises(type(error)):
        compression.run(tiny, tmp_path / "out", quantizing.quantize, Quantize(calibrate=TEXTS), check=QUIET)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_refuses_integers_rather_than_misreading_them(tiny: Path, tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    quantized(tiny, tmp_path / "out", rounding="nearest", **KINDS[kind])
    for variant in (None, "int8"):
        with pytest.raises(OSError, match="no file named"):
            transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out", variant=variant)


def test_transformers_loads_float16(tiny: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (tmp_path / "out").mkdir()
    assert quantizing.quantize(parts.take(checkpoint.open(tiny)), tmp_path / "out", Quantize("fp16"), lambda _: None) == {
        "dtype": "float16"
    }
    found = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    wanted = checkpoint.read(checkpoint.open(tiny), "layers.1.grow.weight")
    np.testing.assert_allclose(found.roberta.encoder.layer[1].intermediate.dense.weight.detach().float().numpy(), wanted, atol=1e-3)


def test_float16_does_not_become_float16_again(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="all of its weights are float16 already, so nothing would change"):
        compression.run(make_checkpoint(dtype="float16"), tmp_path / "out", quantizing.quantize, Quantize("fp16"), check=QUIET)
    assert not any(tmp_path.iterdir())


def test_only_options_that_have_a_part_are_written_down(tiny: Path, tmp_path: Path) -> None:
    found = compression.run(tiny, tmp_path / "out", quantizing.quantize, Quantize("fp16"), check=QUIET)
    assert found.options == {"mode": "fp16"}
    assert "by `xlmr compress quantize` with mode fp16.\n" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert Quantize("dynamic").idle == ("calibration",)
    assert Quantize("static").idle == ()


# -- what others do with it --


def test_an_export_is_floats_and_says_so(tiny: Path, speaking: Path, tmp_path: Path) -> None:
    made = quantized(speaking, tmp_path / "int8", rounding="nearest")
    found = export.run("onnx", made.folder, tmp_path / "out")
    assert found.notes[0].startswith("its weights are quantized: what was written has the floats that they stand for")
    assert found.parity.largest < 1e-4
    again = checkpoint.open(tmp_path / "out")
    assert not again.quantized
    for name in made.stored:
        np.testing.assert_array_equal(checkpoint.read(again, name), checkpoint.read(made, name))
    assert xlmr.load(tmp_path / "out").identify_language("die Katze und der Hund")
    assert not export.run("safetensors", tiny, tmp_path / "floats").notes


def test_a_fine_tuned_model_is_exported_with_its_head(tuned: Callable[..., Path], tmp_path: Path) -> None:
    made = quantized(tuned(CLASSIFIER, TOPICS), tmp_path / "int8", rounding="nearest")
    export.run("safetensors", made.folder, tmp_path / "out")
    before, after = (xlmr.load(tmp_path / name).classify("the cat drinks") for name in ("int8", "out"))
    assert [of.label for of in before] == [of.label for of in after]


def alike(made: checkpoint.Checkpoint, count: int) -> float:
    """How often the model inside and another think the same piece the likeliest, at every seventh place of sentences in each language."""
    pieces, same = tokenizer.open(made.folder), []
    runtimes = [onnx.start(of, threads=1) for of in (checkpoint.open(), made)]
    for text in (text for of in probe.builtin(count).values() for text in of):
        ids = np.array([pieces.encode(text).ids])
        ids[0, 1:-1:7] = pieces.mask_id
        one, other = (of.mlm_logits(ids, np.argwhere(ids == pieces.mask_id)).argmax(1) for of in runtimes)
        same += (one == other).tolist()
    return float(np.mean(same))


def test_the_model_inside_says_nearly_what_it_said(tmp_path: Path) -> None:
    """Rounded to the nearest, all of it, which is quick (measured: 0.923)."""
    made = quantized(None, tmp_path / "out", rounding="nearest", calibrate=calibration.builtin())
    small = checkpoint.open()
    assert sum(of.length for of in made.stored.values()) < 0.52 * sum(of.length for of in small.stored.values())
    assert alike(made, 1) >= 0.9


@pytest.mark.slow
def test_as_it_is_done_where_nothing_is_said_nearly_nothing_changes(tmp_path: Path) -> None:
    assert alike(quantized(None, tmp_path / "out", calibrate=None, keep_worst=None), 4) >= 0.95


def test_an_old_file_of_the_same_name_is_never_written_through(tiny: Path, tmp_path: Path) -> None:
    """A file of weights is new, so that a model that is in use goes on with its own."""
    compression.run(tiny, tmp_path / "out", quantizing.quantize, Quantize(calibrate=TEXTS, keep_worst=0), check=QUIET)
    runtime = onnx.start(checkpoint.open(tmp_path / "out"), threads=1)
    before = runtime.hidden_states(np.array([[0, 9, 2]]))[0]
    inode = os.stat(tmp_path / "out" / QUANTIZED).st_ino
    compression.run(tiny, tmp_path / "out", quantizing.quantize, Quantize("static", calibrate=TEXTS, keep_worst=0), check=QUIET, force=True)
    assert os.stat(tmp_path / "out" / QUANTIZED).st_ino != inode
    np.testing.assert_array_equal(runtime.hidden_states(np.array([[0, 9, 2]]))[0], before)
    (step,) = json.loads((tmp_path / "out" / "compression.json").read_text(encoding="utf-8"))["steps"]
    assert step["facts"]["calibration"]["languages"] == [*TEXTS]


def test_it_is_quantized_without_torch(tiny: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from quantizers import quantized
quantized(Path({str(tiny)!r}), Path({str(tmp_path / "out")!r}), keep_worst=1)
assert not {{"torch", "transformers"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
