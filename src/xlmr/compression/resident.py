"""A process that answers texts with the model in a folder, and prints how much memory it had: `python -m xlmr.compression.resident FOLDER`.

It is given the texts as a JSON list on standard input, and prints a JSON object with `idle`, `loaded` and `peak`, in bytes; null where
the system does not say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from xlmr import encoder as encoders
from xlmr.compression import agreement
from xlmr.encoder import Encoder
from xlmr.runtimes import onnx  # noqa: F401  # what runs a model is no part of it: it is imported before anything is measured
from xlmr.tasks import calibrations, embeddings, masks
from xlmr.tokenizer.vocabulary import MASK

STATUS = Path("/proc/self/status")
"""Where Linux says it; `ru_maxrss` of a new process begins with its parent's there."""


def main() -> None:
    """Load, answer one text, answer all."""
    folder, texts = sys.argv[1], json.load(sys.stdin)
    found = {"idle": resident()}
    encoder = encoders.load(folder)
    ask(encoder, texts[:1])
    found["loaded"] = resident()
    ask(encoder, texts)
    print(json.dumps({**found, "peak": peak()}))  # noqa: T201  # what it is for


def ask(encoder: Encoder, texts: Sequence[str]) -> None:
    """Embed texts, raw vectors among them, and fill a mask in each, or ask the head that the model has in its place."""
    agreement.embedded(encoder, texts, raw=True)
    if calibrations.find(encoder) is not None:
        embeddings.embed(encoder, texts)
    if encoder.head:
        agreement.asked(encoder, texts)
    else:
        for _ in masks.fill_each(encoder, [masked(encoder, text) for text in texts]):
            pass


def masked(encoder: Encoder, text: str) -> str:
    """The text with a mask in the place of the piece in its middle."""
    places = [(begin, end) for begin, end in encoders.encode(encoder, text, cut=encoder.config.longest).offsets[1:-1] if begin < end]
    begin, end = places[len(places) // 2] if places else (0, 0)
    return f"{text[:begin]}{MASK}{text[end:]}"


def resident() -> int | None:
    """Bytes of this process that are in memory now."""
    return _status("VmRSS")


def peak() -> int | None:
    """The most bytes of this process that ever were."""
    if STATUS.exists() or sys.platform != "darwin":
        return _status("VmHWM")
    import resource  # there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(entry: str) -> int | None:
    if not STATUS.exists():
        return None
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:")), None)


if __name__ == "__main__":
    main()
