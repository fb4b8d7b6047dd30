"""What people install: the wheel, with its dependencies and nothing else, in an environment of its own."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 32 * 2**20
HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "sentencepiece",
    "tensorflow",
    "jax",
    "pyarrow",
    "scikit-learn",
    "seqeval",
    "peft",
    "matplotlib",
}

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder that holds a wheel and the sdist it was built from."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def light(wheel, tmp_path_factory):
    """Runs a program of an environment that holds the wheel and its dependencies, without network, with an empty home."""
    home = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    programs = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    nowhere = "http://127.0.0.1:9"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_", "XDG_"))}
    env |= {"HOME": str(home), "PYTHONUTF8": "1", "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere}

    def run(program: str, *arguments: str) -> str:
        return subprocess.run([programs / program, *arguments], env=env, cwd=home, check=True, capture_output=True, encoding="utf-8").stdout

    return run


def test_the_wheel_holds_the_package_and_its_model(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in names if ".dist-info/" not in name} == package
    assert {"xlmr/py.typed", *(f"xlmr/small/{name}" for name in ("config.json", "tokenizer.json", "model.safetensors"))} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size <= LIMIT


def test_the_sdist_holds_what_its_tests_need(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert tests | {"LICENSE", "Makefile", "constraints-dev.txt", "docs/refresh.py", "README.md"} <= names


def test_the_light_install_is_light(light):
    installed = {package["name"].lower() for package in json.loads(light("python", "-m", "pip", "list", "--format=json"))}
    assert "onnxruntime" in installed
    assert installed & HEAVY == set()


def test_the_light_install_fills_masks(light):
    text = "Paris est la <mask> de la France."
    answer = json.loads(light("xlmr", "fill-mask", "--json", text))
    assert answer["text"] == text
    assert len(answer["fillings"]) == 5
    assert "<mask>" not in answer["fillings"][0]["text"]


def test_the_light_install_finds_words(light):
    words = json.loads(light("xlmr", "embed", "--json", "--level", "word", "--size", "1", "แมวดื่มน้ำ"))["words"]
    assert [word["text"] for word in words] == ["แมว", "ดื่ม", "น้ำ"]


@pytest.mark.parametrize(
    ("architecture", "labels", "command", "keys"),
    [
        (CLASSIFIER, TOPICS, ("classify", "der Hund schläft"), {"text", "labels"}),
        (TAGGER, NAMES, ("tag", "der Hund schläft"), {"text", "words", "tags", "entities"}),
        (EXTRACTOR, (), ("answer", "--question", "wo?", "--context", "der Hund im Haus"), {"answer", "start", "end", "score"}),
    ],
)
def test_the_light_install_serves_what_was_fine_tuned(light, tuned, architecture, labels, command, keys):
    assert json.loads(light("xlmr", *command, "--json", "--model", str(tuned(architecture, labels)))).keys() == keys


def test_the_light_install_tells_about_itself(light):
    assert "0.1.0" in light("xlmr", "--version")
    assert "small" in light("xlmr", "info")
    assert light("python", "-m", "xlmr", "info") == light("xlmr", "info")
