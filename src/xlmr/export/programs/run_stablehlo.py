"""Answers with `model.stablehlo`, on JAX, and the arrays of `params.safetensors`."""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

folder, questions, answers, task = sys.argv[1:]
sys.path.insert(0, folder)
import model  # type: ignore[import-not-found]  # the exported one, which nests the arrays

params, _ = model.load(folder)
program = jax.export.deserialize(bytearray((Path(folder) / "model.stablehlo").read_bytes()))
asked = np.load(questions)
found: dict[str, Any] = {}
for number in range(len(asked.files) // 2):
    given = program.call(params, asked[f"ids.{number}"].astype(np.int32), asked[f"mask.{number}"].astype(np.int32))
    found |= {f"{task}.{name}.{number}": np.asarray(values) for name, values in given.items()}
np.savez(answers, **found)
