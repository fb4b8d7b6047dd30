"""How the ONNX runtime starts and cuts the encoder. That it computes the right thing is shown in test_parity."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from time import sleep
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlmr import checkpoint, runtimes
from xlmr.config import Config
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.runtimes import onnx

CONFIG = Config(vocabulary=500, width=32, layers=4, heads=4, inner=64, positions=66)
IDS = np.array([[0, 20, 30, 40, 2], [0, 7, 2, 1, 1]])
PICKS = np.array([[0, 2], [1, 1]])


@pytest.fixture(scope="module")
def folder(make_checkpoint):
    return make_checkpoint(CONFIG)


@pytest.fixture(scope="module")
def every(folder):
    """States of every layer, by a runtime that was asked for nothing else."""
    return onnx.start(checkpoint.open(folder), threads=1).hidden_states(IDS, range(CONFIG.layers + 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(-CONFIG.layers - 1, CONFIG.layers), min_size=1, max_size=3), min_size=1, max_size=5))
def test_whatever_was_asked_before_answers_are_the_same(folder, every, questions):
    runtime = onnx.start(checkpoint.open(folder), threads=1)
    for layers in questions:
        for states, layer in zip(runtime.hidden_states(IDS, layers), layers, strict=True):
            np.testing.assert_allclose(states, every[layer], atol=1e-5)


def test_a_lower_layer_reads_no_weights_above_it(folder, tmp_path):
    """With rubbish for the last layer's weights the others are as before."""
    spoilt = tmp_path / "model"
    spoilt.mkdir()
    for file in folder.iterdir():
        (spoilt / file.name).write_bytes(file.read_bytes())
    model = checkpoint.open(spoilt)
    with (spoilt / "model.safetensors").open("r+b") as file:
        held = model.stored[f"layers.{CONFIG.layers - 1}.grow.weight"]
        file.seek(held.offset)
        file.write(np.full(held.length // 4, np.nan, np.float32).tobytes())
    runtime = onnx.start(checkpoint.open(spoilt), threads=1)
    assert np.isfinite(runtime.hidden_states(IDS, [CONFIG.layers - 1])[0]).all()
    assert not np.isfinite(runtime.hidden_states(IDS)[0]).all()


@pytest.mark.parametrize("rows", [1, 63, 64, 100])
def test_a_large_batch_is_answered_as_a_small_one(folder, every, rows):
    """From 4,096 places on, memory is handed back after the run."""
    ids = np.full((rows, 64), CONFIG.pad_id)
    ids[:, : IDS.shape[1]] = IDS[0]
    runtime = onnx.start(checkpoint.open(folder), threads=1)
    for _ in range(2):
        np.testing.assert_allclose(runtime.hidden_states(ids)[0][-1, : IDS.shape[1]], every[-1][0], atol=1e-5)


def test_a_batch_of_nothing_but_padding_has_states_of_its_shape(folder):
    assert onnx.start(checkpoint.open(folder)).hidden_states(np.full((2, 3), CONFIG.pad_id))[0].shape == (2, 3, CONFIG.width)


def test_the_hub_cache_is_a_folder_like_another(folder, every, tmp_path):
    """There, each file is a link into a folder beside the one it is in."""
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(folder.iterdir()):
        (blobs / f"{number:040}").write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", f"{number:040}"))
    runtime = onnx.start(checkpoint.open(snapshot), threads=1)
    np.testing.assert_array_equal(runtime.hidden_states(IDS)[0], every[-1])
    assert runtime.mlm_logits(IDS, PICKS).shape == (2, CONFIG.vocabulary)


@pytest.mark.parametrize("name", ["model", "ein schönes Modell", "模型"])
def test_a_folder_may_have_any_name_and_be_relative(folder, every, tmp_path, monkeypatch, name):
    (tmp_path / name).symlink_to(folder, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(onnx.start(checkpoint.open(Path(name)), threads=1).hidden_states(IDS)[0], every[-1])


def test_weights_need_not_begin_at_a_multiple_of_anything(folder, every, tmp_path):
    """Files written before safetensors 0.3 do not pad their header."""
    odd = tmp_path / "model"
    odd.mkdir()
    for file in folder.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    whole = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + length].rstrip() + b" "
    header += b" " * (len(header) % 2 == 0)
    (odd / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
    model = checkpoint.open(odd)
    assert model.stored["embeddings.words.weight"].offset % 2
    runtime = onnx.start(model, threads=1)
    np.testing.assert_allclose(runtime.hidden_states(IDS)[0], every[-1], atol=1e-5)
    assert np.isfinite(runtime.mlm_logits(IDS, PICKS)).all()


@pytest.fixture(params=runtimes.NAMES)
def runtime(request, folder):
    """Of every framework."""
    if request.param == "torch":
        pytest.importorskip("torch")
    return runtimes.start(checkpoint.open(folder), request.param)


@pytest.mark.parametrize("layer", [CONFIG.layers + 1, -CONFIG.layers - 2])
def test_a_layer_there_is_not_is_refused(runtime, layer):
    with pytest.raises(BadInput, match=rf"layer {layer} was asked for; wanted 0 .* to 4"):
        runtime.hidden_states(IDS, [0, layer])


def test_of_no_layers_there_are_no_states(runtime):
    assert runtime.hidden_states(IDS, []) == []


def test_threads_that_ask_at_once_share_their_sessions(folder, monkeypatch):
    """Also where Python's cached properties have no lock of their own, as from 3.12 on."""
    made, everybody = [], Barrier(4)

    def slowly(*arguments, **options):
        made.append(arguments)
        sleep(0.05)
        return ort.InferenceSession(*arguments, **options)

    monkeypatch.setattr(vars(onnx.OnnxRuntime)["_head"], "lock", nullcontext(), raising=False)
    monkeypatch.setattr(onnx, "ort", SimpleNamespace(**vars(ort) | {"InferenceSession": slowly}))
    runtime = onnx.start(checkpoint.open(folder), threads=1)

    def ask(_):
        everybody.wait()
        return runtime.mlm_logits(IDS, PICKS)

    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(ask, range(4))
    assert all(np.array_equal(first, other) for other in others)
    assert len(made) == 2  # the head and the encoder


def test_without_a_head_there_are_states_and_no_logits(make_checkpoint):
    runtime = onnx.start(checkpoint.open(make_checkpoint(replace(CONFIG, layers=1), head=False)), threads=1)
    assert runtime.hidden_states(IDS)[0].shape == (2, 5, CONFIG.width)
    with pytest.raises(BadCheckpoint, match=r"no masked-language-model head \(lm_head\.\*\), so it cannot fill masks"):
        runtime.mlm_logits(IDS, PICKS)


def test_weights_that_went_away_are_named(make_checkpoint):
    folder = make_checkpoint(replace(CONFIG, layers=1))
    runtime = onnx.start(checkpoint.open(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors: cannot be read .*; it must stay while a model uses it"):
        runtime.hidden_states(IDS)


def test_weights_of_two_files_are_never_mixed(make_checkpoint):
    """Another file in the place of the one that was opened, before a further session or while it starts."""
    config = replace(CONFIG, layers=1)
    folder, other = make_checkpoint(config), make_checkpoint(config, seed=1)
    runtime, late = onnx.start(checkpoint.open(folder), threads=1), onnx.start(checkpoint.open(other), threads=1)
    states = runtime.hidden_states(IDS)[0]
    os.replace(other / "model.safetensors", folder / "model.safetensors")
    np.testing.assert_array_equal(runtime.hidden_states(IDS)[0], states)
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors: is not as it was when it was opened; it must not change"):
        runtime.mlm_logits(IDS, PICKS)
    with pytest.raises(BadCheckpoint, match=r"it must stay while a model uses it"):
        late.mlm_logits(IDS, PICKS)


def test_weights_exchanged_while_a_session_starts_are_noticed(make_checkpoint, monkeypatch):
    folder = make_checkpoint(replace(CONFIG, layers=1))
    runtime = onnx.start(checkpoint.open(folder), threads=1)

    def exchanging(*arguments, **options):
        os.utime(folder / "model.safetensors", ns=(0, 0))
        return ort.InferenceSession(*arguments, **options)

    monkeypatch.setattr(onnx, "ort", SimpleNamespace(**vars(ort) | {"InferenceSession": exchanging}))
    with pytest.raises(BadCheckpoint, match="is not as it was when it was opened"):
        runtime.hidden_states(IDS)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names there are text")
def test_a_folder_whose_name_is_not_text_is_a_bad_checkpoint(folder, tmp_path):
    odd = tmp_path / "m\udcff"
    shutil.copytree(folder, odd)
    with pytest.raises(BadCheckpoint, match="cannot start it"):
        onnx.start(checkpoint.open(odd), threads=1).hidden_states(IDS)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts its threads as Linux shows them")
def test_threads_are_as_many_as_asked_for(folder):
    def grown(threads):
        before = len(os.listdir("/proc/self/task"))
        runtime = onnx.start(checkpoint.open(folder), threads=threads)
        runtime.hidden_states(IDS)
        return len(os.listdir("/proc/self/task")) - before

    assert (grown(1), grown(3)) == (0, 2)  # the one that asks works too


def test_it_starts_without_a_word_and_without_torch(folder):
    code = f"""
import sys
import numpy as np
from xlmr import checkpoint, runtimes
runtime = runtimes.start(checkpoint.open({str(folder)!r}))
assert runtime.mlm_logits(np.array({IDS.tolist()}), np.array({PICKS.tolist()})).shape == (2, {CONFIG.vocabulary})
assert not {{"torch", "transformers", "sentencepiece"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
