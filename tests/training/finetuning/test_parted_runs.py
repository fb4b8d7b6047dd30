"""However the work of a run is parted, in time or among processes, it gives the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import losses

from xlmr import checkpoint
from xlmr.training.finetuning import runs
from xlmr.training.finetuning.runs import Tuned

Made = Callable[..., Tuned]
Tune = Callable[..., Tuned]


@pytest.mark.parametrize("task", ["classify", "tag", "answer"])
@pytest.mark.parametrize("chosen", [{"accumulate": 3}, {"checkpointing": True}], ids=["in parts", "layers worked out again"])
def test_how_a_step_is_worked_changes_no_loss(tune: Tune, made: Made, tmp_path: Path, task: str, chosen: dict[str, Any]) -> None:
    own = {"dropout": 0.0} | ({"chain": True, "words": "mean"} if task == "tag" else {})
    found = tune(tmp_path / "model", task, **own, **chosen)
    assert losses(found.folder) == pytest.approx(losses(made(task, **own).folder), abs=1e-4)


TWO = """
from pathlib import Path
from xlmr.training.finetuning import runs
from xlmr.training.finetuning.settings import Settings

if __name__ == "__main__":
    for batch, name in ((8, "eight"), (1, "one")):
        runs.run({{"source": {model!r}, "revision": None}}, {train!r}, {dev!r}, Path({output!r}) / name,
                 Settings(task="tag", chain=True, keep="mean", dropout=0.0, epochs=1 if batch == 8 else 0.1, batch=batch, rate=1e-2,
                          measurements=2, accumulate=2))
"""  # fmt: skip


def test_two_processes_give_what_one_does(tune: Tune, tiny: Path, write: Callable[..., str], tmp_path: Path) -> None:
    """Also where a step has fewer rows than there are processes."""
    train, output = [write("tag", "en", 48)], tmp_path / "two"
    dev = [write("tag", "en", 12, 1), write("tag", "de", 10, 1)]
    (tmp_path / "run.py").write_text(TWO.format(model=str(tiny), train=train, dev=dev, output=str(output)), encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(tmp_path / "run.py")]
    source = str(Path(checkpoint.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": source, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run(launch, check=True, timeout=300, env=environment)
    common: dict[str, Any] = {"chain": True, "keep": "mean", "dropout": 0.0, "measurements": 2, "accumulate": 2}
    for batch, name in ((8, "eight"), (1, "one")):
        one = tune(tmp_path / name, "tag", epochs=1 if batch == 8 else 0.1, batch=batch, **common)
        assert losses(output / name) == pytest.approx(losses(one.folder), abs=1e-5)
        a, b = (checkpoint.weights(checkpoint.open(folder)) for folder in (output / name, one.folder))
        differ = {of for of in a if not np.allclose(a[of], b[of], atol=2e-3)}
        assert {of for of in differ if not of.endswith("key.bias")} == set()  # whose gradient is nothing but rounding
        assert (output / name / runs.REPORT).exists()
        assert not (output / name / runs.RUN).exists()
