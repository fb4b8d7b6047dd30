"""Answers with a SavedModel, on TensorFlow."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

folder, questions, answers = map(Path, sys.argv[1:])
answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
asked, found = np.load(questions), {}
for number in range(len(asked.files) // 2):
    ids, mask = (tf.constant(asked[f"{name}.{number}"]) for name in ("ids", "mask"))
    for name, values in answer(input_ids=ids, attention_mask=mask).items():
        found[f"{name}.{number}"] = values.numpy()
np.savez(answers, **found)
