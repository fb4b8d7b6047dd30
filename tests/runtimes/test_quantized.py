"""What is computed with integers is what their numbers say, on every processor, for every text by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantizers import KINDS, TINY, packed, quantized
from tuners import CLASSIFIER, TOPICS

import xlmr
from xlmr import checkpoint, runtimes
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import raw
from xlmr.checkpoint.integers import Quantized
from xlmr.checkpoint.packing import Plan
from xlmr.config import Config
from xlmr.runtimes import onnx, onnx_graph
from xlmr.runtimes.onnx_graph import Graph

IDS = np.array([[0, 20, 30, 40, 2], [0, 7, 2, 1, 1]])
PICKS = np.array([[0, 2], [1, 1], [0, 2]])
LAYER, WORDS = "layers.0.grow", "embeddings.words.weight"
BESIDE = {"dynamic": 1e-5, "static": 1e-5, "int8 weights": 2e-4, "int4 weights": 2e-4}
"""How far logits move by what else is asked (measured: not at all where activations are integers, 7e-5 where weights alone are: ONNX
Runtime's kernel for one row of floats sums in another order than that for several, and the head's last bits follow)."""
APART = {"dynamic": 0.05, "static": 0.2, "int8 weights": 0.05, "int4 weights": 0.3}
"""How far answers are from those of floats, as a share of their size: the models are random, and fixed scales know three texts."""


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def ask(of: Checkpoint, graph: onnx_graph.ModelProto, feed: dict[str, np.ndarray], **settings: str) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    for key, value in {"session.model_external_initializers_file_folder_path": str(of.folder), **settings}.items():
        options.add_session_config_entry(key, value)
    (found,) = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)
    return found


def linear(of: Checkpoint, x: np.ndarray, name: str = LAYER, **settings: str) -> np.ndarray:
    graph = Graph(of.stored)
    out = onnx_graph.linear(graph, name, "x")
    model = graph.close("linear", {"x": (np.float32, ["rows", x.shape[1]])}, {"y": (out, ["rows", "out"])})
    return ask(of, model, {"x": x}, **settings)


def head(of: Checkpoint, x: np.ndarray, **settings: str) -> np.ndarray:
    graph = Graph(of.stored)
    out = onnx_graph.table_times(graph, WORDS, "x", graph.weight("head.bias"))
    model = graph.close("head", {"x": (np.float32, ["rows", x.shape[1]])}, {"y": (out, ["rows", "out"])})
    return ask(of, model, {"x": x}, **settings)


def held(of: Checkpoint, name: str) -> tuple[Quantized, np.ndarray, np.ndarray]:
    """A quantized tensor, its integers as they lie, and its scales."""
    found = of.stored[name]
    assert isinstance(found, Quantized)
    return found, raw(found).reshape(found.held).astype(np.int64), raw(found.scale).reshape(found.scale.shape).astype(np.float64)


def in_integers(of: Checkpoint, x: np.ndarray, name: str = LAYER) -> np.ndarray:
    """A linear layer by hand: 8 bits of what it reads, sums in whole numbers, the scales after."""
    found, whole, scale = held(of, f"{name}.weight")
    own = np.maximum(np.abs(x).max(1, keepdims=True), np.float32(1e-30)) * np.float32(1 / 127)
    step = own if found.input is None else raw(found.input)
    rounded = np.clip(np.rint(x / step), -128, 127).astype(np.int64)
    return (rounded @ whole) * step.astype(np.float64) * scale + checkpoint.read(of, f"{name}.bias")


def inputs(rows: int, width: int, seed: int = 0) -> np.ndarray:
    """Rows of unlike sizes, one of zeros."""
    dice = np.random.default_rng(seed)
    x = dice.standard_normal((rows, width)).astype(np.float32) * np.logspace(-3, 3, rows, dtype=np.float32)[:, None]
    x[rows // 2] = 0
    return x


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """The tiny model, quantized, by a key of `KINDS`. Read it only."""
    root, found = tmp_path_factory.mktemp("quantized"), {}

    def make(kind: str) -> Checkpoint:
        if kind not in found:
            found[kind] = quantized(tiny, root / kind.replace(" ", "-"), rounding="nearest", **KINDS[kind])
        return found[kind]

    return make


# -- one matrix --


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_a_linear_layer_is_its_arithmetic_in_whole_numbers(made: Callable[[str], Checkpoint], kind: str) -> None:
    of, x = made(kind), inputs(9, TINY.width)
    np.testing.assert_allclose(linear(of, x), in_integers(of, x), rtol=2e-6, atol=2e-6 * np.abs(x).max())


@pytest.mark.parametrize("kind", ["int8 weights", "int4 weights"])
def test_a_linear_layer_of_integers_and_floats_is_that_of_their_numbers(made: Callable[[str], Checkpoint], kind: str) -> None:
    of, x = made(kind), inputs(9, TINY.width)
    wanted = x.astype(np.float64) @ checkpoint.read(of, f"{LAYER}.weight").T + checkpoint.read(of, f"{LAYER}.bias")
    np.testing.assert_allclose(linear(of, x), wanted, rtol=1e-5, atol=1e-6 * np.abs(x).max())


@pytest.mark.parametrize("width", [24, 32, 36, 48, 96, 256, 384])
@pytest.mark.parametrize("rows", [1, 40])
def test_the_head_is_that_of_the_tables_numbers(make_checkpoint: Callable[..., Path], tmp_path: Path, width: int, rows: int) -> None:
    """What 8 bits leave over of a state is 8 bits more: a thirty-thousandth of its largest number. Also of widths without whole blocks."""
    config = replace(TINY, width=width, layers=1)
    of = packed(make_checkpoint(config), tmp_path / "out", {}, {WORDS: Plan("rows")})
    x = inputs(max(rows, 3), width)[-rows:]
    wanted = x.astype(np.float64) @ checkpoint.read(of, WORDS).T + checkpoint.read(of, "head.bias")
    sizes = np.abs(checkpoint.read(of, WORDS)).sum(1)
    off = np.abs(head(of, x) - wanted) / (np.abs(x).max(1, keepdims=True) * sizes + 1)
    assert off.max() < 1 / 30_000


@pytest.mark.parametrize("precise", ["0", "1"])
def test_full_range_weights_do_not_saturate(tiny: Path, tmp_path: Path, precise: str) -> None:
    """All at their largest, of one sign or two: sums that 16 bits cannot hold. Exact wherever the runtime's own settings are right."""
    signs = np.where(np.arange(TINY.inner) % 3, 1, -1).astype(np.float32)[:, None]
    weights = np.broadcast_to(signs * 127, (TINY.inner, TINY.width)).copy()
    weights[1::2, ::2] *= -1
    words = np.full((TINY.vocabulary, TINY.width), 127, np.float32)
    words[1::2] *= -1
    words[::3, ::2] *= -1
    of = packed(
        tiny, tmp_path / "out", {f"{LAYER}.weight": weights, WORDS: words}, {f"{LAYER}.weight": Plan("columns"), WORDS: Plan("rows")}
    )
    np.testing.assert_array_equal(checkpoint.read(of, f"{LAYER}.weight"), weights)
    x = np.concatenate([np.full((1, TINY.width), 3.0), np.full((1, TINY.width), -3.0), np.tile([3.0, -3.0], (1, TINY.width // 2))])
    x = x.astype(np.float32)
    settings = {"session.x64quantprecision": precise}
    if precise == "1" or onnx._sums_whole():
        wanted = x.astype(np.float64) @ weights.T + checkpoint.read(of, f"{LAYER}.bias")
        np.testing.assert_allclose(linear(of, x, **settings), wanted, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(
        head(of, x, **settings), x.astype(np.float64) @ words.T + checkpoint.read(of, "head.bias"), rtol=1e-5, atol=0.05
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 1_000))
def test_kernels_with_and_without_vnni_sum_alike(made: Callable[[str], Checkpoint], seed: int) -> None:
    """Whole numbers are exact, and what follows is the same arithmetic in float32."""
    x = inputs(5, TINY.width, seed)
    other = linear(made("dynamic"), x, **{"session.x64quantprecision": "1"})
    np.testing.assert_allclose(linear(made("dynamic"), x), other, rtol=1e-6, atol=1e-6 * np.abs(x).max())


# -- the model --


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_a_processor_without_vnni_answers_the_same(made: Callable[[str], Checkpoint], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "_sums_whole", lambda: True)
    here = onnx.start(made(kind), threads=1)
    states, logits = here.hidden_states(IDS)[0], here.mlm_logits(IDS, PICKS)
    assert onnx.exact(made(kind).stored) == {}
    monkeypatch.setattr(onnx, "_sums_whole", lambda: False)
    there = onnx.start(made(kind), threads=1)
    assert onnx.exact(made(kind).stored) == {"session.x64quantprecision": "1"}
    np.testing.assert_allclose(there.hidden_states(IDS)[0], states, rtol=0, atol=1e-5)
    np.testing.assert_allclose(there.mlm_logits(IDS, PICKS), logits, rtol=0, atol=1e-5)


def test_floats_ask_for_no_exact_sums(made: Callable[[str], Checkpoint], tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "_sums_whole", lambda: False)
    assert onnx.exact(checkpoint.open(tiny).stored) == {}
    assert onnx.exact(made("int8 weights").stored) == {}


@pytest.mark.parametrize(("flags", "whole"), [("fma avx2", False), ("avx2 avx_vnni", True), ("avx512f avx512_vnni x", True)])
def test_vnni_is_what_linux_says(flags: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(Path, "read_text", lambda self, **_: f"processor\t: 0\nflags\t\t: sse {flags} end\n")
    assert onnx._sums_whole.__wrapped__() == whole


def test_where_nothing_is_known_sums_are_made_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path, **_: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(onnx.platform, "machine", lambda: "AMD64")
    assert not onnx._sums_whole.__wrapped__()
    monkeypatch.setattr(onnx.platform, "machine", lambda: "arm64")
    assert onnx._sums_whole.__wrapped__()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(2, 40), min_size=1, max_size=6), place=st.integers(0, 6), seed=st.integers(0, 100))
def test_an_answer_depends_on_its_own_text_alone(
    made: Callable[[str], Checkpoint], kind: str, lengths: list[int], place: int, seed: int
) -> None:
    runtime, dice, length = onnx.start(made(kind), threads=1), np.random.default_rng(seed), 9
    ids = np.full((len(lengths) + 1, max([length, *lengths])), TINY.pad_id)
    row = min(place, len(lengths))
    for at, size in enumerate([*lengths[:row], length, *lengths[row:]]):
        ids[at, :size] = dice.integers(TINY.pad_id + 1, TINY.vocabulary, size)
    alone, others = ids[row : row + 1, :length], np.stack([np.arange(len(ids)), np.ones(len(ids), np.int64)], 1)
    np.testing.assert_allclose(runtime.hidden_states(ids)[0][row, :length], runtime.hidden_states(alone)[0][0], rtol=0, atol=1e-5)
    together, single = runtime.mlm_logits(ids, others)[row], runtime.mlm_logits(alone, np.array([[0, 1]]))[0]
    np.testing.assert_allclose(together, single, rtol=0, atol=BESIDE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_layers_come_as_asked(made: Callable[[str], Checkpoint], kind: str) -> None:
    """However the encoder is cut for them."""
    whole = onnx.start(made(kind), threads=1).hidden_states(IDS)[0]
    every = onnx.start(made(kind), threads=1).hidden_states(IDS, [0, 1, -1])
    np.testing.assert_allclose(every[2], whole, rtol=0, atol=1e-5)
    (first,) = onnx.start(made(kind), threads=1).hidden_states(IDS, [1])
    np.testing.assert_allclose(every[1], first, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_logits_are_those_of_single_picks(made: Callable[[str], Checkpoint], kind: str) -> None:
    runtime, every = onnx.start(made(kind), threads=1), np.argwhere(TINY.pad_id != IDS)
    together = runtime.mlm_logits(IDS, every)
    assert together.shape == (len(every), TINY.vocabulary)
    for row, pick in zip(together, every, strict=True):
        np.testing.assert_allclose(runtime.mlm_logits(IDS, pick[None])[0], row, rtol=0, atol=BESIDE[kind])
    assert runtime.mlm_logits(IDS, np.empty((0, 2), np.int64)).shape == (0, TINY.vocabulary)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [of for of in runtimes.NAMES if of != "onnx"])
def test_other_frameworks_compute_with_the_numbers_that_integers_stand_for(made: Callable[[str], Checkpoint], kind: str, name: str) -> None:
    """In floats: weights in integers alone are the same, activations in integers are near."""
    if find_spec(name) is None:
        pytest.skip(f"needs {name}")
    ours, theirs = onnx.start(made(kind), threads=1), runtimes.start(made(kind), name)
    real = TINY.pad_id != IDS
    states, logits = (of.hidden_states(IDS)[0][real] for of in (theirs, ours)), (of.mlm_logits(IDS, PICKS) for of in (theirs, ours))
    assert apart(*states) < (1e-5 if "weights" in kind else APART[kind])
    assert apart(*logits) < (1e-3 if "weights" in kind else APART[kind])


ODD: dict[str, Config] = {
    "untied": replace(TINY, tied=False), "width 24": replace(TINY, width=24), "width 36": replace(TINY, width=36, inner=50),
    "width 48": replace(TINY, width=48), "another padding": replace(TINY, pad_id=7, positions=80),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", ODD)
def test_models_of_all_sizes_answer_nearly_as_before(make_checkpoint: Callable[..., Path], tmp_path: Path, kind: str, sizes: str) -> None:
    """A matrix whose inputs make no whole blocks stays floats where only weights are integers."""
    folder = make_checkpoint(ODD[sizes])
    made = quantized(folder, tmp_path / "out", rounding="nearest", **KINDS[kind])
    whole = [name for name, of in made.stored.items() if isinstance(of, Quantized) and of.layout != "rows"]
    if "weights" in kind:
        assert all(made.stored[name].shape[1] % 32 == 0 for name in whole)
    ids = np.where(IDS == 1, ODD[sizes].pad_id, np.where(IDS == 7, 9, IDS))
    before, after = (onnx.start(of, threads=1) for of in (checkpoint.open(folder), made))
    assert apart(after.hidden_states(ids)[0], before.hidden_states(ids)[0]) < APART[kind]
    assert apart(after.mlm_logits(ids, PICKS), before.mlm_logits(ids, PICKS)) < APART[kind]


def test_a_model_without_a_head_and_one_with_a_task(
    make_checkpoint: Callable[..., Path], tuned: Callable[..., Path], tmp_path: Path
) -> None:
    bare = make_checkpoint(head=False)
    states = [onnx.start(of, threads=1).hidden_states(IDS)[0] for of in (checkpoint.open(bare), quantized(bare, tmp_path / "bare"))]
    assert apart(states[1], states[0]) < APART["dynamic"]
    task = tuned(CLASSIFIER, TOPICS)
    quantized(task, tmp_path / "task")
    before, after = (xlmr.load(of, threads=1).classify("the cat drinks") for of in (task, tmp_path / "task"))
    wanted = {of.label: of.score for of in before}
    assert all(abs(wanted[of.label] - of.score) < 0.1 for of in after)
