"""Vectors of texts, made as the model says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput
from xlmr.heads import vectors
from xlmr.tasks import answers


@dataclass(frozen=True, slots=True)
class Question:
    """A text cut into pieces."""

    ids: list[int]
    prompt: int
    """How many of them, from `<s>` on, are of a prompt."""
    held: int
    """Bytes of its vector."""

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.ids)


@overload
def embed(encoder: Encoder, texts: str | Iterable[str], *, prompt: str | None = None, stream: Literal[False] = False) -> np.ndarray: ...
@overload
def embed(encoder: Encoder, texts: str | Iterable[str], *, prompt: str | None = None, stream: Literal[True]) -> Iterator[np.ndarray]: ...
def embed(
    encoder: Encoder, texts: str | Iterable[str], *, prompt: str | None = None, stream: bool = False
) -> np.ndarray | Iterator[np.ndarray]:
    """A text's vector, float32 `[size]`; of several, `[texts, size]`; with `stream`, an iterator that reads a window of texts at a time.

    It is made as the model's sentence-transformers files say: pooling, normalisation, dense layers, where a text is cut. A model without
    such files gives the mean of its last states, and cuts nothing. `prompt` is the name of one of the model's prompts, which is put before
    each text; without it the model's default, if it has one; the empty name puts none there.

    Raises BadInput where a text is no text or too long, or the prompt is not one of the model's; BadCheckpoint where the files ask for
    what xlmr cannot compute, or the model's numbers are not finite.
    """
    found = answers.like(texts, lambda many: embed_each(encoder, many, prompt=prompt), stream)
    if not isinstance(found, list):
        return found
    return np.stack(found) if found else np.empty((0, vectors.width(encoder.recipe, encoder.config.width)), np.float32)


def embed_each(encoder: Encoder, texts: Iterable[answers.Text], *, prompt: str | None = None) -> Iterator[np.ndarray | BadInput]:
    """As `embed` with `stream`, but a text that cannot be answered gives its error in its place."""
    recipe = encoder.recipe
    vectors.refuse_unknown(recipe)
    before = _prompt(encoder, prompt)
    own = len(encoders.encode(encoder, before, cut=recipe.longest).ids) - 1 if before else 0
    held = 4 * vectors.width(recipe, encoder.config.width)

    def prepare(text: str) -> Question:
        encoding = encoders.encode(encoder, before + text if isinstance(text, str) else text, cut=recipe.longest)
        return Question(encoding.ids, min(own, len(encoding.ids) - 1), held)

    def answer(batch: list[Question]) -> list[np.ndarray]:
        ids = encoders.pad([question.ids for question in batch], encoder.config.pad_id)
        (states,) = encoder.runtime.hidden_states(ids)
        made = [vectors.vector(recipe, of[: len(asked.ids)], asked.prompt) for asked, of in zip(batch, states, strict=True)]
        if not all(np.isfinite(vector).all() for vector in made):
            raise BadCheckpoint("the model answers with numbers that are not finite; its weights are broken")
        return made

    return answers.each(texts, prepare, answer)


def _prompt(encoder: Encoder, name: str | None) -> str:
    """What is put before each text."""
    recipe = encoder.recipe
    name = recipe.default_prompt if name is None else name
    if not name:
        return ""
    if name not in recipe.prompts:
        known = f"one of this model's: {', '.join(map(repr, recipe.prompts))}" if recipe.prompts else "none: this model has no prompts"
        raise BadInput(f"prompt is {name!r}, wanted the name of {known}. Any other belongs into the text itself")
    return recipe.prompts[name]
