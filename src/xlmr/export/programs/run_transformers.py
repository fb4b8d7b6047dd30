"""Answers with a folder of Hugging Face's, on transformers."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

folder, questions, answers = map(Path, sys.argv[1:])
(kind,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32).eval()
asked, found = np.load(questions), {}
for number in range(len(asked.files) // 2):
    ids, mask = (torch.from_numpy(asked[f"{name}.{number}"]) for name in ("ids", "mask"))
    with torch.inference_mode():
        given = model(input_ids=ids, attention_mask=mask)
    for name in ("last_hidden_state", "logits", "start_logits", "end_logits"):
        if (values := given.get(name)) is not None:
            found[f"{name}.{number}"] = values.numpy()
np.savez(answers, **found)
