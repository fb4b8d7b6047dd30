"""Answers with `model.py` and `params.safetensors`, on JAX."""

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np

folder, questions, answers = map(Path, sys.argv[1:])
spec = importlib.util.spec_from_file_location("model", folder / "model.py")
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
params, options = model.load(folder)
answer = jax.jit(lambda params, ids, mask: model.answer(params, ids, mask, **options))
asked, found = np.load(questions), {}
for number in range(len(asked.files) // 2):
    given = answer(params, asked[f"ids.{number}"].astype(np.int32), asked[f"mask.{number}"].astype(np.int32))
    found |= {f"{name}.{number}": np.asarray(values) for name, values in given.items()}
np.savez(answers, **found)
