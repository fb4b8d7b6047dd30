"""Many cases of one target, in this process: `python tests/fuzz/campaign.py TARGET [--first N] [--count N]`.

Case n of a target is always the same, so `--first n --count 1` runs one again. The process may take only so much memory beyond what it has
when it begins, and a case only so much time; it is ended where one takes more, and its number stands in the file that `--progress` names.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import signal
import sys
import tempfile
import traceback
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random

from targets import TARGETS, Target

MEMORY = 1 << 28
"""Bytes beyond what the process has before the first case."""
PEAK = 1 << 25
"""Bytes of Python's objects at a time, where tracemalloc counts them."""
SECONDS = 60
"""For one case; a bound on hanging, not on speed."""
MESSAGE = 10_000
"""Characters of an error: what a file holds may be named in it, not repeated at length."""


def write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def attempt(target: Target, dice: Random, valid: dict[str, bytes], folder: Path) -> str:
    """Read one changed folder: `read`, or the name of the error that was right to come. Any other error is a finding."""
    changed = dict(target.change(dice, valid))
    write(changed, folder)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    outcome, message = "read", ""
    try:
        target.read(folder)
    except target.refuses as error:
        outcome, message = type(error).__name__, str(error)
    taken = tracemalloc.get_traced_memory()[1] - before  # nothing where nobody counts
    write({name: valid[name] for name in changed}, folder)
    assert len(message) < MESSAGE, f"an error of {len(message):,} characters"
    assert taken < PEAK, f"{taken:,} bytes held at a time"
    return outcome


def run(name: str, cases: range, folder: Path, progress: Path | None = None) -> Counter[str]:
    """What came of each case. Raises what a case raised that it must not."""
    target, found = TARGETS[name], Counter[str]()
    valid = dict(target.valid())
    write(valid, folder)
    target.read(folder)
    with (progress or folder.parent / "progress").open("w") as told:
        for number in cases:
            told.seek(0)
            told.write(f"{number}\n")
            told.flush()
            signal.alarm(SECONDS)
            found[attempt(target, Random(f"{name} {number}"), valid, folder)] += 1
    signal.alarm(0)
    return found


def bound() -> None:
    """Limit this process; a case that takes too long ends it, with the place it was at."""
    faulthandler.enable()
    faulthandler.register(signal.SIGALRM, chain=True)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("target", choices=TARGETS)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--count", type=int, default=1_000)
    arguments.add_argument("--progress", type=Path)
    wanted = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "case"
        folder.mkdir()
        target = TARGETS[wanted.target]
        write(dict(target.valid()), folder)
        target.read(folder)  # what is imported and built once is not a case's
        bound()
        progress = wanted.progress or Path(place) / "progress"
        try:
            found = run(wanted.target, range(wanted.first, wanted.first + wanted.count), folder, progress)
        except BaseException:
            traceback.print_exc(limit=-12)
            sys.exit(f"{wanted.target}: case {progress.read_text().split()[0]}")
    print(json.dumps({"cases": wanted.count, **found}))


if __name__ == "__main__":
    main()
