"""One way to encode all texts of the benchmark, in a process of its own, run by compression.py: `compression_contenders.py NAME FOLDER`.

It loads the model, encodes all texts once to warm up, then each time it reads a line; a line of JSON says how that went.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contenders import memory, texts

from xlmr import batching, checkpoint, tokenizer
from xlmr.encoder import pad

Encode = Callable[[list[list[list[int]]]], None]
"""Answers batches of rows of ids."""


def ours(folder: str) -> Encode:
    """`xlmr`, by ONNX Runtime."""
    from xlmr import runtimes

    opened = checkpoint.open(folder)
    runtime = runtimes.start(opened)

    def encode(batches: list[list[list[int]]]) -> None:
        for batch in batches:
            runtime.hidden_states(pad(batch, opened.config.pad_id))

    return encode


def ctranslate2(folder: str) -> Encode:
    """CTranslate2's encoder, int8, from a folder that its converter wrote."""
    import ctranslate2

    model = ctranslate2.Encoder(folder, compute_type="int8")

    def encode(batches: list[list[list[int]]]) -> None:
        for batch in batches:
            np.array(model.forward_batch(batch).last_hidden_state)

    return encode


def convert(folder: str, new: str) -> None:
    """Write a checkpoint as CTranslate2 wants it, in int8."""
    import transformers
    from ctranslate2.converters import TransformersConverter

    # CTranslate2 4.8 reads this of every config; transformers 5 has dropped it, for it was always the same.
    transformers.XLMRobertaConfig.position_embedding_type = "absolute"
    TransformersConverter(folder).convert(new, quantization="int8")


CONTENDERS: dict[str, Callable[[str], Encode]] = {"xlmr": ours, "ctranslate2": ctranslate2}


def batches(folder: str) -> list[list[list[int]]]:
    """The texts as ids, in batches of like length: the same for all."""
    rows = [encoding.ids for encoding in tokenizer.open(Path(folder)).encode_batch(texts())]
    return [[rows[i] for i in batch] for batch in batching.group([*map(len, rows)])]


def serve(name: str, folder: str, pieces: str) -> None:
    """Load, warm up, and encode whenever a line comes in."""
    encode, asked = CONTENDERS[name](folder), batches(pieces)
    encode(asked)
    gc.collect()
    print(json.dumps({"resident": memory("VmRSS"), "most": memory("VmHWM")}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        encode(asked)
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    convert(*sys.argv[2:]) if sys.argv[1] == "convert" else serve(*sys.argv[1:])
