"""Masks are taken as transformers takes them, also where they are not those of the padding."""

from pathlib import Path

import numpy as np
import pytest
from test_export import NEEDS, exported

from xlmr.export import answers, parity
from xlmr.export.options import TARGETS
from xlmr.export.parity import Asked

CHOSEN: dict[str, dict[str, object]] = {"onnx": {}, "fused": {"fused": True}, "tensorflow": {"tflite": True}, "jax": {"stablehlo": True}}
KINDS = [*TARGETS, "fused"]
IDS = np.array([[0, 5, 6, 7, 8, 2], [0, 5, 1, 7, 8, 2], [1, 1, 0, 5, 6, 2], [0, 9, 2, 1, 1, 1]])
MASKS = np.array([[1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
"""A token hidden; padding inside a text, seen; padding at the left; a place of padding seen."""


@pytest.mark.parametrize("kind", KINDS)
def test_masks_hide_what_transformers_hides(kind: str, tiny: Path, tmp_path: Path) -> None:
    target = "onnx" if kind == "fused" else kind
    pytest.importorskip(NEEDS[target])
    pytest.importorskip("ai_edge_litert" if target == "tensorflow" else "onnx")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    exported(target, tiny, tmp_path / "out", task="fill-mask", **CHOSEN.get(kind, {}))
    with torch.inference_mode():
        model = transformers.XLMRobertaForMaskedLM.from_pretrained(tiny, attn_implementation="eager").eval()
        wanted = model(torch.from_numpy(IDS), torch.from_numpy(MASKS)).logits.numpy()
    for number, one in enumerate(artefacts(target, tmp_path / "out")):
        blank = (IDS[:1], np.zeros_like(IDS[:1]))
        found = np.load(parity.ask(one, [(IDS, MASKS), blank], tmp_path / str(number)))
        assert np.abs(found["fill-mask.logits.0"] - wanted)[MASKS != 0].max() <= 1e-4, one.name
        assert np.isfinite(found["fill-mask.logits.1"]).all(), one.name


def artefacts(target: str, folder: Path) -> list[Asked]:
    """What there is to be asked in an export."""
    programs = {
        "onnx": {"run_onnx": folder / "model.onnx"}, "pytorch": {"run_pytorch": folder}, "safetensors": {"run_numpy": folder},
        "tensorflow": {"run_tensorflow": folder, "run_litert": folder / "model.tflite"},
        "jax": {"run_jax": folder, "run_stablehlo": folder},
    }  # fmt: skip
    return [Asked(program, path, program, (answers.MASKS,)) for program, path in programs[target].items()]
