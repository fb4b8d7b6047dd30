"""Rewrite what README.md and docs/*.md show: the output of their commands and snippets, the folder tree, and what was measured.

    python docs/refresh.py

A fence of `sh` or `python` with a fence of `text` right after it is an example and its output. The snippets of a page
run one after another in one namespace, its commands in the repository's root. Any other fence is left alone.
Between `<!-- numbers: NAME -->` and `<!-- end -->` stands a table of `recipes/tables.py`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "src" / "xlmr" / "small" / "README.md")
BIN = Path(sys.executable).parent

EXAMPLE = re.compile(r"(?P<head>^```(?P<kind>sh|python)\n(?P<source>.*?)^```\n\n?```text\n)(?P<shown>.*?)(?P<tail>^```$)", re.M | re.S)
TREE = re.compile(r"(?<=<!-- tree -->\n)```text\n.*?```(?=\n<!-- end -->)", re.S)
TABLE = re.compile(r"(?<=<!-- numbers: )(?P<name>\w+)(?P<mark> -->\n).*?(?=<!-- end -->)", re.S)
NUMBER = re.compile(r"\d+\.\d+")
TABLES: Mapping[str, Callable[[], str | None]] = runpy.run_path(str(ROOT / "recipes" / "tables.py"))["TABLES"]
TOLERANCE = 0.02  # other processors add up in another order

FOLDERS = {
    "schemas": "JSON Schemas of the answers",
    "small": "the model inside: config.json, tokenizer.json, model.safetensors, languages.safetensors, calibration.safetensors",
}


def refreshed(page: str) -> str:
    """The page with every output as it is now."""
    names: dict[str, Any] = {"__name__": "__page__"}

    def run(example: re.Match[str]) -> str:
        now = run_sh(example["source"]) if example["kind"] == "sh" else run_python(example["source"], names)
        now = now.rstrip("\n") + "\n"
        return example["head"] + (example["shown"] if same(example["shown"], now) else now) + example["tail"]

    page = TABLE.sub(numbers, page)
    return TREE.sub(lambda _: f"```text\n{tree()}```", EXAMPLE.sub(run, page))


def numbers(place: re.Match[str]) -> str:
    """A table of what was measured, in its place; what is there where nothing was."""
    made = TABLES[place["name"]]()
    return place[0] if made is None else f"{place['name']}{place['mark']}\n{made}\n"


def run_sh(source: str) -> str:
    """What a reader sees after these commands; `xlmr` and `python` are this environment's."""
    # `make run` would make the light environment; here it takes this one.
    command = source.replace("make run", f"make run --no-print-directory --old-file .venv/installed light={BIN}")
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120", "PYTHONUTF8": "1", "MAKEFLAGS": ""}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode().replace(str(BIN), ".venv/bin").replace(f"{ROOT}/", "")


def run_python(source: str, names: dict[str, Any]) -> str:
    """What the snippet prints. It sees the names of the snippets before it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(source, names)
    return printed.getvalue()


def same(one: str, other: str) -> bool:
    """Whether two outputs tell the same: equal but for the last digits of their decimal numbers."""
    if NUMBER.split(one) != NUMBER.split(other):
        return False
    return all(abs(float(a) - float(b)) <= TOLERANCE for a, b in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True))


def tree() -> str:
    """The package, top floor first: a line for each file, with the first line of its docstring."""
    package = ROOT / "src" / "xlmr"
    rows = [("__init__.py", package / "__init__.py"), ("__main__.py", package / "__main__.py")]
    for room in floors():
        if (package / f"{room}.py").exists():
            rows.append((f"{room}.py", package / f"{room}.py"))
        elif (package / room).exists():
            rows.append((f"{room}/", package / room / "__init__.py"))
            rows += [(f"  {path.name}", path) for path in sorted((package / room).glob("[!_]*.py"))]
    lines = [f"{name:<20}{summary(path)}" for name, path in rows]
    return "\n".join(["src/xlmr/", *lines, *(f"{name + '/':<20}{text}" for name, text in FOLDERS.items())]) + "\n"


def floors() -> list[str]:
    """The rooms of the package, from the contract in pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [room.strip(" ()") for layer in layers for room in layer.split("|")]


def summary(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")


PICTURES = {
    "map.svg": "xlmr map tests/sentences.tsv --output docs/map.svg",
    "map-layer-1.svg": "xlmr map tests/sentences.tsv --layer 1 --output docs/map-layer-1.svg",
}
"""By the file in docs/, the command that draws it. Other processors draw another one, so the tests do not compare them."""


if __name__ == "__main__":
    for path in PAGES:
        before = path.read_text(encoding="utf-8")
        if (after := refreshed(before)) != before:
            path.write_text(after, encoding="utf-8")
            print("rewritten:", path.relative_to(ROOT))
    for command in PICTURES.values():
        print("drawn:", run_sh(command).partition("\n")[0])
