"""Heads of fine-tuned models, as transformers saves them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import xlmr
from xlmr import checkpoint
from xlmr.errors import BadCheckpoint

CLASSES = {
    # the class, our name of its task, whether its labels have names
    "XLMRobertaForSequenceClassification": ("sequence classification", True),
    "XLMRobertaForTokenClassification": ("token classification", True),
    "XLMRobertaForMultipleChoice": ("multiple choice", False),
    "XLMRobertaForQuestionAnswering": ("question answering", False),
}


@pytest.fixture(scope="module")
def finetuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`finetuned(class, labels)`: the folder of a model that transformers made of the tiny one and saved."""
    transformers = pytest.importorskip("transformers")
    made: dict[str, Path] = {}

    def make(name: str, labels: tuple[str, ...] = ("O", "B-PER", "I-PER")) -> Path:
        if name not in made:
            folder = made[name] = tmp_path_factory.mktemp("finetuned")
            more = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
            model = getattr(transformers, name).from_pretrained(tiny, **(more if CLASSES[name][1] else {}))
            model.save_pretrained(folder)
            shutil.copy(tiny / "tokenizer.json", folder)
        return made[name]

    return make


def rewritten(folder: Path, tmp_path: Path, change: Callable[[dict[str, np.ndarray]], object] = lambda arrays: None, **config: Any) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    arrays = load_file(copy / "model.safetensors")
    change(arrays)
    save_file(arrays, copy / "model.safetensors")
    raw = json.loads((copy / "config.json").read_text()) | config
    (copy / "config.json").write_text(json.dumps({key: value for key, value in raw.items() if value is not None}))
    return copy


@pytest.mark.parametrize("name", CLASSES)
def test_a_head_that_transformers_saved_is_found_and_named(name: str, finetuned: Callable[..., Path]) -> None:
    opened = checkpoint.open(finetuned(name))
    task, named = CLASSES[name]
    assert opened.task is not None
    assert opened.task.task == task
    assert opened.task.labels == (("O", "B-PER", "I-PER") if named else ())
    arrays = load_file(opened.folder / "model.safetensors")
    assert len(opened.task.stored) == sum(key.startswith(("classifier.", "qa_outputs.")) for key in arrays)


@pytest.mark.parametrize(
    "name", ["XLMRobertaForSequenceClassification", "XLMRobertaForTokenClassification", "XLMRobertaForQuestionAnswering"]
)
def test_a_head_is_found_where_the_config_names_no_class(name: str, finetuned: Callable[..., Path], tmp_path: Path) -> None:
    opened = checkpoint.open(rewritten(finetuned(name), tmp_path, architectures=None))
    assert opened.task is not None
    assert opened.task.task == CLASSES[name][0]


def test_labels_without_names_are_numbered_as_transformers_numbers_them(finetuned: Callable[..., Path], tmp_path: Path) -> None:
    task = checkpoint.open(rewritten(finetuned("XLMRobertaForTokenClassification"), tmp_path, id2label=None, label2id=None)).task
    assert task is not None
    assert task.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_a_model_without_a_head_has_none(tiny: Path) -> None:
    assert checkpoint.open(tiny).task is None


def test_another_number_of_labels_is_refused(finetuned: Callable[..., Path], tmp_path: Path) -> None:
    folder = rewritten(finetuned("XLMRobertaForTokenClassification"), tmp_path, id2label={"0": "O", "1": "B"}, label2id=None)
    with pytest.raises(BadCheckpoint, match=r"safetensors: its head for token classification has 3 labels, and config.json names 2 \(id2"):
        checkpoint.open(folder)


def test_a_head_of_another_shape_is_let_be_and_not_named(finetuned: Callable[..., Path], tmp_path: Path) -> None:
    def deeper(arrays: dict[str, np.ndarray]) -> None:
        arrays["classifier.0.weight"] = arrays.pop("classifier.weight")

    opened = checkpoint.open(rewritten(finetuned("XLMRobertaForTokenClassification"), tmp_path, deeper))
    assert opened.task is None


def test_a_head_of_a_task_the_config_does_not_name_is_refused(finetuned: Callable[..., Path], tmp_path: Path) -> None:
    folder = rewritten(finetuned("XLMRobertaForQuestionAnswering"), tmp_path, architectures=["XLMRobertaModel"])
    with pytest.raises(BadCheckpoint, match=r"qa_outputs.bias, qa_outputs.weight are unknown to a tied XLM-R of 2 layers"):
        checkpoint.open(folder)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_a_fine_tuned_model_has_hidden_states_and_fills_no_masks(runtime: str, finetuned: Callable[..., Path]) -> None:
    pytest.importorskip("torch")
    model = xlmr.load(finetuned("XLMRobertaForTokenClassification"), runtime=runtime, threads=1)
    assert model.embed("the cat").shape == (32,)
    with pytest.raises(BadCheckpoint, match=r"no masked-language-model head \(lm_head.\*\), so it cannot fill masks"):
        model.fill_mask("the <mask>")
