"""Files of made-up examples, and runs that learn them in a second."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from made_up import FILES

from xlmr.training import loop
from xlmr.training.finetuning import runs
from xlmr.training.finetuning.runs import Tuned
from xlmr.training.finetuning.settings import Settings

Write = Callable[[str, str, int], str]
Tune = Callable[..., Tuned]


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Each run ends with a collection of garbage, half of a short run's time if it looks at all that tests have imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """`write(task, language, count, seed=0)`: a source, `LANG=FILE`."""
    folder = tmp_path_factory.mktemp("examples")

    def make(task: str, language: str, count: int, seed: int = 0) -> str:
        of, suffix = FILES[task]
        path = folder / f"{task}.{language}.{count}.{seed}{suffix}"
        path.write_text(of(language, count, seed), encoding="utf-8")
        return f"{language}={path}"

    return make


@pytest.fixture(scope="session")
def tune(tiny: Path, write: Write) -> Tune:
    """`tune(output, task, **settings)`: a run on 48 examples of one language, measured in two. `train`, `dev`, `model`, `resume` too."""

    def run(
        output: Path, task: str, *, train: Any = None, dev: Any = None, model: Path = tiny, resume: bool = False, **chosen: Any
    ) -> Tuned:
        train = [write(task, "en", 48)] if train is None else train
        dev = [write(task, "en", 12, 1), write(task, "de", 10, 1)] if dev is None else dev
        settings = Settings(task=task, **({"epochs": 1, "batch": 8, "rate": 1e-2, "measurements": 3} | chosen))
        return runs.run({"source": model, "revision": None}, train, dev, output, settings, resume=resume)

    return run


@pytest.fixture(scope="session")
def made(tune: Tune, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tuned]:
    """`made(task, **settings)`: a run that is made once. Read it only."""
    held: dict[str, Tuned] = {}

    def make(task: str, **chosen: Any) -> Tuned:
        key = f"{task} {sorted(chosen.items())}"
        if key not in held:
            held[key] = tune(tmp_path_factory.mktemp("made") / "model", task, **chosen)
        return held[key]

    return make


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any], str, int], None]:
    """`killed(run, name, calls)`: run until a function of the loop is called for the n-th time."""

    def kill(run: Callable[[], Any], name: str, calls: int) -> None:
        whole, seen = getattr(loop, name), []

        def counted(*args: Any, **options: Any) -> Any:
            seen.append(1)
            if len(seen) == calls:
                raise KeyboardInterrupt
            return whole(*args, **options)

        with monkeypatch.context() as patched:
            patched.setattr(loop, name, counted)
            patched.setattr(runs, "MINUTES", 0.0)  # a state after each step
            with pytest.raises(KeyboardInterrupt):
                run()

    return kill
