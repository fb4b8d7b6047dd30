"""Answers with `model.tflite`, in the interpreter of LiteRT, without TensorFlow."""

import sys
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, questions, answers, task = sys.argv[1:]
answer = Interpreter(model).get_signature_runner()
asked = np.load(questions)
found: dict[str, Any] = {}
for number in range(len(asked.files) // 2):
    given = answer(input_ids=asked[f"ids.{number}"], attention_mask=asked[f"mask.{number}"])
    found |= {f"{task}.{name}.{number}": values for name, values in given.items()}
np.savez(answers, **found)
