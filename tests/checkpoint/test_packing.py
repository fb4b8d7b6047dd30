"""Files of integers: what is written is read again, and what is broken is refused with a word on what."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_server import NAME, SECOND, Hub
from quantizers import KINDS, TINY, packed, quantized
from safetensors import safe_open
from safetensors.numpy import save_file

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments, header, packing
from xlmr.checkpoint import folder as folders
from xlmr.checkpoint.attachments import Attachment
from xlmr.checkpoint.folder import QUANTIZED, WEIGHTS
from xlmr.checkpoint.integers import Quantized
from xlmr.checkpoint.packing import Plan
from xlmr.errors import BadCheckpoint

LINEAR = "roberta.encoder.layer.0.attention.self.query"


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], checkpoint.Checkpoint]:
    """The tiny model, quantized, by a key of `KINDS`. Read it only."""
    root, found = tmp_path_factory.mktemp("quantized"), {}

    def make(kind: str) -> checkpoint.Checkpoint:
        if kind not in found:
            found[kind] = quantized(tiny, root / kind.replace(" ", "-"), rounding="nearest", **KINDS[kind])
        return found[kind]

    return make


def arrays(of: checkpoint.Checkpoint) -> dict[str, np.ndarray]:
    with safe_open(of.folder / QUANTIZED, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict


def changed(of: checkpoint.Checkpoint, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The model with other tensors in its file."""
    shutil.copytree(of.folder, to)
    held = arrays(of)
    change(held)
    save_file({name: np.asarray(values) for name, values in held.items()}, to / QUANTIZED, {"format": "xlmr"})
    return to


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_stands_for_the_weights(made: Callable[[str], checkpoint.Checkpoint], tiny: Path, kind: str) -> None:
    found, floats = made(kind), checkpoint.weights(checkpoint.open(tiny))
    assert found.quantized
    assert not checkpoint.open(tiny).quantized
    whole = {name: held for name, held in found.stored.items() if isinstance(held, Quantized)}
    assert whole.keys() == {name for name, values in floats.items() if values.ndim == 2} - {"embeddings.types.weight"}
    for name, values in floats.items():
        step = 2 * np.abs(values).max() / (7 if found.stored[name].dtype == "int4" else 127)
        within = 0.51 * step if name in whole else 1e-3 * np.abs(values).max()
        np.testing.assert_allclose(checkpoint.read(found, name), values, rtol=0, atol=within)
    assert all((held.input is not None) == (kind == "static" and held.layout == "columns") for held in whole.values())


def test_a_run_of_numbers_is_a_part_of_all(made: Callable[[str], checkpoint.Checkpoint]) -> None:
    for kind in KINDS:
        for held in made(kind).stored.values():
            every = folders.numbers(held)
            np.testing.assert_array_equal(folders.numbers(held, 5, 20), every[5:25])
            np.testing.assert_array_equal(folders.numbers(held, 7), every[7:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_rounding_read_back_gives_the_same_bytes(
    made: Callable[[str], checkpoint.Checkpoint], tiny: Path, tmp_path: Path, kind: str
) -> None:
    found = made(kind)
    plans = {
        name: Plan(held.layout, int(held.dtype.removeprefix("int")), rounding=packing.again(held))
        for name, held in found.stored.items() if isinstance(held, Quantized)
    }  # fmt: skip
    again = arrays(packed(tiny, tmp_path / "again", {}, plans))
    for name, values in arrays(found).items():
        if not name.endswith("input_scale"):
            np.testing.assert_array_equal(again[name], values)


def test_integers_begin_at_multiples_of_64_bytes(made: Callable[[str], checkpoint.Checkpoint]) -> None:
    for held in made("dynamic").stored.values():
        assert not isinstance(held, Quantized) or held.length % 64 or held.offset % 64 == 0


def test_a_matrix_too_large_for_its_scale_is_named(tiny: Path, tmp_path: Path) -> None:
    name = "layers.1.grow.weight"
    with pytest.raises(BadCheckpoint, match=rf"{name}: a number of 1e\+30 is too large for 8 bits"):
        packed(tiny, tmp_path / "large", {name: np.full((TINY.inner, TINY.width), 1e30, np.float32)}, {name: Plan("columns")})
    with pytest.raises(BadCheckpoint, match=rf"{name} holds numbers that are not finite"):
        packed(tiny, tmp_path / "nan", {name: np.full((TINY.inner, TINY.width), np.nan, np.float32)}, {name: Plan("columns")})
    with pytest.raises(BadCheckpoint, match=rf"{name} holds numbers that are too large for float16"):
        packed(tiny, tmp_path / "float", {name: np.full((TINY.inner, TINY.width), 1e6, np.float32)}, {})


BROKEN: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "without its scales": ("dynamic", lambda of: of.pop(f"{LINEAR}.weight_scale"), "stored as I8, wanted one of float32"),
    "without a table's scales": (
        "dynamic", lambda of: of.pop("roberta.embeddings.word_embeddings.weight_scale"), "stored as U8, wanted one of float32"
    ),
    "too few scales": ("dynamic", lambda of: of.update({f"{LINEAR}.weight_scale": np.ones(31, np.float16)}), "no .* quantized"),
    "scales of integers": ("dynamic", lambda of: of.update({f"{LINEAR}.weight_scale": np.ones(32, np.int8)}), "no .* quantized"),
    "another shape": ("dynamic", lambda of: of.update({f"{LINEAR}.weight": np.ones((32, 31), np.int8)}), "no .* quantized"),
    "another type": ("dynamic", lambda of: of.update({f"{LINEAR}.weight": np.ones((32, 32), np.int16)}), "no .* quantized"),
    "a layer as a table": ("dynamic", lambda of: of.update({f"{LINEAR}.weight": np.ones((32, 32), np.uint8)}), "no .* quantized"),
    "floats with scales": ("dynamic", lambda of: of.update({f"{LINEAR}.weight": np.ones((32, 32), np.float32)}), "no .* quantized"),
    "half the blocks": ("int4 weights", lambda of: of.update({f"{LINEAR}.weight": np.ones((32, 1, 8), np.uint8)}), "no .* quantized"),
    "several scales of inputs": ("static", lambda of: of.update({f"{LINEAR}.input_scale": np.ones(2, np.float32)}), "wanted one number"),
    "another type of it": ("static", lambda of: of.update({f"{LINEAR}.input_scale": np.float64(1)}), "wanted one number"),
    "a scale of what a table reads": (
        "dynamic", lambda of: of.update({"roberta.embeddings.word_embeddings.input_scale": np.float32(1)}), "wanted one number"
    ),
    "inputs of floats": (
        "static", lambda of: (of.pop(f"{LINEAR}.weight_scale"), of.update({f"{LINEAR}.weight": np.ones((32, 32), np.float32)})), "unknown"
    ),
    "scales of nothing": ("dynamic", lambda of: of.update({"other.weight_scale": np.ones(3, np.float16)}), "other.weight_scale.* unknown"),
    "a tensor too many": ("dynamic", lambda of: of.update({"other": np.ones(3, np.float16)}), "other.* unknown"),
    "a missing tensor": ("dynamic", lambda of: of.pop(f"{LINEAR}.bias"), "missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused(made: Callable[[str], checkpoint.Checkpoint], tmp_path: Path, case: str) -> None:
    kind, change, said = BROKEN[case]
    folder = changed(made(kind), tmp_path / "broken", lambda of: change(of))
    with pytest.raises(BadCheckpoint, match=rf"model-int8\.safetensors: .*{said}"):
        checkpoint.open(folder)


def test_a_truncated_file_is_refused(made: Callable[[str], checkpoint.Checkpoint], tmp_path: Path) -> None:
    shutil.copytree(made("dynamic").folder, tmp_path / "short")
    path = tmp_path / "short" / QUANTIZED
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadCheckpoint, match="truncated"):
        checkpoint.open(tmp_path / "short")


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_a_fixed_scale_that_divides_nothing_is_told_when_the_model_starts(
    made: Callable[[str], checkpoint.Checkpoint], tmp_path: Path, scale: float
) -> None:
    folder = changed(made("static"), tmp_path / "broken", lambda of: of.update({f"{LINEAR}.input_scale": np.float32(scale)}))
    with pytest.raises(BadCheckpoint, match=rf"the scale of what layers\.0\.query reads is {scale:.1f}, wanted a positive number"):
        xlmr.load(folder).embed("the cat")


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_told_with_the_answer_as_of_floats(
    made: Callable[[str], checkpoint.Checkpoint], tmp_path: Path, scale: float
) -> None:
    """Opening a model reads no weights, and scales are a part of them."""
    folder = changed(made("dynamic"), tmp_path / "nan", lambda of: of[f"{LINEAR}.weight_scale"].fill(scale))
    with pytest.raises(BadCheckpoint, match="numbers that are not finite; its weights are broken"):
        xlmr.load(folder).embed("the cat")


def test_beside_floats_integers_are_not_read(made: Callable[[str], checkpoint.Checkpoint], tiny: Path, tmp_path: Path) -> None:
    """As every other library has it, which looks for floats alone."""
    shutil.copytree(made("dynamic").folder, tmp_path / "both")
    shutil.copyfile(tiny / WEIGHTS, tmp_path / "both" / WEIGHTS)
    assert not checkpoint.open(tmp_path / "both").quantized


def test_it_says_that_it_is_not_of_pytorch(made: Callable[[str], checkpoint.Checkpoint]) -> None:
    assert header.read_described(made("dynamic").folder / QUANTIZED)[1] == {"format": "xlmr", "version": "1"}


def test_every_kind_is_another_encoder(made: Callable[[str], checkpoint.Checkpoint], tiny: Path, tmp_path: Path) -> None:
    """Also where nothing but the scale of what a matrix reads differs."""
    other = changed(made("static"), tmp_path / "other", lambda of: of.update({f"{LINEAR}.input_scale": np.float32(0.5)}))
    every = [checkpoint.open(tiny), *map(made, KINDS), checkpoint.open(other)]
    assert len({attachments.fingerprint(of) for of in every}) == len(every)
    assert attachments.fingerprint(made("dynamic")) == attachments.fingerprint(checkpoint.open(made("dynamic").folder))


def test_what_was_fitted_is_carried(speaking: Path, tmp_path: Path) -> None:
    found = quantized(speaking, tmp_path / "out")
    assert attachments.names(found.folder) == ["languages"]
    before, after = (attachments.read(of, "languages", "") for of in (checkpoint.open(speaking), found))
    assert isinstance(after, Attachment)
    assert before.facts == after.facts
    assert xlmr.load(tmp_path / "out").identify_language("die Katze und der Hund")


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_in_a_fresh_process_without_torch(made: Callable[[str], checkpoint.Checkpoint], kind: str) -> None:
    code = f"""
import sys
import xlmr
model = xlmr.load({str(made(kind).folder)!r}, threads=1)
assert len(model.fill_mask("the <mask> sleeps")) == 5
assert model.embed("the cat").shape == (32,)
assert not {{"torch", "transformers", "jax", "tensorflow"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_untied_heads_and_models_without_one(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    untied = quantized(make_checkpoint(replace(TINY, tied=False)), tmp_path / "untied")
    assert not untied.config.tied
    assert untied.stored["head.words.weight"].dtype == "int8"
    assert not quantized(make_checkpoint(head=False), tmp_path / "headless").has_mlm_head


def test_the_hub_may_have_it(made: Callable[[str], checkpoint.Checkpoint], hub: Hub) -> None:
    hub.files[SECOND] = {path.name: path.read_bytes() for path in made("dynamic").folder.iterdir()}
    found = checkpoint.open(NAME)
    assert found.quantized
    assert attachments.fingerprint(found) == attachments.fingerprint(made("dynamic"))
