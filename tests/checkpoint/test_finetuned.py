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
from xlmr import checkpoint, tensors
from xlmr.checkpoint import SavedHead, attachments
from xlmr.checkpoint.attachments import Attachment
from xlmr.errors import BadCheckpoint
from xlmr.heads.classes import SINGLE

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


LABELS = ("O", "B-PER", "I-PER")
SAVED = {
    # the class: its labels, what it answers
    "XLMRobertaForSequenceClassification": (LABELS, "multi_label_classification"),
    "XLMRobertaForTokenClassification": (LABELS, ""),
    "XLMRobertaForQuestionAnswering": ((), ""),
}

ONE = {"task.dense.weight": 0, "task.dense.bias": 0, "task.out.weight": 0, "task.out.bias": np.zeros(1)}
"""The outputs are counted by their bias."""


def head_of(name: str, folder: Path, **more: Any) -> SavedHead:
    """A random head of a class, for the model in a folder."""
    dice, config = np.random.default_rng(5), checkpoint.open(folder).config
    labels, problem = SAVED[name]
    drawn = {tensor.name: dice.standard_normal(tensor.shape(config, len(labels) or 2), np.float32) for tensor in tensors.task_head(name)}
    return SavedHead(**{"architecture": name, "labels": labels, "weights": drawn, "problem": problem} | more)


def saved(tiny: Path, folder: Path, head: SavedHead, dtype: str = "float32") -> Path:
    opened = checkpoint.open(tiny)
    checkpoint.save(folder, opened.config, checkpoint.weights(opened), tokenizer=tiny / "tokenizer.json", dtype=dtype, head=head)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SAVED)
def test_transformers_loads_a_head_that_is_saved_here(name: str, dtype: str, tiny: Path, tmp_path: Path) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    head = head_of(name, tiny)
    folder = saved(tiny, tmp_path / "model", head, dtype)
    auto = getattr(transformers, name.replace("XLMRoberta", "AutoModel"))
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert {kind: list(found) for kind, found in report.items() if found} == {}
    assert type(model).__name__ == name
    theirs = dict(model.named_parameters())
    for tensor in tensors.task_head(name):
        assert torch.equal(theirs[tensor.hf], torch.from_numpy(head.weights[tensor.name]).to(model.dtype)), tensor.hf
    assert model.config.problem_type == (head.problem or None)
    if head.labels:
        assert tuple(model.config.id2label[i] for i in range(3)) == head.labels
        assert model.config.label2id == {label: i for i, label in enumerate(head.labels)}


@pytest.mark.parametrize("name", SAVED)
def test_a_head_that_is_saved_is_read_again(name: str, tiny: Path, tmp_path: Path) -> None:
    head = head_of(name, tiny)
    opened = checkpoint.open(saved(tiny, tmp_path / "model", head))
    assert opened.task is not None
    assert (opened.task.architecture, opened.task.labels, opened.config.problem) == (name, head.labels, head.problem)
    assert opened.config.architectures == (name,)
    assert not opened.has_mlm_head
    found = checkpoint.head_weights(opened)
    assert found.keys() == head.weights.keys()
    assert all(np.array_equal(found[key], head.weights[key]) for key in found)
    again = SavedHead(opened.task.architecture, opened.task.labels, found, opened.config.problem)
    saved(tiny, tmp_path / "again", again)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tmp_path / "model" / "model.safetensors").read_bytes()


def test_the_weights_of_a_head_that_transformers_saved_are_its_own(finetuned: Callable[..., Path]) -> None:
    opened = checkpoint.open(finetuned("XLMRobertaForSequenceClassification"))
    arrays = load_file(opened.folder / "model.safetensors")
    found = checkpoint.head_weights(opened)
    table = list(tensors.task_head("XLMRobertaForSequenceClassification"))
    assert found.keys() == {tensor.name for tensor in table}
    assert all(np.array_equal(found[tensor.name], arrays[tensor.hf]) for tensor in table)


def test_a_model_without_a_head_has_no_weights_of_one(tiny: Path) -> None:
    assert checkpoint.head_weights(checkpoint.open(tiny)) == {}


def test_what_belongs_to_a_head_is_saved_beside_it_and_fits_its_encoder(tiny: Path, tmp_path: Path) -> None:
    beside = {"tagging": Attachment({"start": np.arange(3, dtype=np.float32)}, {"words": "mean"})}
    head = head_of("XLMRobertaForTokenClassification", tiny, attachments=beside)
    folder = saved(tiny, tmp_path / "model", head)
    saved(tiny, folder, head)  # over itself
    found = attachments.read(checkpoint.open(folder), "tagging", "xlmr finetune tag")
    assert found.facts == {"words": "mean"}
    np.testing.assert_array_equal(found.arrays["start"], [0, 1, 2])
    saved(tiny, folder, head_of("XLMRobertaForTokenClassification", tiny))
    assert attachments.names(folder) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "XLMRobertaForTokenClassification",
            {"architecture": "BertForTokenClassification"},
            "is 'BertForTokenClassification', wanted",
        ),
        ("XLMRobertaForTokenClassification", {"labels": ("O", "B-PER")}, "has 3 outputs and 2 labels; wanted one for each"),
        (
            "XLMRobertaForSequenceClassification",
            {"labels": ("a",), "problem": SINGLE, "weights": ONE},
            "nothing to choose",
        ),
        ("XLMRobertaForTokenClassification", {"labels": ("O", "B-PER", "O")}, "a label of the head is there twice"),
        ("XLMRobertaForQuestionAnswering", {"labels": ("start", "end")}, "question answering have no names; found 2 labels"),
        ("XLMRobertaForTokenClassification", {"weights": {}}, "has the weights task.out.bias, task.out.weight; found $"),
    ],
)
def test_a_head_that_contradicts_itself_is_refused(name: str, change: dict[str, Any], message: str, tiny: Path) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        head_of(name, tiny, **change)


def test_a_head_of_another_width_is_refused(tiny: Path, tmp_path: Path) -> None:
    weights = {"task.out.weight": np.zeros((3, 31), np.float32), "task.out.bias": np.zeros(3, np.float32)}
    with pytest.raises(BadCheckpoint, match=r"task.out.weight has shape \(3, 31\), the config wants \(3, 32\)"):
        saved(tiny, tmp_path / "model", head_of("XLMRobertaForTokenClassification", tiny, weights=weights))
    assert not (tmp_path / "model").exists()


def test_a_head_whose_numbers_are_not_finite_is_refused(finetuned: Callable[..., Path], tmp_path: Path) -> None:
    def broken(arrays: dict[str, np.ndarray]) -> None:
        arrays["classifier.bias"][1] = np.nan

    opened = checkpoint.open(rewritten(finetuned("XLMRobertaForTokenClassification"), tmp_path, broken))
    with pytest.raises(BadCheckpoint, match=r"task.out.bias holds numbers that are not finite"):
        checkpoint.head_weights(opened)
