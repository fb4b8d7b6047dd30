"""Texts in files, of which tiny models are taught."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from speakers import sentences


def sources(folder: Path) -> tuple[str, ...]:
    """Files of texts in several languages, `LANG=FILE` each: any sentence before any other of its language."""
    found: dict[str, list[str]] = {}
    for language, text in sentences():
        found.setdefault(language, []).append(text)
    for language, texts in found.items():
        several = [f"{a} {b}" for a, b in product(texts, texts)]
        (folder / f"{language}.txt").write_text("\n".join(several) + "\n", encoding="utf-8")
    return tuple(f"{language}={folder / language}.txt" for language in found)
