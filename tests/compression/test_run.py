"""What is the same for every method: the folder is there whole or not at all, and says how it was made and what that cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuners import NAMES, TAGGER

import xlmr
from xlmr import checkpoint, compression
from xlmr.compression import Check, Compressed, card, chain, memory, quantizing
from xlmr.compression.memory import Memory
from xlmr.compression.parts import Parts, Step, put, take
from xlmr.compression.quantizing import Quantize
from xlmr.errors import BadCheckpoint, BadCompression, BadInput

TEXTS = {"en": ("the cat drinks water", "the dog sleeps"), "de": ("die Katze trinkt",)}


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not say what memory a process has: two processes less in each test."""
    monkeypatch.setattr(memory, "measure", lambda folder, texts: Memory(None, None, None))


@dataclass(frozen=True, slots=True)
class Stir:
    """How much noise there is to be."""

    amount: float = 0.0
    corpus: tuple[Path, ...] = ()


def stir(parts: Parts, new: Path, options: Stir, step: Step) -> dict[str, Any]:
    """A method like any other: it adds noise."""
    step("stirring")
    dice = np.random.default_rng(0)
    noisy = {name: of + np.float32(options.amount) * dice.standard_normal(of.shape, np.float32) for name, of in parts.weights.items()}
    put(replace(parts, weights=noisy), new)
    return {"languages": ["en"], "notes": ["it is stirred"], "seen": options.corpus}


def made(source: Path | None, output: Path, amount: float = 0.0, **more: Any) -> Compressed:
    check = Check(TEXTS, agreement=more.pop("agreement", None), rounds=3)
    return compression.run(source, output, stir, Stir(amount, (Path("corpus.txt"),)), check=check, **more)


def steps(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "compression.json").read_text(encoding="utf-8"))["steps"]


def test_what_is_made_loads_like_any_other(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = made(tiny, tmp_path / "out", step=said.append)
    assert found.folder == tmp_path / "out"
    assert [of.text for of in xlmr.load(found.folder).fill_mask("the <mask> drinks")] == [
        of.text for of in xlmr.load(tiny).fill_mask("the <mask> drinks")
    ]
    assert found.files == {path.name: path.stat().st_size for path in found.folder.iterdir()}
    assert found.comparison.languages == ("en",)  # as the method says
    assert found.notes[0] == "it is stirred"
    assert said[0] == "stirring"
    assert found.seconds.keys() == {"compress", "compare"}


def test_what_was_done_is_kept_with_what_it_cost(tiny: Path, tmp_path: Path) -> None:
    found = made(tiny, tmp_path / "out")
    (step,) = steps(tmp_path / "out")
    assert (step["method"], step["source"], step["revision"]) == ("stir", str(tiny), None)
    assert step["options"] == {"amount": 0.0, "corpus": ["corpus.txt"]}
    assert step["facts"]["seen"] == ["corpus.txt"]
    assert step["comparison"] == json.loads(json.dumps(found.comparison.as_json()))
    assert step["versions"]["numpy"] == np.__version__


def test_steps_before_are_handed_on(tiny: Path, tmp_path: Path) -> None:
    made(tiny, tmp_path / "one")
    found = compression.run(tmp_path / "one", tmp_path / "two", quantizing.quantize, Quantize("fp16"), check=Check(TEXTS, rounds=3))
    assert found.steps == ("stir", "quantize")
    assert steps(tmp_path / "two")[0] == steps(tmp_path / "one")[0]
    assert [step["method"] for step in chain.read(tmp_path / "two")] == ["stir", "quantize"]


def test_the_same_again_is_refused_where_a_method_says_so(tiny: Path, tmp_path: Path) -> None:
    made(tiny, tmp_path / "one")
    parts = take(checkpoint.open(tmp_path / "one"))
    with pytest.raises(BadInput, match=r"was made by stir with amount 0.0 already"):
        chain.refuse_again(parts, "stir", amount=0.0)
    with pytest.raises(BadInput, match="was made by stir already"):
        chain.refuse_again(parts, "stir")
    chain.refuse_again(parts, "stir", amount=0.5)
    chain.refuse_again(parts, "prune")
    chain.refuse_again(take(checkpoint.open(tiny)), "stir")


@pytest.mark.parametrize("held", ["[]", "{}", '{"steps": 3}', '{"steps": [{"method": "stir"}]}', '{"steps": [{"options": {}}]}', "\xff"])
def test_a_broken_history_is_told(tiny: Path, tmp_path: Path, held: str) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "compression.json").write_text(held, encoding="latin-1")
    with pytest.raises(BadCheckpoint, match=r"compression\.json"):
        made(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_below_the_agreement_that_is_wanted_what_was_there_stays(tiny: Path, tmp_path: Path) -> None:
    made(tiny, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(BadCompression, match=r"likeliest fillings: 0\.\d+ agree .* wanted 0\.9 at least\. Nothing was saved"):
        made(tiny, tmp_path / "out", 1.0, agreement=0.9, force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_all_of_it_is_enough_for_all_that_can_be_wanted(tiny: Path, tmp_path: Path) -> None:
    assert made(tiny, tmp_path / "out", agreement=1.0).comparison.agreement == 1


def test_only_a_compressed_model_is_replaced_and_only_when_asked(tiny: Path, tmp_path: Path) -> None:
    made(tiny, tmp_path / "out")
    with pytest.raises(BadInput, match="choose a new folder, or --force to replace a compressed model"):
        made(tiny, tmp_path / "out")
    made(tiny, tmp_path / "out", 0.5, force=True)
    assert steps(tmp_path / "out")[0]["options"]["amount"] == 0.5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInput, match=r"holds thesis\.txt and no compression\.json, so it is not a compressed model"):
        made(tiny, tmp_path / "mine", force=True)
    with pytest.raises(BadInput, match="is the model itself"):
        made(tmp_path / "out", tmp_path / "out", force=True)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(BadInput, match="is a file; a compressed model is a folder"):
        made(tiny, tmp_path / "file", force=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, BadInput])
def test_what_goes_wrong_leaves_nothing(tiny: Path, tmp_path: Path, error: type[BaseException]) -> None:
    def fail(parts: Parts, new: Path, options: Stir, step: Step) -> dict[str, Any]:
        (new / "half").write_text("written", encoding="utf-8")
        raise error("no")

    with pytest.raises(error):
        compression.run(tiny, tmp_path / "out", fail, Stir(), check=Check(TEXTS))
    assert not [*tmp_path.iterdir()]


def test_a_fine_tuned_model_stays_one(tuned: Callable[..., Path], tmp_path: Path) -> None:
    folder = tuned(TAGGER, NAMES)
    found = compression.run(folder, tmp_path / "out", quantizing.quantize, Quantize("fp16"), check=Check(TEXTS, rounds=3))
    assert found.comparison.measure == "tags of words"
    assert found.comparison.weights.after < 0.6 * found.comparison.weights.before
    assert xlmr.load(tmp_path / "out").tag("the cat drinks").tags == xlmr.load(folder).tag("the cat drinks").tags


def test_attachments_travel(tmp_path: Path) -> None:
    made(None, tmp_path / "out")
    assert xlmr.load(tmp_path / "out").identify_language("Kje je knjižnica?") == xlmr.load().identify_language("Kje je knjižnica?")
    assert steps(tmp_path / "out")[0]["source"] == "small"


# -- the card --


def test_the_card_says_what_it_was_made_of_and_what_it_cost(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    (model / "README.md").write_text("---\nlicense: mit\n---\n# My model\n\nIt is good.\n", encoding="utf-8")
    made(model, tmp_path / "out", 0.1)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: mit\n---\n# model, stir\n")
    assert str(tmp_path) not in text
    assert "with amount 0.1, corpus corpus.txt" in text
    assert "| weights on disk | 0.2 MB | 0.2 MB | 1.00 × |" in text
    assert "| memory, loaded | not known | not known |  |" in text
    assert "- This system does not say what memory a process has." in text
    assert "- It is stirred." in text
    assert "- Its weights are floats in model.safetensors" in text
    assert text.endswith("The card of the model it was made of:\n\n# My model\n\nIt is good.\n")
    assert text.count("license: mit") == 1


def test_cards_of_a_chain_stand_below_each_other(tiny: Path, tmp_path: Path) -> None:
    made(tiny, tmp_path / "one", 0.01)
    made(tmp_path / "one", tmp_path / "two", 0.02)
    text = (tmp_path / "two" / "README.md").read_text(encoding="utf-8")
    assert text.index("amount 0.02") < text.index("The card of the model it was made of") < text.index("amount 0.01")


@pytest.mark.parametrize("held", [b"", b"\xff\xfe not UTF-8", b"x" * (card.LARGEST + 1)])
def test_a_card_that_cannot_be_read_stops_nothing(tiny: Path, tmp_path: Path, held: bytes) -> None:
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "README.md").write_bytes(held)
    made(tmp_path / "model", tmp_path / "out")
    assert "weights on disk" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_where_no_weights_are_floats_the_card_says_who_loads_them(tmp_path: Path) -> None:
    (said,) = card.loads(tmp_path)
    assert "transformers and what builds on it do not" in said


def test_options_that_were_not_chosen_are_not_told() -> None:
    assert card.described({"mode": "fp16", "heads": None, "again": False, "pieces": 0, "of": ["a", "b"]}) == "mode fp16, pieces 0, of a, b"


def test_a_model_for_some_languages_is_compared_on_these_from_then_on(tiny: Path, tmp_path: Path) -> None:
    def plain(parts: Parts, new: Path, options: Stir, step: Step) -> dict[str, Any]:
        put(parts, new)
        return {}

    made(tiny, tmp_path / "one")
    assert compression.run(tmp_path / "one", tmp_path / "two", plain, Stir(), check=Check(TEXTS)).comparison.languages == ("en",)


@pytest.mark.parametrize("facts", [None, [], {"languages": 3}, {"languages": []}])
def test_languages_that_nobody_named_are_none(facts: object) -> None:
    assert chain.languages([{"facts": facts}]) == ()
