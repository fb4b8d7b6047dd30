"""Files that others wrote, changed in every way there is: each is read or refused, in bounded time and memory."""

import json
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from campaign import MEMORY, SECONDS, run
from targets import TARGETS

FEW, MANY = 300, 100_000
CAMPAIGN = Path(__file__).with_name("campaign.py")


@pytest.fixture
def hanging_is_told():
    """A case that hangs ends its test, not all of them."""

    def stop(*_):
        raise TimeoutError(f"a case takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("hanging_is_told")
@pytest.mark.parametrize("name", TARGETS)
def test_some_changed_files_are_read_or_refused(name, tmp_path):
    (tmp_path / "case").mkdir()
    tracemalloc.start()
    try:
        found = run(name, range(FEW), tmp_path / "case")
    finally:
        tracemalloc.stop()
    assert found["read"]  # else all are refused for the same first reason
    assert found["read"] < FEW or TARGETS[name].reads_anything


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a process's memory is bounded as Linux does it")
def test_a_hundred_thousand_changed_files_are_read_or_refused(name, tmp_path):
    progress = tmp_path / "progress"
    command = [sys.executable, str(CAMPAIGN), name, "--count", str(MANY), "--progress", str(progress)]
    done = subprocess.run(command, capture_output=True, text=True)
    case = progress.read_text().split()[0] if progress.exists() else "none"
    assert done.returncode == 0, f"case {case}, of {MEMORY:,} bytes and {SECONDS} s: {done.stderr[-2_000:]}"
    assert json.loads(done.stdout)["cases"] == MANY
