"""Text as SentencePiece normalises it, with the place each character came from.

The `tokenizers` package reads the same table but looks characters up one by one where SentencePiece takes the longest sequence, so it cuts
decomposed Vietnamese, decomposed Hangul and half-width kana otherwise than XLM-R was trained (Kudo and Richardson 2018, section 3.3,
describe the method).

The table ("charsmap") is a 4-byte length, a Darts double-array trie of that many bytes, and the zero-ended replacements it points to.
A unit of the trie, from its low bit: 8 bits label, 1 bit whether a key ends here, 1 bit whether the offset is shifted, 22 bits offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlmr.errors import BadCheckpoint
from xlmr.tokenizer.vocabulary import SPACE

LEAF = 1 << 31
LARGEST = 1 << 22  # bytes of a table; SentencePiece's own have a sixteenth of it
LONGEST = 32  # characters of a sequence; SentencePiece's own have at most 18
LONGEST_REPLACEMENT = 256  # bytes; SentencePiece's own have at most 33
REMEMBERED = 1 << 16
WHITESPACE = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What splits words where there is no table; a table turns these to spaces itself."""


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalised text. Character i of it came from `original[starts[i]:ends[i]]`; `starts` has the original's length at its end."""

    text: str
    starts: list[int]
    ends: list[int]


class Normalizer:
    """One table, ready to use. Raises BadCheckpoint where the table is broken."""

    def __init__(self, charsmap: bytes = b"") -> None:
        size = int.from_bytes(charsmap[:4], "little")
        if len(charsmap) > LARGEST:
            raise BadCheckpoint(f"its normalisation table has {len(charsmap):,} bytes, at most {LARGEST:,} are taken")
        if charsmap and (size % 4 or not 0 < size <= len(charsmap) - 4):
            raise BadCheckpoint(f"its normalisation table says {size} bytes of trie and has {len(charsmap) - 4} bytes")
        self._units: list[int] = np.frombuffer(charsmap[4 : 4 + size], "<u4").tolist()
        self._replacements = charsmap[4 + size :]
        self._known: dict[str, tuple[str, int]] = {}

    def normalize(self, text: str) -> Normalized:
        """Sequences replaced, a `▁` for each run of spaces and before the first word, none at the end. Blank text becomes nothing."""
        out = [SPACE]
        starts = [0]
        ends = [0]
        after_space = True
        at = 0
        while at < len(text):
            found, length = self._known.get(text[at : at + 2]) or self._match(text, at)
            if after_space:
                found = found.lstrip(" ")
            if found:
                out.append(found)
                starts += [at] * len(found)
                ends += [at + length] * len(found)
                after_space = found[-1] == " "
            at += length
        normal = "".join(out).replace(" ", SPACE).rstrip(SPACE)
        del starts[len(normal) :], ends[len(normal) :]
        return Normalized(normal, [*starts, len(text)], ends)

    def _match(self, text: str, at: int) -> tuple[str, int]:
        """What the longest known sequence that begins at a place becomes, and its length; a character that begins none stays itself."""
        char = text[at]
        if not self._units:
            return (" " if char in WHITESPACE else char), 1
        found, length, seen = char, 1, 1
        node = self._child(0, b"")
        for end in range(at + 1, min(len(text), at + LONGEST) + 1):
            seen = end - at
            node = self._child(node, text[end - 1].encode())
            if node < 0:
                break
            if self._unit(node) >> 8 & 1:
                found, length = self._replacement(self._unit(self._below(node)) & ~LEAF), seen
        if node < 0 and seen <= 2:  # so the two characters of the key decide
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text[at : at + 2]] = found, length
        return found, length

    def _child(self, node: int, label: bytes) -> int:
        """The node some bytes further down, -1 where there is none."""
        for byte in label:
            node = self._below(node) ^ byte
            if self._unit(node) & (LEAF | 0xFF) != byte:
                return -1
        return node

    def _below(self, node: int) -> int:
        """Where a node's children begin; its value lies there too."""
        unit = self._unit(node)
        return node ^ unit >> 10 << (unit >> 6 & 8)

    def _unit(self, node: int) -> int:
        if node >= len(self._units):
            raise BadCheckpoint("its normalisation table points outside itself")
        return self._units[node]

    def _replacement(self, start: int) -> str:
        end = self._replacements.find(b"\0", start, start + LONGEST_REPLACEMENT + 1)
        if end < 0:
            raise BadCheckpoint(f"its normalisation table replaces with what does not end within {LONGEST_REPLACEMENT} bytes")
        try:
            return self._replacements[start:end].decode()
        except UnicodeDecodeError:
            raise BadCheckpoint("its normalisation table replaces with bytes that are not text") from None
