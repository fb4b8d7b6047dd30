"""Valid files, changed as no writer would change them: raw bytes, JSON and protocol buffers.

Everything is drawn from one `Random`, so a case is its seed.
hypothesis would take milliseconds to draw what a parser refuses in a tenth of one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

CHANGES = (1, 1, 1, 2, 4)
"""How many places are changed."""
LONGEST_NOISE = 64
"""Bytes."""
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
FRAGMENTS = (
    b"", b"\0", b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x96\x81", b"\n", b"\r",
    b"\r\n", b'"', b'""', b"\\", b",", b"\t", b"[", b"]", b"{", b"}", b":", b"null", b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"text",
)  # fmt: skip
DEEP = "\ue000"
"""Stands for lists in lists, as deep as the number after it says: deeper than Python's own objects could be written."""
DEPTHS = (2, 50, *range(880, 1_000), 100_000)
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, -(2**63), 2**64, 10**400, 0.0, -0.5, 1e308, -1e308, float("nan"), float("inf"),
    "", " ", "\0", "\ud800", "▁", "<s>", "<mask>", "..", "../x", "/", "a" * 300, "a" * 20_000, [], [[]], {}, {"": {}}, [0] * 9, ["a", 0.0],
)  # fmt: skip


def noise(dice: Random) -> bytes:
    """No file at all."""
    return dice.randbytes(dice.randrange(LONGEST_NOISE))


def change_bytes(dice: Random, content: bytes) -> bytes:
    """A few changes of bytes, wherever they fall."""
    for _ in range(dice.choice(CHANGES)):
        begin = dice.randint(0, len(content))
        end = min(len(content), begin + dice.choice((0, 1, 1, 2, 4, 8, len(content))))
        content = content[:begin] + dice.choice(REPLACEMENTS)(dice, content[begin:end]) + content[end:]
    return content


def change_json(dice: Random, value: Any) -> bytes:
    """JSON of the value's kind with a few changed places; now and then written wrongly too."""
    for _ in range(dice.choice(CHANGES)):
        value = _change_value(dice, value)
    content = _write(value)
    return change_bytes(dice, content) if dice.randrange(8) == 0 else content


def change_message(dice: Random, content: bytes, depth: int = 2) -> bytes:
    """A protocol buffer's message with a few changed fields; those of its parts too, `depth` deep."""
    fields = _fields(content)
    for _ in range(dice.choice(CHANGES)):
        place = dice.randrange(len(fields)) if fields else 0
        number, kind, value = fields[place] if fields else (1, 2, b"")
        change = dice.randrange(7)
        if change == 0:
            fields[place : place + 1] = []
        elif change == 1:
            fields.insert(dice.randint(0, len(fields)), (number, kind, value))
        elif change == 2:
            number = dice.choice((0, 1, 2, 3, 4, 24, 35, 2**29))
        elif change == 3:
            kind = dice.randrange(8)
        elif isinstance(value, bytes):
            value = change_message(dice, value, depth - 1) if depth else change_bytes(dice, value)
        else:
            value = dice.choice(NUMBERS)
        if change > 1:
            fields[place : place + 1] = [(number, kind, value)]
    written = b"".join(_field(*field) for field in fields)
    return change_bytes(dice, written) if dice.randrange(16) == 0 else written


def varint(number: int) -> bytes:
    """A number as protocol buffers write it: seven bits to a byte, the low ones first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(dice: Random, _: bytes) -> bytes:
    return struct.pack("<Q", dice.choice(NUMBERS))[: dice.choice((1, 4, 8))]


def _flip(dice: Random, old: bytes) -> bytes:
    return bytes(byte ^ 1 << dice.randrange(8) for byte in old)


REPLACEMENTS: Sequence[Callable[[Random, bytes], bytes]] = (
    _flip,
    _number,
    lambda _dice, _old: b"",
    lambda dice, _old: dice.choice(FRAGMENTS),
    lambda dice, old: old * dice.choice((2, 3, 40)),
    lambda dice, _old: noise(dice),
)


def _change_value(dice: Random, value: Any) -> Any:
    """The value with one place of it changed; the deeper ones as often as the others."""
    if isinstance(value, dict) and value and dice.randrange(8):
        key = dice.choice([*value])
        changed = dict(value)
        act = dice.randrange(10)
        if act == 0:
            del changed[key]
        elif act == 1:
            changed[dice.choice(("", "\ud800", "\0", "a" * 20_000, key + "_", key.upper()))] = changed.pop(key)
        elif act == 2:
            changed[key] = changed[dice.choice([*value])]
        else:
            changed[key] = _change_value(dice, value[key])
        return changed
    if isinstance(value, list) and value and dice.randrange(8):
        place = dice.randrange(len(value))
        act = dice.randrange(10)
        if act == 0:
            return value[:place] + value[place + 1 :]
        if act == 1:
            return [*value, value[place]]
        return [*value[:place], _change_value(dice, value[place]), *value[place + 1 :]]
    if dice.randrange(6) == 0:
        return f"{DEEP}{dice.choice(DEPTHS)}{DEEP}"
    if isinstance(value, int) and dice.randrange(2):
        return value + dice.choice((-1, 1, 4, 2**31))
    return dice.choice(HOSTILE)


def _write(value: Any) -> bytes:
    text = json.dumps(value)  # a lone surrogate is escaped, so the bytes are UTF-8
    mark = json.dumps(DEEP)[1:-1]
    if mark not in text:
        return text.encode()
    parts = text.split(f'"{mark}')
    deep = (part.split(f'{mark}"', 1) if f'{mark}"' in part else ("0", part) for part in parts[1:])
    return (parts[0] + "".join("[" * int(depth) + "]" * int(depth) + rest for depth, rest in deep)).encode()


def _fields(content: bytes) -> list[tuple[int, int, Any]]:
    """Number, kind and value of each field, up to the first that is none."""
    fields: list[tuple[int, int, Any]] = []
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(content, at)
            fields.append((tag >> 3, kind, value))
            continue
        if kind not in (1, 2, 5):
            break
        length, at = _read_varint(content, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        fields.append((tag >> 3, kind, content[at : at + length]))
        at += length
    return fields


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(content):
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return number, at


def _field(number: int, kind: int, value: Any) -> bytes:
    tag = varint(number << 3 | kind)
    if kind == 0:
        return tag + varint(value if isinstance(value, int) else len(value))
    content = value if isinstance(value, bytes) else struct.pack("<Q", value)
    return tag + (varint(len(content)) if kind == 2 else b"") + content
