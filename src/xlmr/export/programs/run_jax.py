"""Answers with `model.py` and `params.safetensors`, on JAX."""

import sys
from typing import Any

import jax
import numpy as np

folder, questions, answers, task = sys.argv[1:]
sys.path.insert(0, folder)
import model  # type: ignore[import-not-found]  # the exported one

params, options = model.load(folder)
answer = jax.jit(lambda params, ids, mask: model.answer(params, ids, mask, **options))
asked = np.load(questions)
found: dict[str, Any] = {}
for number in range(len(asked.files) // 2):
    given = answer(params, asked[f"ids.{number}"].astype(np.int32), asked[f"mask.{number}"].astype(np.int32))
    found |= {f"{task}.{name}.{number}": np.asarray(values) for name, values in given.items()}
np.savez(answers, **found)
