"""Weights in several files: `NAME.index.json` says which tensor lies in which of them.

The index is held against the files it names, both ways: what it says is there must be, and nothing may be that it does not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from xlmr import files
from xlmr.checkpoint import header
from xlmr.checkpoint.header import MOST_TENSORS, Stored
from xlmr.errors import BadCheckpoint

INDEX = "model.safetensors.index.json"
LARGEST_INDEX = 1 << 24
"""Bytes; a name of a hundred characters and its shard for each of the most tensors."""
MOST_SHARDS = 1_000
PLAIN = re.compile(r"[\w][\w.-]{,199}", re.ASCII)
"""A file's name that can lead nowhere else, on any system."""


def read(index: Path) -> dict[str, Stored]:
    """Every tensor of the shards that a `model.safetensors.index.json` names, by the name it has there. Reads headers only.

    Raises BadCheckpoint where the index is broken, a shard is missing, broken or outside the folder, or they contradict each other.
    """
    placed = parse(index)
    shards = {name: _shard(index, name) for name in dict.fromkeys(placed.values())}
    for tensor, shard in placed.items():
        if tensor not in shards[shard]:
            elsewhere = [name for name, held in shards.items() if tensor in held]
            found = f"; it is in {', '.join(elsewhere[:3])}" if elsewhere else " nor in any other"
            raise BadCheckpoint(
                f"{index}: says that {files.shown(tensor)} is in {shard}, and it is not there{found}. Are all files of one version?"
            )
    for shard, held in shards.items():
        if surplus := sorted(tensor for tensor in held if placed.get(tensor) != shard):
            raise BadCheckpoint(
                f"{index.parent / shard}: holds {files.shown(surplus[0])}, which {index.name} does not place there. Are all of one version?"
            )
    return {tensor: shards[shard][tensor] for tensor, shard in placed.items()}


def parse(index: Path, suffix: str = ".safetensors") -> Mapping[str, str]:
    """The name of the shard of each tensor, as an index has it. Raises BadCheckpoint where it is broken or names files elsewhere."""
    where = f"{index}: weight_map"
    placed: dict[str, str] = files.typed(files.read_object(index, LARGEST_INDEX).get("weight_map"), dict, where)
    if not 0 < len(placed) <= MOST_TENSORS:
        raise BadCheckpoint(f"{where} names {len(placed):,} tensors, wanted 1 to {MOST_TENSORS:,}")
    for tensor, shard in placed.items():
        name = files.typed(shard, str, f"{where}: the file of {files.shown(tensor)}")
        if not PLAIN.fullmatch(name) or not name.endswith(suffix):
            raise BadCheckpoint(
                f"{where}: the file of {files.shown(tensor)} is {name[:200]!r}, wanted the plain name of a {suffix} file beside the index"
            )
    if (count := len(set(placed.values()))) > MOST_SHARDS:
        raise BadCheckpoint(f"{where} names {count:,} files, at most {MOST_SHARDS:,} are read")
    return placed


def _shard(index: Path, name: str) -> dict[str, Stored]:
    path = index.parent / name
    if not path.is_file():
        raise BadCheckpoint(f"{path}: not found, and {index.name} says that weights are in it. Copy or download all of its files")
    return header.read(path)
