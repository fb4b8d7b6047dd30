"""Ways to fill one mask in each of many texts. Run by fill_mask.py, each in a process of its own: `contenders.py NAME FOLDER`.

It loads the model, answers two texts to warm up, then answers all texts each time it reads a line; a line of JSON says how that went.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

TOP = 5
BATCH = 16

Fill = Callable[[list[str]], list[int]]
"""The likeliest piece for each text's mask, found among the likeliest five."""


def ours(folder: str) -> Fill:
    """`xlmr`: the encoder on token-budget batches, the head at the masks."""
    import xlmr

    model = xlmr.load(folder)
    return lambda texts: [fillings[0].ids[0][0] for fillings in model.fill_mask(texts, top=TOP)]


def pipeline(folder: str, batch: int) -> Fill:
    """transformers' fill-mask pipeline: the head at every token."""
    import transformers

    fill = transformers.pipeline("fill-mask", model=folder, tokenizer=folder, top_k=TOP, device="cpu")
    return lambda texts: [fillings[0]["token"] for fillings in fill(texts, batch_size=batch)]


def masked_only(folder: str) -> Fill:
    """What one writes by hand with transformers: texts sorted by length, the head at the masks."""
    import torch
    from transformers import AutoTokenizer, XLMRobertaForMaskedLM

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = XLMRobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32)

    @torch.inference_mode()
    def fill(texts: list[str]) -> list[int]:
        encoded = tokenizer(texts)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        best = [0] * len(texts)
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            batch = tokenizer.pad({"input_ids": [encoded[i] for i in rows]}, return_tensors="pt")
            states = model.roberta(**batch).last_hidden_state
            logits = model.lm_head(states[batch["input_ids"] == tokenizer.mask_token_id])
            for i, found in zip(rows, logits.softmax(-1).topk(TOP).indices.tolist(), strict=True):
                best[i] = found[0]
        return best

    return fill


CONTENDERS: dict[str, Callable[[str], Fill]] = {
    "xlmr": ours,
    "pipeline-1": lambda folder: pipeline(folder, 1),
    "pipeline-16": lambda folder: pipeline(folder, BATCH),
    "masked-only": masked_only,
}


def texts() -> list[str]:
    """64 sentences in 21 languages, one mask each."""
    lines = Path(__file__).with_name("sentences.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[1] for line in lines]


def memory(entry: str) -> int:
    """Megabytes of this process: `VmRSS` those resident now, `VmHWM` the most since the last reset. As Linux tells."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(entry))


def serve(name: str, folder: str, answers: TextIO) -> None:
    """Load, warm up, and answer whenever a line comes in."""
    fill = CONTENDERS[name](folder)
    fill(texts()[:2])
    gc.collect()
    resident = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    print(json.dumps({"resident": resident}), file=answers, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        best = fill(texts())
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "growth": memory("VmHWM") - resident, "best": best}), file=answers, flush=True)


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may talk; answers are alone
    serve(sys.argv[1], sys.argv[2], answers)
