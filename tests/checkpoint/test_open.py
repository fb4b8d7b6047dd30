import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xlmr import checkpoint
from xlmr.errors import BadCheckpoint, BadInput


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the installed package."""
    monkeypatch.setattr(checkpoint, "files", {"xlmr": tmp_path}.__getitem__)
    return tmp_path


@pytest.mark.parametrize("source", [None, "small"])
def test_nothing_or_small_is_the_model_inside(source: str | None, tiny: Path, package: Path) -> None:
    shutil.copytree(tiny, package / "small")
    assert checkpoint.open(source).folder == package / "small"


@pytest.mark.parametrize("source", [None, "small"])
def test_an_installation_without_it_says_so(source: str | None, package: Path) -> None:
    with pytest.raises(
        BadCheckpoint, match="small: this installation has no small model inside; build it with `make small`, or name another"
    ):
        checkpoint.open(source)


def test_a_folder_is_a_path_or_its_name(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny.parent))
    monkeypatch.chdir(tiny.parent)
    for source in (tiny, str(tiny), tiny.name, f"./{tiny.name}", f"~/{tiny.name}"):
        assert checkpoint.open(source).folder.resolve() == tiny.resolve()


def test_a_folder_comes_before_a_hub_id_and_small_in_sight_is_named_with_its_dot(
    tiny: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny, tmp_path / "somebody" / "model")
    monkeypatch.chdir(tmp_path)
    assert checkpoint.open("somebody/model").folder == Path("somebody/model")
    shutil.move("somebody/model", "here")
    Path("sub").mkdir()
    shutil.move("here", "sub/small")
    monkeypatch.chdir("sub")
    with pytest.raises(BadCheckpoint, match="no small model inside"):
        checkpoint.open("small")
    assert checkpoint.open("./small").folder == Path("small")


@pytest.mark.parametrize(
    "source", ["xlm-roberta-base", "./nowhere/model", "/nowhere", "a/b/c", "", "bad\0name", "~nosuchuser/x", Path("some/body")]
)
def test_what_is_neither_folder_nor_hub_id_says_what_can_be(source: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BadCheckpoint, match=r"not found; wanted a folder, a hub id such as FacebookAI/xlm-roberta-base, or 'small'"
    ) as caught:
        checkpoint.open(source)
    assert str(caught.value).startswith(repr(str(source)))


@pytest.mark.parametrize("source", ["a" * 5_000, "./" + "a/" * 5_000, "somebody/" + "a" * 5_000])
def test_a_name_no_system_takes_is_cut_short(source: str) -> None:
    with pytest.raises(BadCheckpoint, match=r"^'[^']{200}'… cannot be looked up \(.*\); wanted a folder, a hub id"):
        checkpoint.open(source)


def test_a_folder_that_may_not_be_looked_into_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "exists", refuse)  # from Python 3.12 on it asks in another way
    with pytest.raises(BadCheckpoint, match=r"^'/closed/model' cannot be looked up \(Permission denied\); wanted a folder"):
        checkpoint.open("/closed/model")


@pytest.mark.parametrize("inside", [True, False])
def test_only_the_hub_has_revisions(inside: bool, tiny: Path, package: Path) -> None:
    shutil.copytree(tiny, package / "small")
    with pytest.raises(BadInput, match=r"revision 'v1' was asked of .*; only a model from the hub has revisions"):
        checkpoint.open(None if inside else tiny, revision="v1")


LIGHT = """
import sys
from xlmr import checkpoint
checkpoint.weights(checkpoint.open(sys.argv[1]))
print(*sorted({"torch", "transformers", "huggingface_hub", "safetensors", "onnx", "onnxruntime", "ml_dtypes"} & sys.modules.keys()))
"""


def test_a_folder_is_read_without_any_framework(tiny: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LIGHT, str(tiny)], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == ""
