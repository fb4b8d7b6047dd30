"""Answers with `model.pt2`, on PyTorch; and holds `model.pt`, opened with `weights_only`, against `model.safetensors`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

folder, questions, answers, task = sys.argv[1:]
model = torch.export.load(Path(folder) / "model.pt2").module()
weights, others = torch.load(Path(folder) / "model.pt", weights_only=True, mmap=True), load_file(Path(folder) / "model.safetensors")
if weights.keys() != others.keys() or not all(torch.equal(weights[name], others[name]) for name in weights):
    sys.exit("model.pt holds other weights than model.safetensors")
asked = np.load(questions)
found: dict[str, Any] = {}
for number in range(len(asked.files) // 2):
    ids, mask = (torch.from_numpy(asked[f"{name}.{number}"]) for name in ("ids", "mask"))
    with torch.inference_mode():
        found |= {f"{task}.{name}.{number}": values.numpy() for name, values in model(ids, mask).items()}
np.savez(answers, **found)
