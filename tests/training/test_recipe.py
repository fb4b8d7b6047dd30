from pathlib import Path

import pytest

from xlmr import config
from xlmr.errors import BadRecipe
from xlmr.training import recipes


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_field_left_out_has_its_default(tmp_path: Path) -> None:
    recipe = recipes.read(written(tmp_path, 'output = "run"\n[sizes]\nlayers = 7\n'))
    assert recipe.sizes.layers == 7
    assert recipe.sizes.width == recipes.Sizes().width
    assert recipe.objective == recipes.Objective()


def test_the_recipes_make_a_model_of_the_size_that_ships() -> None:
    root = Path(__file__).parents[2]
    first, growth, inside = (
        recipes.read(root / "recipes" / "small.toml"),
        recipes.read(root / "recipes" / "grown.toml").growth,
        config.read(root / "src" / "xlmr" / "small" / "config.json"),
    )
    for name in ("width", "layers", "inner"):
        assert getattr(first.sizes, name) + getattr(growth, name) == getattr(inside, name)
    assert (first.sizes.positions, first.vocabulary.size) == (inside.positions, inside.vocabulary)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "output is missing"),
        ("output = ", "not readable as TOML"),
        ('output = "x"\nspeed = 3', "speed not known; wanted some of output, seed"),
        ('output = "x"\n[objective]\nmaskd = 0.2', r"\[objective\]: maskd not known"),
        ('output = "x"\n[objective]\nbatch = "big"', r"\[objective\] batch: found 'big', wanted int"),
        ('output = "x"\n[sizes]\nlayers = 2.5', "layers: found 2.5, wanted int"),
        ('output = "x"\nkeep = 1', "keep: found 1, wanted true or false"),
        ('output = "x"\nsizes = 3', r"\[sizes\]: found 3, wanted a table"),
        ('output = "x"\n[optimiser]\nbetas = 0.9', "betas: found 0.9, wanted a list"),
        ('output = "x"\nprecision = "fp16"', r"precision is 'fp16', wanted one of no, bf16"),
        ('output = "x"\n[static]\nstart = "svdd"', r"static\.start is 'svdd', wanted one of random, svd, contrast"),
        ('output = "x"\n[optimiser]\ntokens = 0', r"optimiser\.tokens is 0, wanted 1 or more"),
        ('output = "x"\n[optimiser]\ndecay = 1.5', r"optimiser\.decay is 1\.5, wanted from 0 to 1"),
        ('output = "x"\n[objective]\ntemperature = 0', r"objective\.temperature is 0\.0, wanted above 0"),
        ('output = "x"\n[optimiser]\nclip = 0', r"optimiser\.clip is 0\.0, wanted above 0"),
        ('output = "x"\n[data]\nheldout_lines = 0', r"data\.heldout_lines is 0, wanted 1 or more"),
        ('output = "x"\n[sizes]\ndropout = 1.0', r"sizes\.dropout is 1\.0, wanted from 0 up to 1"),
        ('output = "x"\n[optimiser]\nrate = inf', r"optimiser\.rate is inf, wanted 0 or more"),
        ('output = "x"\n[optimiser]\nbetas = [0.9]', r"optimiser\.betas is \[0\.9\], wanted two numbers"),
        ('output = "x"\n[objective]\nmemory = -1', r"objective\.memory is -1, wanted 0 or more"),
    ],
)
def test_a_wrong_recipe_is_told_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        recipes.read(written(tmp_path, text))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"none\.toml: not found"):
        recipes.read(tmp_path / "none.toml")
