"""The command line, called in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from calls import Done

import xlmr
from xlmr.cli import main


@pytest.fixture
def run(capfd, monkeypatch) -> Callable[..., Done]:
    """`run(*arguments, stdin=b"")`: the command line in this process."""

    def call(*arguments: object, stdin: bytes | io.StringIO | None = b"") -> Done:
        if isinstance(stdin, bytes):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        else:
            monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        return Done(int(done.value.code or 0), *capfd.readouterr())

    return call


@pytest.fixture
def fill(run, tiny) -> Callable[..., Done]:
    return lambda *arguments, **options: run("fill-mask", "--model", tiny, "--threads", 1, *arguments, **options)


@pytest.fixture
def model(tiny) -> xlmr.Model:
    return xlmr.load(tiny, threads=1)
