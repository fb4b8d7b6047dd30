"""A made-up corpus of four languages whose sentences are combinations of a few words, and recipes that learn it in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tales import WORDS, sentences, write

pytest.importorskip("torch")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: prose in three languages, filler in the fourth, a parallel set in all, a lexicon in two."""
    folder = tmp_path_factory.mktemp("data")
    for language, (_, nouns, _) in WORDS.items():
        texts = sentences(language)
        prose = [f"{a} {b}" for a, b in zip(texts, texts[7:] + texts[:7], strict=True)]
        write(folder / ("filler" if language == "zh" else ".") / f"{language}.txt.xz", prose)
        write(folder / "parallel" / "tales" / f"{language}.tsv.xz", [f"t{i}\t{text}" for i, text in enumerate(texts)])
        if language in ("en", "el"):
            write(folder / "parallel" / "lexicon" / f"{language}.tsv.xz", [f"l{i}\t{noun}" for i, noun in enumerate(nouns)])
    return folder


@pytest.fixture(scope="session")
def write_recipe(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A recipe file for the made-up corpus; the arguments are its output folder and lines put into its sections."""

    def make(output: Path, **sections: str) -> Path:
        body = {
            "data": f'folder = "{data.as_posix()}"\nparallel = ["tales", "lexicon"]\nphrases = ["lexicon"]\nheldout_ids = 20',
            "vocabulary": "size = 300\ncharacters = 100000\ncoverage = 1.0",
            "sizes": "width = 32\nlayers = 2\nheads = 2\ninner = 64\npositions = 66",
            "static": "steps = 5\npairs = 16\nlanguages = 4",
            "neighbours": "steps = 3\nbatch = 256\npairs = 8\nnegatives = 32",
            "objective": "memory = 32\nbatch = 1024\nlongest = 64\nnegatives = 64",
            "optimiser": "tokens = 12288\nwarmup = 1024",
        }
        body |= {name: body[name] + "\n" + more for name, more in sections.items() if name in body}
        path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
        text = f'output = "{output.as_posix()}"\nlog = 1\nevaluate = 6\nminutes = 60\n' + sections.get("top", "") + "\n"
        path.write_text(text + "".join(f"[{name}]\n{lines}\n" for name, lines in body.items()), encoding="utf-8")
        return path

    return make


@pytest.fixture(scope="session")
def straight(write_recipe: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from beginning to end."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    from xlmr.training.pretraining import pretrain  # once it is known that there is torch

    pretrain(write_recipe(folder))
    return folder
