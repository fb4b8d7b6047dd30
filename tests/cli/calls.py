"""What the tests of the command line share: what a call gave, whether it is as a schema says, a shell."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jsonschema
from referencing import Registry, Resource

SCHEMAS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (files("xlmr") / "schemas").iterdir()}
REGISTRY = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def valid(schema: str, value: dict) -> bool:
    return jsonschema.Draft202012Validator(SCHEMAS[schema], registry=REGISTRY).is_valid(value)


def error(line: int, message: str, kind: str = "BadInput") -> dict:
    return {"line": line, "error": {"kind": kind, "message": message}}


def shell(tiny: Path, command: str, **environment: str) -> Done:
    """What a shell sees; `xlmr` there is this one, and `$MODEL` the tiny model."""
    program = f'xlmr() {{ "{sys.executable}" -m xlmr "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", program], env=os.environ | environment | {"MODEL": str(tiny)}, capture_output=True, check=False)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def started(tiny: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A `fill-mask` that runs beside the test. It hears Ctrl-C, which whoever runs the tests in the background may not."""
    command = [sys.executable, "-m", "xlmr", "fill-mask", "--model", str(tiny), "--threads", "1", "--json", "--top", "1", *arguments]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that ignores it would hand that on
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
