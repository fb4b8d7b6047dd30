"""A student comes nearer to its teacher; what was pruned stays pruned; a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tuners
from lectures import sources

from xlmr import checkpoint
from xlmr.compression.parts import Parts, put, take
from xlmr.compression.recovering import Recovery, recover
from xlmr.errors import BadInput, BadLine, BadRecipe, MissingExtra

pytest.importorskip("torch")

from accelerate.state import AcceleratorState

from xlmr.compression import lessons
from xlmr.compression.distilling import shallower
from xlmr.training import loop

QUICK = Recovery(steps=30, batch=256, longest=32, rate=3e-3)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return sources(tmp_path_factory.mktemp("spoken"))


def silent(_: str) -> None:
    pass


def taught(parts: Parts, folder: Path, spoken: tuple[str, ...], options: Recovery = QUICK) -> Any:
    return recover(parts, checkpoint.open(folder), spoken, options, silent)


def equal(one: Parts, other: Parts) -> bool:
    return {*one.weights} == {*other.weights} and all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def half(parts: Parts) -> Parts:
    """The parts without the smaller half of each layer's weights."""
    weights = {name: np.array(parts.weights[name]) for name in parts.weights}
    for name, of in weights.items():
        if name.startswith("layers.") and of.ndim == 2:
            of[np.abs(of) < np.median(np.abs(of))] = 0
    return replace(parts, weights=weights)


def test_no_steps_change_nothing(tiny: Path, spoken: tuple[str, ...]) -> None:
    parts = take(checkpoint.open(tiny))
    assert equal(taught(parts, tiny, spoken, Recovery(steps=0)).parts, parts)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it(tiny: Path, spoken: tuple[str, ...]) -> None:
    before = taught(take(checkpoint.open(tiny)), tiny, spoken, replace(QUICK, steps=1)).facts["before"]
    assert before["soft"] == pytest.approx(0, abs=1e-4)
    assert before["states"] == pytest.approx(0, abs=1e-4)
    assert before["agreed"] == 1


def test_a_student_comes_nearer_and_keeps_its_embeddings(tiny: Path, spoken: tuple[str, ...]) -> None:
    parts = shallower(take(checkpoint.open(tiny)), [0])
    found = taught(parts, tiny, spoken)
    before, after = found.facts["before"], found.facts["after"]
    assert after["soft"] < 0.8 * before["soft"]
    assert after["states"] < 0.9 * before["states"]
    assert {*after["languages"]} <= {source.partition("=")[0] for source in spoken}
    for name in parts.weights:
        moved = not np.array_equal(found.parts.weights[name], parts.weights[name])
        assert moved != name.startswith("embeddings."), name
    assert found.heldout


def test_embeddings_learn_where_that_is_asked_for(tiny: Path, spoken: tuple[str, ...]) -> None:
    parts = shallower(take(checkpoint.open(tiny)), [0])
    found = taught(parts, tiny, spoken, replace(QUICK, steps=2, embeddings=0.5)).parts
    assert not np.array_equal(found.weights["embeddings.words.weight"], parts.weights["embeddings.words.weight"])


def test_what_was_pruned_stays_pruned(tiny: Path, spoken: tuple[str, ...]) -> None:
    parts = half(take(checkpoint.open(tiny)))
    found = taught(parts, tiny, spoken)
    assert found.facts["after"]["loss"] < found.facts["before"]["loss"]
    for name, of in parts.weights.items():
        if name.startswith("layers.") and of.ndim == 2:
            assert (of == 0).mean() == pytest.approx(0.5, abs=0.01)
            np.testing.assert_array_equal(found.parts.weights[name] == 0, of == 0)


@pytest.fixture
def another_precision() -> Iterator[None]:
    """accelerate keeps one precision for a whole process."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("another_precision")
def test_bfloat16_teaches_nearly_as_much(tiny: Path, spoken: tuple[str, ...]) -> None:
    parts = shallower(take(checkpoint.open(tiny)), [0])
    found = taught(parts, tiny, spoken, replace(QUICK, precision="bf16"))
    assert found.facts["after"]["soft"] < 0.85 * found.facts["before"]["soft"]
    assert all(of.dtype == np.float32 for of in found.parts.weights.values())


def test_where_no_run_is_there_is_none_to_go_on_with(tiny: Path, spoken: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="no run to resume"):
        taught(take(checkpoint.open(tiny)), tiny, spoken, replace(QUICK, state=tmp_path / "nowhere", resume=True))


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    tiny: Path, spoken: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = shallower(take(checkpoint.open(tiny)), [0])
    short = replace(QUICK, steps=12, masked=0.3)
    whole = taught(parts, tiny, spoken, replace(short, state=tmp_path / "whole"))
    stopped = replace(short, state=tmp_path / "stopped")
    with monkeypatch.context() as patched:
        patched.setattr(lessons, "MINUTES", 0.0)  # a state after each step
        calls, log = list[int](), loop._log

        def counted(*arguments: Any) -> None:
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            log(*arguments)

        patched.setattr(loop, "_log", counted)
        with pytest.raises(KeyboardInterrupt):
            taught(parts, tiny, spoken, stopped)
    with pytest.raises(BadRecipe, match="resume it"):
        taught(parts, tiny, spoken, stopped)
    with pytest.raises(BadRecipe, match="another recipe"):
        taught(parts, tiny, spoken, replace(stopped, resume=True, seed=2))
    found = taught(parts, tiny, spoken, replace(stopped, resume=True))
    assert equal(found.parts, whole.parts)
    assert {**found.facts, "seconds": 0} == {**whole.facts, "seconds": 0}
    again = taught(parts, tiny, spoken, replace(stopped, resume=True))  # stopped after the last step, before the model was written
    assert equal(again.parts, whole.parts)
    assert again.facts["after"] == whole.facts["after"]


def test_parts_of_a_step_change_no_loss(tiny: Path, make_checkpoint: Callable[..., Path], spoken: tuple[str, ...]) -> None:
    still = make_checkpoint(replace(checkpoint.open(tiny).config, dropout=0.0, attention_dropout=0.0))  # each part draws its own
    parts = shallower(take(checkpoint.open(still)), [0])
    one, three = (taught(parts, still, spoken, replace(QUICK, steps=3, accumulate=n)).facts["after"] for n in (1, 3))
    assert one["loss"] == pytest.approx(three["loss"], rel=1e-3)


@pytest.mark.parametrize(("architecture", "labels"), [(tuners.CLASSIFIER, tuners.TOPICS), (tuners.TAGGER, tuners.NAMES)])
def test_a_fine_tuned_student_learns_what_its_teacher_says(
    architecture: str, labels: tuple[str, ...], tuned: Callable[..., Path], spoken: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tuned(architecture, labels)
    found = taught(shallower(take(checkpoint.open(folder)), [0]), folder, spoken, replace(QUICK, steps=60))
    assert found.facts["after"]["soft"] < 0.8 * found.facts["before"]["soft"]
    assert found.facts["after"]["agreed"] > found.facts["before"]["agreed"]
    put(found.parts, tmp_path)
    again = checkpoint.open(tmp_path)
    assert again.task is not None
    assert again.task.labels == labels
    assert again.config.layers == 1


def test_an_encoder_alone_is_taught_by_states(make_checkpoint: Callable[..., Path], spoken: tuple[str, ...]) -> None:
    folder = make_checkpoint(head=False)
    found = taught(shallower(take(checkpoint.open(folder)), [0]), folder, spoken)
    assert found.facts["after"]["states"] < 0.9 * found.facts["before"]["states"]
    assert not any(name.startswith("head.") for name in found.parts.weights)


# -- what cannot be --


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": -1}, "steps is -1, wanted 0 or more"),
        ({"batch": 0}, "batch is 0"),
        ({"rate": 0.0}, "rate is 0.0, wanted above 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"temperature": 0.0}, "temperature"),
        ({"masked": 1.0}, "masked"),
        ({"precision": "fp16"}, "precision is 'fp16', wanted one of no, bf16"),
        ({"soft": 0.0, "hard": 0.0, "states": 0.0}, "nothing to learn"),
        ({"resume": True}, "nothing to resume from"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Recovery(**wrong)


def test_texts_are_needed(tiny: Path, tmp_path: Path) -> None:
    parts = take(checkpoint.open(tiny))
    with pytest.raises(BadInput, match="--data"):
        taught(parts, tiny, ())
    with pytest.raises(BadInput, match="cannot be read"):
        taught(parts, tiny, (f"en={tmp_path / 'nowhere.txt'}",))
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no examples"):
        taught(parts, tiny, (f"en={empty}",))
    broken = tmp_path / "broken.txt"
    broken.write_bytes(b"good\n\xff\xfe\n")
    with pytest.raises(BadLine, match="line 2"):
        taught(parts, tiny, (str(broken),))


def test_a_teacher_of_other_pieces_or_width_is_refused(tiny: Path, make_checkpoint: Callable[..., Path], spoken: tuple[str, ...]) -> None:
    config = checkpoint.open(tiny).config
    for other in (replace(config, vocabulary=600), replace(config, width=64)):
        with pytest.raises(BadInput, match="wanted the same"):
            taught(take(checkpoint.open(tiny)), make_checkpoint(other), spoken)


def test_a_student_with_more_layers_is_refused(tiny: Path, make_checkpoint: Callable[..., Path], spoken: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="as many or fewer"):
        taught(take(checkpoint.open(tiny)), make_checkpoint(replace(checkpoint.open(tiny).config, layers=1)), spoken)


def test_a_head_that_reads_pairs_is_refused(tuned: Callable[..., Path], spoken: tuple[str, ...]) -> None:
    folder = tuned(tuners.EXTRACTOR)
    with pytest.raises(BadInput, match="before it is fine-tuned"):
        taught(take(checkpoint.open(folder)), folder, spoken)


def test_without_torch_the_extra_is_named(tiny: Path, spoken: tuple[str, ...]) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from xlmr import checkpoint; from xlmr.compression.parts import take; from xlmr.compression.recovering import *\n"
        "of = checkpoint.open(sys.argv[1])\n"
        "try: recover(take(of), of, sys.argv[2:], Recovery(), print)\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program, tiny, *spoken], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.startswith(f"{MissingExtra.__name__} ")
    assert "pip install 'xlmr[train]'" in done.stdout
