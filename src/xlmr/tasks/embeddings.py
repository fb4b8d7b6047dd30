"""Vectors of texts, of their words and of their tokens.

The vector of a text is made as the model says (`heads.vectors.Recipe`); those of words and tokens are the states themselves, as everywhere
else. A text longer than the model takes is read in overlapping windows, unless the model's files say that it is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import index
from typing import Any, Generic, Literal, NamedTuple, SupportsIndex, TypedDict, TypeVar, Unpack, overload

import numpy as np

from xlmr import encoder as encoders
from xlmr.encoder import Encoder, bounded
from xlmr.errors import BadInput
from xlmr.heads import calibration as calibrated
from xlmr.heads import pieces, vectors
from xlmr.heads.calibration import Calibration
from xlmr.heads.forms import DTYPES, Form
from xlmr.heads.vectors import Layers, Pooling, Recipe
from xlmr.limits import TOP, whole
from xlmr.tasks import answers, calibrations, classifiers, companions, hidden, segmentation
from xlmr.tasks.evidence import Text
from xlmr.tasks.recognition import Asked, Language
from xlmr.tokenizer import Encoding

HELD = 128
"""Bytes of a token's id and place, about."""
LEVELS = ("text", "word", "token")
POOLINGS = {"text": ("mean", "cls", "max"), "word": ("mean", "first", "max"), "token": ()}
"""From the states of several tokens to one vector, by level; `cls` is the state of `<s>`, `first` that of a word's first piece."""


@dataclass(frozen=True, slots=True)
class Place:
    """A word or a token of a text."""

    text: str
    """The slice `start` to `end` of the text as it was given; empty for a space that is a token of its own."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Parts:
    """The words or the tokens of a text, and the vector of each."""

    level: str
    """`word` or `token`."""
    places: tuple[Place, ...]
    """In their order."""
    vectors: np.ndarray
    """`[places, size]`; of `int8` `[places]`, with the fields `scale` and `vector`."""


L = TypeVar("L")


class Embedded(NamedTuple, Generic[L]):
    """Vectors, and what languages their texts are in."""

    vectors: np.ndarray
    """As without the languages: `[size]`, of several texts `[texts, size]`."""
    languages: L
    """As of `identify_language`: best first, of several texts a list of such lists."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with each text."""

    level: str
    """Of `LEVELS`."""
    recipe: Recipe
    """Which layers; of a text also what comes after them."""
    pooling: str
    """Of a word's pieces."""
    form: Form
    before: str
    """What is put before a text."""
    calibration: Calibration | None = None
    """What takes the place of the recipe's steps."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text cut into pieces."""

    text: str
    encoding: Encoding
    prompt: int
    """How many of its tokens, from `<s>` on, are of a prompt."""
    held: int
    """Bytes of it and of its answer, about."""
    beginning: Text | None = None
    """What is looked at for its language, where that is asked for …"""
    whole: bool = True
    """… and whether it has the same tokens."""

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.encoding.ids)


class Options(TypedDict, total=False):
    """What vectors of any level may be asked for."""

    raw: bool
    layers: int | Sequence[int] | None
    layer_mean: bool
    pooling: str | None
    dtype: str
    size: int | None
    unit: bool


@overload
def embed(
    encoder: Encoder,
    texts: str | Iterable[str],
    *,
    level: Literal["text"] = "text",
    prompt: str | None = None,
    language: Literal[False] = False,
    stream: Literal[False] = False,
    **options: Unpack[Options],
) -> np.ndarray: ...
@overload
def embed(
    encoder: Encoder,
    texts: str | Iterable[str],
    *,
    level: Literal["text"] = "text",
    prompt: str | None = None,
    language: Literal[False] = False,
    stream: Literal[True],
    **options: Unpack[Options],
) -> Iterator[np.ndarray]: ...
@overload
def embed(  # type: ignore[overload-overlap]  # a str is one text
    encoder: Encoder,
    texts: str,
    *,
    level: Literal["text"] = "text",
    prompt: str | None = None,
    language: Literal[True],
    top: int = 3,
    stream: Literal[False] = False,
    **options: Unpack[Options],
) -> Embedded[list[Language]]: ...
@overload
def embed(
    encoder: Encoder,
    texts: Iterable[str],
    *,
    level: Literal["text"] = "text",
    prompt: str | None = None,
    language: Literal[True],
    top: int = 3,
    stream: Literal[False] = False,
    **options: Unpack[Options],
) -> Embedded[list[list[Language]]]: ...
@overload
def embed(
    encoder: Encoder,
    texts: str | Iterable[str],
    *,
    level: Literal["text"] = "text",
    prompt: str | None = None,
    language: Literal[True],
    top: int = 3,
    stream: Literal[True],
    **options: Unpack[Options],
) -> Iterator[Embedded[list[Language]]]: ...
@overload
def embed(  # type: ignore[overload-overlap]  # a str is one text
    encoder: Encoder, texts: str, *, level: Literal["word", "token"], stream: Literal[False] = False, **options: Unpack[Options]
) -> Parts: ...
@overload
def embed(
    encoder: Encoder, texts: Iterable[str], *, level: Literal["word", "token"], stream: Literal[False] = False, **options: Unpack[Options]
) -> list[Parts]: ...
@overload
def embed(
    encoder: Encoder, texts: str | Iterable[str], *, level: Literal["word", "token"], stream: Literal[True], **options: Unpack[Options]
) -> Iterator[Parts]: ...
def embed(
    encoder: Encoder,
    texts: str | Iterable[str],
    *,
    level: str = "text",
    prompt: str | None = None,
    language: bool = False,
    top: int = 3,
    stream: bool = False,
    **options: Unpack[Options],
) -> np.ndarray | Parts | list[Parts] | Embedded[Any] | Iterator[np.ndarray] | Iterator[Parts] | Iterator[Embedded[Any]]:
    """A text's vector, float32 `[size]`; of several, `[texts, size]`. Of level `word` or `token`, a text's `Parts`, or a list of them.

    With `stream` it is an iterator of what one text gives, which reads a window of texts at a time.

    Without `layers` and `pooling`, the vector of a text is made as the model's sentence-transformers files say: pooling, normalisation,
    dense layers, where a text is cut. With one of them, and for a model without such files, it is the pooled states and nothing more, of
    the whole text: `pooling` is `mean` (the default; `<s>` and `</s>` count), `cls` or `max`. `prompt` is the name of one of the model's
    prompts, which is put before each text; without it the model's default, if it has one; the empty name puts none there.

    Of level `token` the vectors are the states of the pieces, without `<s>` and `</s>`. Of level `word` they are pooled over the pieces
    of a word: `mean` (the default), `first` or `max`. A piece that spans several words counts for each by its share in it.

    `layers` is a layer's number or several: 0 the embeddings, -1 the last and the default; several stand one beside the other, or
    `layer_mean` gives their mean. `size` keeps the first numbers, `unit` brings vectors to length 1, `dtype` is one of `forms.DTYPES`.

    With `language`, vectors of texts come as `Embedded`, with the `top` likeliest languages of each, which are those of `identify_language`
    and come from the same pass of the encoder.

    Raises BadInput where a text is no text or too long, or an option is not one of these; BadCheckpoint where the files ask for
    what xlmr cannot compute, the model's numbers are not finite, or it has no classifier of languages and is asked for them.
    """
    made = plan(encoder, level=level, prompt=prompt, **options)
    asked = _asked(encoder, level, top) if language else None
    found: Any = answers.like(texts, partial(_each, encoder, made, asked), stream)
    if level == "text" and isinstance(found, list):
        return Embedded(_stacked(made, [of.vectors for of in found]), [of.languages for of in found]) if asked else _stacked(made, found)
    return found  # type: ignore[no-any-return]  # the overloads say what it is


def embed_each(
    encoder: Encoder, texts: Iterable[answers.Text], *, level: str = "text", prompt: str | None = None, **options: Unpack[Options]
) -> Iterator[np.ndarray | Parts | BadInput]:
    """As `embed` with `stream`, but a text that cannot be answered gives its error in its place."""
    return embedder(encoder, level=level, prompt=prompt, **options)(texts)


def embedder(
    encoder: Encoder, *, level: str = "text", prompt: str | None = None, **options: Unpack[Options]
) -> answers.Answerer[np.ndarray | Parts]:
    """What answers streams of texts, its options checked once."""
    return partial(_each, encoder, plan(encoder, level=level, prompt=prompt, **options), None)  # type: ignore[return-value]  # no languages


def language_embedder(
    encoder: Encoder, *, level: str = "text", top: int = 3, prompt: str | None = None, **options: Unpack[Options]
) -> answers.Answerer[Embedded[list[Language]]]:
    """The same, with the languages of each text."""
    made = plan(encoder, level=level, prompt=prompt, **options)
    return partial(_each, encoder, made, _asked(encoder, level, top))  # type: ignore[return-value]  # with languages


def plan(
    encoder: Encoder,
    *,
    level: str = "text",
    raw: bool = False,
    layers: int | Sequence[int] | None = None,
    layer_mean: bool = False,
    pooling: str | None = None,
    dtype: str = "float32",
    size: int | None = None,
    unit: bool = False,
    prompt: str | None = None,
) -> Plan:
    """What `embed` does with these options. Raises BadInput or BadCheckpoint where it cannot be done."""
    for name, found, known in (("level", level, LEVELS), ("dtype", dtype, DTYPES), ("pooling", pooling, (None, *POOLINGS.get(level, ())))):
        if found not in known:
            wanted = f"one of {', '.join(filter(None, known))}" if any(known) else "none: each token has its own state"
            raise BadInput(f"{name} is {found!r}, wanted {wanted}" + (f" of level {level!r}" if name == "pooling" else ""))
    if layer_mean and layers is None:
        raise BadInput("layer_mean was asked for, and no layers; say which")
    if prompt and level != "text":
        raise BadInput(f"prompt is {prompt!r}, and level is {level!r}; a prompt is for vectors of texts. Put it into the text itself")
    own = level == "text" and layers is None and pooling is None
    calibration = calibrations.find(encoder) if own and not raw else None
    if calibration is not None:
        recipe, full = _calibrated(calibration, prompt), calibration.size
    else:
        recipe = encoder.recipe if own else _plain(encoder.recipe, layers, layer_mean, pooling)
        vectors.refuse_unknown(recipe)
        hidden.check(encoder, recipe.layers)
        full = vectors.width(recipe, encoder.config.width)
    form = Form(full if size is None else whole("size", size, full), unit, dtype)
    return Plan(level, recipe, pooling or "mean", form, _prompt(recipe, prompt) if level == "text" else "", calibration)


def _calibrated(of: Calibration, prompt: str | None) -> Recipe:
    """Whose states a calibration wants, if any."""
    if prompt:
        raise BadInput(f"prompt is {prompt!r}, and the model's vectors are calibrated, without prompts; ask for raw ones")
    return Recipe(layers=Layers(() if of.states is None else (of.states.layer,)))


def _plain(recipe: Recipe, layers: int | Sequence[int] | None, mean: bool, pooling: str | None) -> Recipe:
    """The states of some layers, pooled, and nothing more; of what a model's files say, the prompts are left."""
    numbers = (-1,) if layers is None else tuple(layers) if isinstance(layers, Iterable) else (layers,)
    if not numbers or not all(isinstance(number, SupportsIndex) and not isinstance(number, bool) for number in numbers):
        raise BadInput(f"layers is {layers!r}, wanted the number of a layer or several: 0 the embeddings, -1 the last")
    wanted = Layers(tuple(map(index, numbers)), mean)
    return replace(recipe, layers=wanted, steps=(Pooling((pooling or "mean",)),), longest=None, size=None)


def _prompt(recipe: Recipe, name: str | None) -> str:
    """What is put before each text."""
    name = recipe.default_prompt if name is None else name
    if not name:
        return ""
    if name not in recipe.prompts:
        known = f"one of this model's: {', '.join(map(repr, recipe.prompts))}" if recipe.prompts else "none: this model has no prompts"
        raise BadInput(f"prompt is {name!r}, wanted the name of {known}. Any other belongs into the text itself")
    return recipe.prompts[name]


def _asked(encoder: Encoder, level: str, top: int) -> Asked:
    """What is asked for of the languages. Raises BadInput or BadCheckpoint where it cannot be had."""
    if level != "text":
        raise BadInput(f"language was asked for, and level is {level!r}; it comes with vectors of texts. For parts of one there are spans")
    return Asked(classifiers.find(encoder), None, whole("top", top, TOP))


def _stacked(plan: Plan, found: list[np.ndarray]) -> np.ndarray:
    return np.stack(found) if found else np.empty(0, plan.form.stored)


def _each(
    encoder: Encoder, plan: Plan, languages: Asked | None, texts: Iterable[answers.Text]
) -> Iterator[np.ndarray | Parts | Embedded[list[Language]] | BadInput]:
    width, cut = plan.recipe.layers.width(encoder.config.width), plan.recipe.longest
    own = len(encoders.encode(encoder, plan.before, cut=cut).ids) - 1 if plan.before else 0

    def prepare(text: str) -> Question:
        asked = bounded(plan.before + text if isinstance(text, str) else text)
        encoding = encoder.tokenizer.encode(asked, longest=cut)
        tokens = hidden.bounded(len(encoding.ids), width)
        answer = plan.form.stored.itemsize * (1 if plan.level == "text" else tokens)
        begin, same = companions.beginning(encoder, text, None if plan.before else encoding.ids, cut) if languages else (None, True)
        return Question(asked, encoding, min(own, tokens - 1), answer + HELD * tokens, begin, same)

    def answer(batch: list[Question]) -> list[np.ndarray | Parts | Embedded[list[Language]]]:
        layers = plan.recipe.layers
        found, lower = list[np.ndarray | Parts](), list[np.ndarray | None]()
        numbers = [*layers.numbers, *([languages.classifier.layer] if languages else [])]
        useful = [bool(layers.numbers) or asked.whole for asked in batch]  # calibrated vectors may need no states, and then long texts none
        read = hidden.each(encoder, [asked.encoding.ids for asked, of_use in zip(batch, useful, strict=True) if of_use], numbers)
        for asked, of_use in zip(batch, useful, strict=True):
            states = next(read) if of_use else []
            found.append(MADE[plan.level](plan, asked, hidden.side_by_side(states[: len(layers.numbers)], layers)))
            lower.append(states[-1] if languages and asked.whole else None)
        if languages is None:
            return [*found]
        named = companions.recognise(encoder, [asked.beginning for asked in batch if asked.beginning], lower, languages)
        return [Embedded(vector, of) for vector, of in zip(found, named, strict=True) if isinstance(vector, np.ndarray)]

    return answers.each(texts, prepare, answer)


# -- what a text's states become: its question and `[tokens, width]` --


def _text(plan: Plan, asked: Question, of: np.ndarray) -> np.ndarray:
    if plan.calibration is None:
        return plan.form.of(hidden.finite(vectors.vector(plan.recipe, of, asked.prompt)))
    ids = np.array(asked.encoding.ids[1:-1], np.int64)
    return plan.form.of(hidden.finite(calibrated.vector(plan.calibration, ids, of[1:-1])))


def _words(plan: Plan, asked: Question, of: np.ndarray) -> Parts:
    found = pieces.match(segmentation.words(asked.text), asked.encoding.offsets[1:-1])
    pooled = pieces.pool(plan.pooling, found, of[1:-1])
    return Parts(plan.level, tuple(_place(asked.text, word.place) for word in found), plan.form.of(pooled))


def _tokens(plan: Plan, asked: Question, of: np.ndarray) -> Parts:
    return Parts(plan.level, tuple(_place(asked.text, place) for place in asked.encoding.offsets[1:-1]), plan.form.of(of[1:-1]))


def _place(text: str, place: tuple[int, int]) -> Place:
    return Place(text[slice(*place)], *place)


MADE: Mapping[str, Callable[[Plan, Question, np.ndarray], np.ndarray | Parts]] = {"text": _text, "word": _words, "token": _tokens}
