"""The process that opens a pickle (extra: train): run by `importing` as a program of its own, and never imported by it.

It reads what to do as JSON from standard input, limits itself, opens the files with PyTorch's unpickler for weights, which builds tensors
and plain values and nothing else, and writes the tensors as safetensors by Hugging Face's names. What it has to say is JSON on standard
output: fairseq's arguments, or why it stopped. Whoever started it reads nothing else of it than that and the safetensors.
"""

from __future__ import annotations

import argparse
import errno
import json
import pickle
import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlmr.checkpoint import fairseq, header
from xlmr.checkpoint.folder import BIAS, DECODER, DECODER_BIAS, EXTRAS, WORDS
from xlmr.errors import BadCheckpoint, MissingExtra
from xlmr.files import shown

try:
    import torch
except Exception as error:
    missing = MissingExtra.of("train", "opening a pickle", error)
    if __name__ != "__main__":
        raise missing from error
    json.dump({"missing": missing.reason}, sys.stdout)
    sys.exit()

DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
Tensors = dict[str, torch.Tensor]


def main() -> None:
    """Do what standard input asks, within its limits, and say on standard output how it went."""
    request = json.load(sys.stdin)
    _limit(request["memory"], request["most"])
    json.dump(answer(request), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """fairseq's arguments, or why there are none: data, whatever happens."""
    try:
        return {"arguments": convert(request["files"], request["output"], request["most"])}
    except BadCheckpoint as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": _reason(error, request["memory"])}


def convert(files: list[str], output: str, most: int) -> dict[str, Any] | None:
    """Write the tensors of some pickles as one file of at most `most` bytes; gives fairseq's arguments where they are fairseq's."""
    tensors: Tensors = {}
    arguments = None
    for file in files:
        with torch.serialization.safe_globals([argparse.Namespace]):  # fairseq's arguments: a plain record
            content = torch.load(file, map_location="cpu", weights_only=True)
        found, arguments = _opened(content)
        if twice := tensors.keys() & found.keys():
            raise BadCheckpoint(f"the tensor {shown(min(twice))} is in two of the files")
        tensors |= found
    _write(Path(output), _without_copies(tensors), most)
    return arguments


def _limit(memory: int, most: int) -> None:
    """From here on, no more than so many bytes of memory beyond what this process has, and no larger file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory += pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _opened(content: object) -> tuple[Tensors, dict[str, Any] | None]:
    """The tensors of a pickle by Hugging Face's names, and fairseq's arguments where it is fairseq's."""
    if not isinstance(content, Mapping):
        raise BadCheckpoint(f"holds a {type(content).__name__}, wanted tensors by their names")
    if "model" not in content:
        return _tensors(content), None
    told = content.get("args") or (content.get("cfg") or {}).get("model")
    arguments = vars(told) if isinstance(told, argparse.Namespace) else told
    if not isinstance(arguments, Mapping) or not isinstance(content["model"], Mapping):
        raise BadCheckpoint("has a `model` and no arguments (`args` or `cfg`) that say of which kind it is, as fairseq writes them")
    renamed: Tensors = {}
    for name, tensor in _tensors(content["model"]).items():
        parts = fairseq.split(name)
        if tensor.ndim and tensor.shape[0] % len(parts):
            raise BadCheckpoint(f"{shown(name)} has shape {tuple(tensor.shape)}, wanted query, key and value one below another")
        for part, piece in zip(parts, tensor.chunk(len(parts)) if len(parts) > 1 else [tensor], strict=True):
            new = fairseq.rename(part)
            if new in renamed:
                raise BadCheckpoint(f"{shown(part)} is there under two names")
            if new:
                renamed[new] = piece
    if WORDS in renamed:
        renamed[fairseq.TYPES] = torch.zeros(1, renamed[WORDS].shape[-1], dtype=renamed[WORDS].dtype)
    return renamed, _plain(arguments)


def _plain(arguments: Mapping[Any, Any]) -> dict[str, Any]:
    """Those of fairseq's arguments that are asked for, of a size that can be right: a pickle of a megabyte can hold gigabytes of others."""
    found = {key: arguments[key] for key in fairseq.READ if key in arguments and isinstance(arguments[key], str | int | float | None)}
    return {key: shown(value) if isinstance(value, str) else value for key, value in found.items()}


def _tensors(content: Mapping[Any, Any]) -> Tensors:
    """Numbers to compute with, by name. What only counts, such as `position_ids`, is left out."""
    found: Tensors = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise BadCheckpoint(f"holds a {type(tensor).__name__} as {shown(str(name))!r}, wanted nothing but tensors by their names")
        last = name.rpartition(".")[2]
        if last in fairseq.COUNTERS or (tensor.dtype not in DTYPES and any(pattern.fullmatch(name) for pattern in EXTRAS)):
            continue
        if tensor.dtype not in DTYPES or tensor.layout is not torch.strided or tensor.device.type != "cpu":
            kind = f"{tensor.dtype}, {tensor.layout}, {tensor.device}"
            raise BadCheckpoint(f"{shown(name)} is {kind}; wanted one of {', '.join(DTYPES.values())} in memory")
        found[name] = tensor.detach()
    return found


def _without_copies(tensors: Tensors) -> Tensors:
    """Without the second copy of a tied head's matrix and bias."""
    for copy, first in ((DECODER, WORDS), (DECODER_BIAS, BIAS)):
        if copy in tensors and first in tensors and torch.equal(tensors[copy], tensors[first]):
            del tensors[copy]
    return tensors


def _write(path: Path, tensors: Tensors, most: int) -> None:
    """All in one type: theirs, where they have the same, else float32."""
    kinds = {tensor.dtype for tensor in tensors.values()}
    dtype = next(iter(kinds)) if len(kinds) == 1 else torch.float32
    head, order = header.layout([(name, tuple(tensor.shape)) for name, tensor in tensors.items()], DTYPES[dtype])
    size = len(head) + sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize
    if size > most:  # a tensor may claim to be larger than the numbers it has, by giving them again and again
        raise BadCheckpoint(f"its tensors take {size:,} bytes, and a file of its size has at most {most:,}")
    with path.open("wb") as file:
        file.write(head)
        for name in order:
            file.write(tensors[name].to(dtype).contiguous().flatten().view(torch.uint8).numpy().data)


def _reason(error: Exception, memory: int) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and (asked := GLOBAL.search(text)):
        return f"asks for {shown(asked[1])}, which no weights need; opening it could run any code, so it was not opened"
    if isinstance(error, MemoryError) or getattr(error, "errno", 0) == errno.ENOMEM or "alloc" in text or "Cannot allocate" in text:
        return f"takes more than {memory / 1e9:.1f} GB of memory; allow more with --memory if it is trusted"
    told = text.partition("\n")[0].partition(" In PyTorch 2.6")[0]  # what follows is how to open it and run what is in it
    return f"cannot be opened as a file of weights ({type(error).__name__}: {shown(told)})"


if __name__ == "__main__":
    main()
