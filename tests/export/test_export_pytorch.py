"""What PyTorch is given opens without pickles' code and without our source, and transformers loads the folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_export import HEADS, exported

from xlmr import checkpoint, runtimes
from xlmr.export import answers, parity


def test_weights_are_a_plain_dict_by_hugging_faces_names(tiny: Path, tmp_path: Path) -> None:
    exported("pytorch", tiny, tmp_path / "out")
    found, wanted = torch.load(tmp_path / "out" / "model.pt", weights_only=True), load_file(tmp_path / "out" / "model.safetensors")
    assert type(found) is dict
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 7), (5, 3)])
def test_a_program_takes_any_batch_and_length(batch: int, length: int, tiny: Path, tmp_path: Path) -> None:
    exported("pytorch", tiny, tmp_path / "out")
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    ids = torch.full((batch, length), 5)
    assert program(ids, torch.ones_like(ids))["logits"].shape == (batch, length, checkpoint.open(tiny).config.vocabulary)


@pytest.mark.parametrize("target", ["pytorch", "onnx", "safetensors"])
@pytest.mark.parametrize("head", HEADS)
def test_transformers_gives_the_same_numbers(head: str | None, target: str, headed: Callable[..., Path], tmp_path: Path) -> None:
    import transformers

    model = checkpoint.open(headed(head))
    exported(target, model.folder, tmp_path / "out")
    task, ids = answers.find(model, None), parity.questions(model.config)[1]
    loaded = getattr(transformers, task.architecture).from_pretrained(tmp_path / "out").eval()
    with torch.inference_mode():
        found = loaded(torch.from_numpy(ids), torch.from_numpy((ids != model.config.pad_id).astype(np.int64)))
    wanted = parity.expected(model, runtimes.start(model), task, ids)
    for name in task.outputs:
        off = np.abs(found[name].numpy() - wanted[name])
        assert (off[ids != model.config.pad_id] if off.shape[:2] == ids.shape else off).max() <= 1e-4
