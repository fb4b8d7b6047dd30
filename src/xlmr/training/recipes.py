"""A pretraining recipe: a TOML file, read into frozen dataclasses; every field may be left out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from xlmr.errors import BadRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where the text lies, and what of it is used."""

    folder: str = "../shared/data/text"
    """Holds LANG.txt.xz, filler/LANG.txt.xz and parallel/SET/LANG.tsv.xz; relative paths count from the working folder."""
    languages: tuple[str, ...] = ()
    """Only these codes; empty takes all there are."""
    filler_below: int = 200_000
    """Interface strings are used only where a language has fewer bytes of prose."""
    parallel: tuple[str, ...] = ("bible", "cldr", "docs", "gnomehelp", "lexicon", "ntrex128", "osguide", "stories", "strings", "tico19")
    phrases: tuple[str, ...] = ("cldr", "lexicon")
    """Parallel sets of words and short phrases: used as pairs, never as running text."""
    cap: int = 8_000
    """Ids a parallel set may give, so that no single book dominates; the same ids in all languages."""
    heldout_lines: int = 300
    """Lines of running text a language keeps back, at most one in twenty."""
    heldout_ids: int = 50
    """One parallel id in so many is kept back, in all languages, with every other copy of its texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The SentencePiece unigram model."""

    size: int = 32_000
    """Pieces in all, the special ones and `<mask>` among them."""
    exponent: float = 0.4
    """Languages are sampled by characters to this power (XLM-R, section 3.1, has 0.3)."""
    characters: int = 40_000_000
    coverage: float = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The encoder, as in `xlmr.config.Config`."""

    width: int = 256
    layers: int = 4
    heads: int = 8
    inner: int = 1_024
    positions: int = 514
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """The start of the embedding table: SVD of pieces x sentence ids, then contrast on means of vectors."""

    start: str = "contrast"
    """`random`, `svd`, or `contrast` (svd and then contrast)."""
    power: float = 0.5
    """The singular values' exponent."""
    languages: int = 32
    """Columns of the table kept for the languages a piece is common in, before the positions'."""
    steps: int = 1_500
    pairs: int = 512
    rate: float = 3e-3
    temperature: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The start of the first layer: heads that look at a piece's neighbours, learnt before the run."""

    steps: int = 7_500
    """0 leaves it out."""
    positions: int = 32
    """Columns of the table kept for the positions, the last."""
    batch: int = 4_096
    """Tokens a step, all of which are predicted but the special ones."""
    exponent: float = 0.5
    """Languages are sampled by tokens to this power."""
    parallel: float = 0.3
    """Share of the tokens that are lines joined with their translation."""
    hidden: float = 0.15
    """Share of the pieces that are hidden from their neighbours too."""
    rate: float = 3e-3
    negatives: int = 1_024
    """Pieces a prediction is compared with (sampled softmax)."""
    contrast: float = 1.0
    """Weight of the contrast of translations, so that the table stays one of all languages."""
    every: int = 4
    """One step in so many contrasts translations: many at once, which tells more than few each time."""
    pairs: int = 256
    temperature: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a step learns from."""

    batch: int = 2_048
    """Tokens a step."""
    exponent: float = 0.5
    """Languages are sampled by tokens to this power."""
    parallel: float = 0.5
    """Share of a batch's tokens that are parallel lines: masked, and contrasted with their translation."""
    tlm: float = 0.3
    """Share of the parallel pairs that are joined in one sequence (TLM; Conneau and Lample 2019, section 3.3)."""
    masked: float = 0.2
    """Tokens chosen for prediction; of these 80 % become <mask>, 10 % another piece, 10 % stay."""
    tlm_masked: float = 0.35
    """The same, on the side of a joined pair that is to be read from its translation."""
    whole_word: float = 0.5
    """Share of sequences whose words are masked whole."""
    contrast: float = 0.1
    """Weight of the contrastive loss; 0 leaves it out."""
    layer: int = -1
    """The layer whose states are contrasted."""
    memory: int = 1_024
    """Sentences of earlier steps that a translation is also told from (Wang et al. 2020, cross-batch memory)."""
    temperature: float = 0.05
    joined: float = 0.1
    """Share of the monolingual tokens in lines joined to long sequences, so that every position is learnt; one sequence a step at least,
    unless 0, which is more where batches are small."""
    longest: int = 128
    """Tokens of an example that is not joined."""
    negatives: int = 8_192
    """Pieces a prediction is compared with (sampled softmax); 0 compares with all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A calibration of text vectors that the encoder learns from (`training.teaching`); it needs the vocabulary of the run."""

    model: str = ""
    """Beside whose weights it lies: a folder, or `small`; empty: none."""
    weight: float = 3.0
    """Of its loss."""
    columns: int = 0
    """Of the table, that begin as its rows; only where the run goes on from a model."""
    share: float = 0.3
    """Of the table's variance, that those then have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much larger than the model it goes on from a run's model is (`training.growing`)."""

    layers: int = 0
    """Put on top, copies of the last."""
    inner: int = 0
    """Units put into each feed-forward network."""
    width: int = 0
    """Columns put beside those of the table and of all states: whole heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimiser:
    """AdamW, with Muon for the matrices inside the layers where `muon` is above 0."""

    tokens: int = 30_000_000
    """Length of the run."""
    rate: float = 4e-4
    muon: float = 0.0
    """Rate of Muon; 0 leaves the matrices to AdamW."""
    embeddings: float = 0.5
    """The word embeddings' rate as a share of `rate`."""
    warmup: int = 500_000
    """Tokens over which the rate rises from 0."""
    decay: float = 0.3
    """Share of the run in which the rate falls linearly to 0; in between it is constant."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    """The gradient's largest norm."""
    full_softmax: float = 0.1
    """Last share of the run, in which every piece is compared with."""
    accumulate: int = 1
    """Parts a step's batch is worked in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All of a run."""

    output: str
    """The run's folder."""
    seed: int = 1
    precision: str = "no"
    """`no` (fp32) or `bf16`, as accelerate names them."""
    minutes: float = 5.0
    """Between two checkpoints."""
    log: int = 20
    """Steps between two lines of the log."""
    evaluate: int = 500
    """Steps between two measurements on held-out text."""
    keep: bool = False
    """Whether the model as it is when it is measured is kept, in `kept/STEP/`, in float16."""
    data: Data = field(default_factory=Data)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    sizes: Sizes = field(default_factory=Sizes)
    static: Static = field(default_factory=Static)
    neighbours: Neighbours = field(default_factory=Neighbours)
    objective: Objective = field(default_factory=Objective)
    teacher: Teacher = field(default_factory=Teacher)
    growth: Growth = field(default_factory=Growth)
    optimiser: Optimiser = field(default_factory=Optimiser)


SECTIONS = {"data": Data, "vocabulary": Vocabulary, "sizes": Sizes, "static": Static, "neighbours": Neighbours, "objective": Objective,
            "teacher": Teacher, "growth": Growth, "optimiser": Optimiser}  # fmt: skip


def read(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises BadRecipe where it is missing, not TOML, or has a field that is unknown or of another type."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadRecipe(f"{path}: not found") from None
    except (OSError, ValueError) as error:
        raise BadRecipe(f"{path}: not readable as TOML ({error})") from None
    sections: dict[str, Any] = {name: _fill(kind, raw.pop(name, {}), f"{path}: [{name}]") for name, kind in SECTIONS.items()}
    if "output" not in raw:
        raise BadRecipe(f"{path}: output is missing; it names the run's folder")
    recipe = _fill(Recipe, raw | sections, str(path))
    check(recipe, str(path))
    return recipe


CHOICES: dict[str, tuple[str, ...]] = {"precision": ("no", "bf16"), "static.start": ("random", "svd", "contrast")}
Range = tuple[Callable[[float], bool], str]
NOT_NEGATIVE: Range = (lambda x: x >= 0, "0 or more")
FROM_ONE: Range = (lambda x: x >= 1, "1 or more")
ABOVE_ZERO: Range = (lambda x: x > 0, "above 0")
SHARE: Range = (lambda x: 0 <= x <= 1, "from 0 to 1")
BELOW_ONE: Range = (lambda x: 0 <= x < 1, "from 0 up to 1")
ANY: Range = (lambda x: True, "a number")
RANGES: dict[Range, str] = {
    FROM_ONE: "log evaluate data.heldout_lines data.heldout_ids vocabulary.size vocabulary.characters sizes.width sizes.layers sizes.heads "
    "sizes.inner sizes.positions static.pairs neighbours.batch neighbours.negatives neighbours.every neighbours.pairs objective.batch "
    "optimiser.tokens optimiser.accumulate",
    ABOVE_ZERO: "static.temperature neighbours.temperature objective.temperature optimiser.clip",
    SHARE: "vocabulary.coverage neighbours.parallel neighbours.hidden objective.parallel objective.tlm objective.masked "
    "objective.tlm_masked objective.whole_word objective.joined optimiser.decay optimiser.full_softmax",
    BELOW_ONE: "sizes.dropout teacher.share",
    ANY: "objective.layer seed",
}
"""Which fields must lie where; the others are `NOT_NEGATIVE`."""
RANGE_OF = {name: range for range, names in RANGES.items() for name in names.split()}


def check(recipe: Recipe, where: str) -> None:
    """Raises BadRecipe where a value cannot be, whatever the others are."""
    for name, value in _values(recipe):
        if name in CHOICES and value not in CHOICES[name]:
            raise BadRecipe(f"{where}: {name} is {value!r}, wanted one of {', '.join(CHOICES[name])}")
        fits, wanted = RANGE_OF.get(name, NOT_NEGATIVE)
        if isinstance(value, int | float) and not (isfinite(value) and fits(value)):
            raise BadRecipe(f"{where}: {name} is {value}, wanted {wanted}")
    betas = recipe.optimiser.betas
    if len(betas) != 2 or not all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in betas):
        raise BadRecipe(f"{where}: optimiser.betas is {list(betas)}, wanted two numbers from 0 up to 1")


def _values(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    for name, value in dump(recipe).items():
        if name in SECTIONS:
            yield from ((f"{name}.{inner}", of) for inner, of in value.items())
        else:
            yield name, value


def dump(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, to be stored beside what it made."""
    return asdict(recipe)


T = TypeVar("T")
TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "int"),
    "float": ((int, float), "float"),
    "str": ((str,), "str"),
    "tuple": ((list,), "a list"),
    **{kind.__name__: ((kind,), "a table") for kind in SECTIONS.values()},
}


def _fill(kind: type[T], raw: object, where: str) -> T:
    if not isinstance(raw, Mapping):
        raise BadRecipe(f"{where}: found {raw!r}, wanted a table")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(raw) - set(known)):
        raise BadRecipe(f"{where}: {', '.join(unknown)} not known; wanted some of {', '.join(known)}")
    return kind(**{name: _value(value, str(known[name].type), f"{where} {name}") for name, value in raw.items()})


def _value(value: Any, kind: str, where: str) -> Any:
    allowed, name = TYPES[kind.split("[")[0]]
    if type(value) not in allowed:
        raise BadRecipe(f"{where}: found {value!r}, wanted {name}")
    return float(value) if kind == "float" else tuple(value) if kind.startswith("tuple") else value
