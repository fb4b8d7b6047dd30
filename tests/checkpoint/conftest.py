"""Ways in which others lay out a model's files, and a hub that has one."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from hub_server import FIRST, SECOND, Handler, Hub, set_hub
from safetensors.numpy import load_file, save_file

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="session")
def split() -> Callable[..., dict[str, str]]:
    """`split(folder, count=3)` cuts a folder's weights into so many files, and gives the name of each tensor's."""

    def cut(folder: Path, count: int = 3) -> dict[str, str]:
        arrays = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
        placed = {tensor: names[i % count] for i, tensor in enumerate(arrays)}
        for name in names:
            save_file({tensor: array for tensor, array in arrays.items() if placed[tensor] == name}, folder / name)
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": placed}))
        return placed

    return cut


@pytest.fixture(scope="session")
def unpack() -> Callable[[Path], Path]:
    """`unpack(folder)` puts a `sentencepiece.bpe.model` with the same pieces in the place of a folder's `tokenizer.json`."""

    def replace(folder: Path) -> Path:
        pieces = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        (folder / "tokenizer.json").unlink()
        rows = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((piece, score, 1) for piece, score in pieces[4:-1])]
        (folder / "sentencepiece.bpe.model").write_bytes(b"".join(part(1, _piece(*row)) for row in rows))
        return folder

    return replace


def _piece(text: str, score: float, kind: int) -> bytes:
    """As `sentencepiece_model.proto` has it: the text is field 1, the score 2, the type 3."""
    return part(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind])


def part(field: int, content: bytes) -> bytes:
    """One part of a protocol buffer's message."""
    length, size = b"", len(content)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two commits of a model, of which `main` is the second, and an empty cache."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    served = type("Served", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    server.daemon_threads = True
    first = files | {"config.json": files["config.json"].replace(b"0.02", b"0.03")}
    own = Hub(f"http://127.0.0.1:{server.server_port}", {FIRST: first, SECOND: files | {"harm.py": b"1/0"}}, {"main": SECOND, "v1": FIRST})
    served.hub = own  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    set_hub(monkeypatch, own.url, tmp_path / "cache")
    yield own
    server.shutdown()
    server.server_close()
