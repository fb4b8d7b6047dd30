"""One export, or one exported model that answers batches; each in a process of its own, run by export.py.

    export_contenders.py write TARGET OPTIONS MODEL FOLDER    writes, unproven, and says how long that took and the memory it took at most
    export_contenders.py KIND FOLDER TASK                      loads, then answers all batches each time it reads a line

A line of JSON says how it went.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from contenders import memory, texts

BATCH = 16
Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From ids and mask, int64 `[batch, sequence]`, to the first output."""


def write(target: str, options: str, model: str, folder: str) -> dict[str, float]:
    """Without the proof, which asks what was written."""
    from importlib import import_module

    from xlmr import checkpoint
    from xlmr.export.options import TARGETS

    maker, chosen, opened = import_module(f"xlmr.export.{target}"), TARGETS[target](**json.loads(options)), checkpoint.open(model)
    before = memory("VmHWM")
    begin = time.perf_counter()
    if getattr(chosen, "layout", "") == "in-place":
        with maker.in_place(opened, chosen, True) as made:
            took = time.perf_counter() - begin
            (made.folder / made.report).write_text("{}", encoding="utf-8")  # what the proof would have written
    else:
        Path(folder).mkdir(parents=True)
        maker.write(opened, Path(folder), chosen)
        took = time.perf_counter() - begin
    return {"seconds": took, "before": before, "most": memory("VmHWM")}


def onnx(folder: str, task: str) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def pytorch(folder: str, task: str) -> Answer:
    import torch

    model = torch.export.load(f"{folder}/model.pt2").module()

    @torch.inference_mode()
    def answer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return next(iter(model(torch.from_numpy(ids), torch.from_numpy(mask)).values())).numpy()

    return answer


def transformers(folder: str, task: str) -> Answer:
    import torch
    from transformers import AutoModel, AutoModelForMaskedLM

    kind = AutoModelForMaskedLM if task == "fill-mask" else AutoModel
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def answer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))[0].numpy()

    return answer


def tensorflow(folder: str, task: str) -> Answer:
    import tensorflow as tf

    model = tf.saved_model.load(folder)  # kept: its signatures do not keep its variables
    function = model.signatures["serving_default"]
    return lambda ids, mask: next(iter(function(input_ids=tf.constant(ids), attention_mask=tf.constant(mask)).values())).numpy()


def litert(folder: str, task: str) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(f"{folder}/model.tflite", num_threads=2).get_signature_runner()
    return lambda ids, mask: next(iter(runner(input_ids=ids, attention_mask=mask).values()))


def jax(folder: str, task: str) -> Answer:
    import jax as framework

    sys.path.insert(0, folder)
    import model

    params, options = model.load(folder)
    params = framework.device_put(params)
    function = framework.jit(lambda params, ids, mask: model.answer(params, ids, mask, **options))
    return lambda ids, mask: np.asarray(next(iter(function(params, ids.astype(np.int32), mask.astype(np.int32)).values())))


KINDS: dict[str, Callable[[str, str], Answer]] = {
    "onnx": onnx, "pytorch": pytorch, "transformers": transformers, "tensorflow": tensorflow, "litert": litert, "jax": jax,
}  # fmt: skip


def batches(folder: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The sentences of the benchmark, sorted by length; ids and masks."""
    from tokenizers import Tokenizer

    rows = sorted((encoding.ids for encoding in Tokenizer.from_file(f"{folder}/tokenizer.json").encode_batch(texts())), key=len)
    for begin in range(0, len(rows), BATCH):
        chosen = rows[begin : begin + BATCH]
        ids = np.full((len(chosen), len(chosen[-1])), 1)
        for row, of in zip(ids, chosen, strict=True):
            row[: len(of)] = of
        yield ids, (ids != 1).astype(np.int64)


def main(kind: str, *given: str) -> None:
    if kind == "write":
        print(json.dumps(write(*given)))
        return
    answer, asked = KINDS[kind](*given), [*batches(given[0])]
    for ids, mask in asked:  # everything warms up, and JAX compiles each shape
        answer(ids, mask)
    print(json.dumps({"resident": memory("VmRSS")}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        total: Any = sum(float(answer(ids, mask)[0, 0].sum()) for ids, mask in asked)
        print(json.dumps({"seconds": time.perf_counter() - begin, "sum": total}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
