"""What was exported for JAX and TensorFlow comes back bit for bit."""

import os
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import xlmr
from xlmr import checkpoint, export
from xlmr.checkpoint import attachments, importing
from xlmr.errors import BadCheckpoint
from xlmr.export.options import TARGETS

TEXT = "the cat drinks water."
EVERY = [pytest.param(of, marks=pytest.mark.skipif(find_spec(of) is None, reason=f"needs {of}"), id=of) for of in ("jax", "tensorflow")]


def back(target: str, model: Path, folder: Path, **chosen: object) -> checkpoint.Checkpoint:
    export.run(target, model, folder / target, TARGETS[target](**chosen))
    return checkpoint.open(importing.convert(folder / target, folder / "back"))


@pytest.mark.parametrize("target", EVERY)
def test_it_comes_back_bit_for_bit(target: str, tiny: Path, tmp_path: Path) -> None:
    found, wanted = back(target, tiny, tmp_path), checkpoint.open(tiny)
    assert found.config == wanted.config
    assert found.stored.keys() == wanted.stored.keys()
    assert all(np.array_equal(checkpoint.read(found, name), checkpoint.read(wanted, name)) for name in wanted.stored)


@pytest.mark.parametrize("target", EVERY)
def test_a_head_comes_back_with_its_labels(target: str, headed: Callable[..., Path], tmp_path: Path) -> None:
    model = headed("XLMRobertaForTokenClassification")
    found, wanted = back(target, model, tmp_path), checkpoint.open(model)
    assert found.task is not None
    assert wanted.task is not None
    assert found.task.labels == wanted.task.labels
    ours, theirs = checkpoint.head_weights(wanted), checkpoint.head_weights(found)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("target", EVERY)
def test_a_conditional_random_field_comes_back(target: str, linked: Path, tmp_path: Path) -> None:
    found = back(target, linked, tmp_path)
    assert attachments.names(found.folder) == attachments.names(linked) == ["tagging"]
    ours, theirs = (load_file(folder / "tagging.safetensors") for folder in (linked, found.folder))
    assert ours.keys() == theirs.keys() >= {"transitions", "start", "end"}
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert xlmr.load(found.folder).tag(TEXT) == xlmr.load(linked).tag(TEXT)


INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
LINKED = {
    "params.safetensors": ("params.safetensors",),
    "saved_model.pb": ("variables", INDEX, DATA),
    "1/saved_model.pb": ("1", "1/variables", f"1/{INDEX}", f"1/{DATA}"),
}
"""What may be a link, by the file that weights are found by."""


def hollow(weights: str, tiny: Path, folder: Path) -> Path:
    """The files of an export, with nothing in those of its weights."""
    place = (folder / weights).parent
    (place / "variables").mkdir(parents=True)
    for path in (folder / weights, place / INDEX, place / DATA):
        path.touch()
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(tiny / name, folder / name)
    return folder


@pytest.mark.parametrize(("weights", "part"), [(weights, part) for weights, parts in LINKED.items() for part in parts])
def test_weights_out_of_the_folder_are_refused(weights: str, part: str, tiny: Path, tmp_path: Path) -> None:
    """TensorFlow itself follows any link, so it is not asked."""
    path = hollow(weights, tiny, tmp_path / "out") / part
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadCheckpoint, match=r"is a link that leads out of the model's folder, to .*elsewhere"):
        importing.convert(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_variables_that_are_no_plain_file_are_refused(tiny: Path, tmp_path: Path) -> None:
    """TensorFlow would wait for a pipe."""
    path = hollow("saved_model.pb", tiny, tmp_path / "out") / INDEX
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadCheckpoint, match=r"variables\.index: is no plain file"):
        importing.convert(tmp_path / "out", tmp_path / "back")


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs tensorflow")
def test_a_folder_for_a_server_comes_back(tiny: Path, tmp_path: Path) -> None:
    found = back("tensorflow", tiny, tmp_path, server="tf-serving")
    assert found.has_mlm_head


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs tensorflow")
def test_a_saved_model_of_others_is_refused(tiny: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    other = tf.Module()
    other.weight = tf.Variable([1.0])
    tf.saved_model.save(other, str(tmp_path / "other"))
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / "other" / name).write_bytes((tiny / name).read_bytes())
    with pytest.raises(BadCheckpoint, match="its variables are not those that xlmr export tensorflow writes"):
        importing.convert(tmp_path / "other", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_arrays_of_another_model_are_refused(tiny: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "params.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    with pytest.raises(BadCheckpoint, match="weights and config disagree"):
        importing.convert(tmp_path, tmp_path / "back")
