"""onnxruntime-web fills a mask with what was exported of the model inside, in Node, as the model does."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from test_export import exported

import xlmr

VERSION = "onnxruntime-web@1.30.0"
TEXT = "Paris est la <mask> de la France."


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with onnxruntime-web, and the script."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node")
    folder = tmp_path_factory.mktemp("web")
    done = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", VERSION], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        pytest.skip(f"npm does not install {VERSION}: {done.stderr.strip()[-200:]}")
    shutil.copyfile(Path(__file__).with_name("fill_mask.mjs"), folder / "fill_mask.mjs")
    return folder


@pytest.mark.registry
@pytest.mark.parametrize("layout", ["beside", "single"])
def test_a_mask_is_filled_in_the_web(layout: str, packages: Path, tmp_path: Path) -> None:
    exported("onnx", None, tmp_path / "out", layout=layout)
    model = xlmr.load()
    (wanted,) = model.fill_mask([TEXT], top=5)
    ids = model.tokenizer.encode(TEXT).ids
    command = ["node", "fill_mask.mjs", tmp_path / "out", model.tokenizer.mask_id, *ids]
    done = subprocess.run([*map(str, command)], cwd=packages, capture_output=True, encoding="utf-8", check=True)
    assert json.loads(done.stdout) == [filling.ids[0][0] for filling in wanted]
