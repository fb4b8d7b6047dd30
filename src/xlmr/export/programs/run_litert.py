"""Answers with `model.tflite`, in the interpreter of TensorFlow Lite."""

import sys

import numpy as np
import tensorflow as tf

model, questions, answers, task = sys.argv[1:]
interpreter = tf.lite.Interpreter(model)
places = {of["name"].split(":")[0].removeprefix("serving_default_"): of["index"] for of in interpreter.get_input_details()}
asked, found = np.load(questions), {}
for number in range(len(asked.files) // 2):
    feed = {"input_ids": asked[f"ids.{number}"], "attention_mask": asked[f"mask.{number}"]}
    for name, values in feed.items():
        interpreter.resize_tensor_input(places[name], values.shape)
    interpreter.allocate_tensors()
    answer = interpreter.get_signature_runner()
    found |= {f"{task}.{name}.{number}": values for name, values in answer(**feed).items()}
np.savez(answers, **found)
