"""The core stays light: neither the import nor a whole answer brings in a heavy package."""

import os
import subprocess
import sys

import pytest
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

HEAVY = {"accelerate", "flax", "jax", "matplotlib", "peft", "pyarrow", "scipy", "sentencepiece", "sklearn", "tensorflow", "torch",
         "transformers"}  # fmt: skip
LAZY = {"numpy", "onnx", "onnxruntime", "tokenizers", "huggingface_hub", "click", "icu4py"}

IMPORT = "import xlmr"
ANSWER = """
from xlmr.cli import main
try:
    main([*{command!r}, "--model", {folder!r}, "--json"])
except SystemExit as done:
    assert not done.code, done.code
"""


def brought_in(code: str, path: str = "") -> set[str]:
    """The top-level modules that are there after some code ran in a new process."""
    code += "\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [path, *sys.path]))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8", check=True)
    return {name.partition(".")[0] for name in done.stderr.splitlines()}


def test_import_brings_in_nothing_but_itself():
    assert not brought_in(IMPORT) & (HEAVY | LAZY)


@pytest.mark.parametrize(
    "command",
    [
        ("fill-mask", "the cat <mask>"),
        ("fill-mask", "--whole-word", "--language", "ru", "<mask> <mask>"),
        ("score", "the cat"),
        ("embed", "--level", "word", "the cat"),
        ("align", "the cat", "le chat"),
    ],
)
def test_an_answer_brings_in_nothing_heavy(tiny, command):
    found = brought_in(ANSWER.format(command=command, folder=str(tiny)))
    assert not found & (HEAVY | {"huggingface_hub"})
    assert {"numpy", "onnxruntime", "tokenizers", "click"} <= found


def test_the_language_of_a_text_brings_in_nothing_heavy(speaking):
    found = brought_in(ANSWER.format(command=("language", "--spans", "the cat"), folder=str(speaking)))
    assert not found & (HEAVY | {"huggingface_hub", "safetensors"})


@pytest.mark.parametrize(
    ("architecture", "labels", "command"),
    [
        (CLASSIFIER, TOPICS, ("classify", "--pair", "le chat", "the cat")),
        (TAGGER, NAMES, ("tag", "the cat")),
        (EXTRACTOR, (), ("answer", "--question", "where?", "--context", "the cat in the house")),
    ],
)
def test_what_a_fine_tuned_model_answers_brings_in_nothing_heavy(tuned, architecture, labels, command):
    found = brought_in(ANSWER.format(command=command, folder=str(tuned(architecture, labels))))
    assert not found & (HEAVY | {"huggingface_hub", "safetensors"})
    assert "onnxruntime" in found


def test_help_brings_in_nothing_but_the_command_line():
    code = ANSWER.replace('"--json"', '"--help"').replace('"--model", {folder!r}, ', "")
    found = brought_in(code.format(command=("map",)))
    assert not found & (HEAVY | LAZY - {"click"})


def test_a_picture_without_t_sne_brings_in_nothing_heavy(tiny, tmp_path):
    (tmp_path / "a.txt").write_text("the cat\nthe key\n", encoding="utf-8")
    command = ("map", "--method", "pca", f"en={tmp_path / 'a.txt'}", "--output", str(tmp_path / "a.svg"))
    found = brought_in(ANSWER.replace(', "--json"', "").format(command=command, folder=str(tiny)))
    assert not found & (HEAVY | {"huggingface_hub"})


@pytest.mark.parametrize("heavy", sorted(HEAVY))
def test_these_tests_can_fail(tmp_path, heavy):
    (tmp_path / f"{heavy}.py").touch()
    assert heavy in brought_in(f"import {heavy}\n{IMPORT}", str(tmp_path))
