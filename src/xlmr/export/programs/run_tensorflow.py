"""Answers with a SavedModel, on TensorFlow, by the signature of each task; the default one is that of the first."""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

folder, questions, answers, *tasks = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
asked = np.load(questions)
found: dict[str, Any] = {}
for task in tasks:
    answer = signatures["serving_default" if task == tasks[0] else task.replace("-", "_")]
    for number in range(len(asked.files) // 2):
        ids, mask = (tf.constant(asked[f"{name}.{number}"]) for name in ("ids", "mask"))
        for name, values in answer(input_ids=ids, attention_mask=mask).items():
            found[f"{task}.{name}.{number}"] = values.numpy()
np.savez(answers, **found)
