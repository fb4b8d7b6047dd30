import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from xlmr.errors import BadInput, BadRecipe
from xlmr.training import states
from xlmr.training.finetuning import runs, seeding
from xlmr.training.finetuning.runs import REPORT, Tuned
from xlmr.training.finetuning.seeding import Seeded
from xlmr.training.finetuning.settings import Settings


@pytest.fixture
def seeded(tiny: Path, write: Callable[..., str]) -> Callable[..., Seeded]:
    def run(output: Path, *seeds: int, resume: bool = False, dev: bool = True, **chosen: Any) -> Seeded:
        settings = Settings(task="classify", epochs=1, batch=8, rate=1e-2, measurements=3, **chosen)
        asked = [write("classify", "en", 12, 1), write("classify", "de", 10, 1)] if dev else []
        return seeding.run({"source": tiny, "revision": None}, [write("classify", "en", 48)], asked, output, settings, seeds, resume=resume)

    return run


def test_each_seed_is_a_run_of_its_own_and_the_spread_is_theirs(seeded: Callable[..., Seeded], made: Callable[..., Tuned],
                                                                tmp_path: Path) -> None:  # fmt: skip
    found = seeded(tmp_path / "all", 1, 5)
    assert [path.name for path in sorted((tmp_path / "all").iterdir())] == ["seed-1", "seed-5"]
    assert found.runs[1].scores == made("classify").scores
    assert json.loads((tmp_path / "all" / "seed-5" / REPORT).read_text(encoding="utf-8"))["settings"]["seed"] == 5
    means = [of.mean for of in found.runs.values()]
    assert found.spread == (mean(means), stdev(means))
    assert found.best.mean == max(means)


def test_without_development_data_there_is_no_spread_and_the_first_stands_for_all(seeded: Callable[..., Seeded], tmp_path: Path) -> None:
    found = seeded(tmp_path, 4, 3, dev=False)
    assert found.spread is None
    assert found.best.folder == tmp_path / "seed-4"


def test_resumed_it_goes_on_with_the_seed_it_was_at(
    seeded: Callable[..., Seeded], tmp_path: Path, killed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = seeded(tmp_path / "whole", 1, 2)
    killed(lambda: seeded(tmp_path / "killed", 1, 2), "_log", 10)
    assert (tmp_path / "killed" / "seed-2" / runs.RUN).exists()
    ran, whole = [], runs.run

    def counted(*arguments: Any, **options: Any) -> Tuned:
        ran.append(arguments[4].seed)
        return whole(*arguments, **options)

    monkeypatch.setattr(runs, "run", counted)
    found = seeded(tmp_path / "killed", 1, 2, resume=True)
    assert ran == [2]
    assert {seed: of.scores for seed, of in found.runs.items()} == {seed: of.scores for seed, of in wanted.runs.items()}
    assert found.spread == wanted.spread


def test_a_folder_in_the_way_is_told_before_any_work(seeded: Callable[..., Seeded], tmp_path: Path) -> None:
    (tmp_path / "seed-2").mkdir()
    (tmp_path / "seed-2" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(BadInput, match=r"seed-2: holds letter\.txt"):
        seeded(tmp_path, 1, 2)
    assert not (tmp_path / "seed-1").exists()


def test_a_seed_comes_once(seeded: Callable[..., Seeded], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the seeds are 1, 2, 1; wanted each once"):
        seeded(tmp_path, 1, 2, 1)


def test_a_score_that_is_no_number_is_read_back_as_one(made: Callable[..., Tuned], tmp_path: Path) -> None:
    report = json.loads((made("classify").folder / REPORT).read_text(encoding="utf-8")) | {"mean": None, "languages": {"en": None}}
    (tmp_path / REPORT).write_text(json.dumps(report), encoding="utf-8")
    found = seeding.read(tmp_path)
    assert found.mean != found.mean
    assert found.scores["en"] != found.scores["en"]


def test_a_seed_that_was_killed_before_its_first_state_begins_anew(
    seeded: Callable[..., Seeded], tmp_path: Path, killed: Callable[..., None]
) -> None:
    wanted = seeded(tmp_path / "whole", 1, 2)
    killed(lambda: seeded(tmp_path / "killed", 1, 2), "_save", 7)  # the second's first
    assert (tmp_path / "killed" / "seed-1" / REPORT).exists()
    assert (tmp_path / "killed" / "seed-2" / runs.RUN).exists()
    assert states.find(tmp_path / "killed" / "seed-2" / runs.RUN / "state") is None
    found = seeded(tmp_path / "killed", 1, 2, resume=True)
    assert found.runs[2].scores == wanted.runs[2].scores


def test_runs_of_other_settings_are_not_counted_as_seeds(seeded: Callable[..., Seeded], tmp_path: Path) -> None:
    seeded(tmp_path, 1)
    with pytest.raises(BadRecipe, match=r"seed-1: has ended with other settings \(warmup 0\.1, now 0\.5\)"):
        seeded(tmp_path, 1, 2, resume=True, warmup=0.5)
    with pytest.raises(BadRecipe, match=r"seed-1: has ended with other settings \(dev \[.*\], now \[\]\)"):
        seeded(tmp_path, 1, 2, resume=True, dev=False)
    assert not (tmp_path / "seed-2").exists()


def test_a_seed_that_cannot_be_is_told_before_any_work(seeded: Callable[..., Seeded], tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"^seed is"):
        seeded(tmp_path, 1, 2**63)
    assert not (tmp_path / "seed-1").exists()
