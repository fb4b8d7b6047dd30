import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

PACK = {".gz": gzip.compress, ".xz": lzma.compress}


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """A file with this content: text, or JSON objects; packed where its name says so."""

    def written(name: str, content: str | list) -> Path:
        text = content if isinstance(content, str) else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path = tmp_path / name
        path.write_bytes(PACK.get(path.suffix, bytes)(text.encode()))
        return path

    return written
