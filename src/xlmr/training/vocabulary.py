"""A SentencePiece unigram vocabulary with XLM-R's normalisation and id layout."""

from __future__ import annotations

import io
import random
from collections import defaultdict
from collections.abc import Iterable

import sentencepiece

from xlmr.errors import BadRecipe
from xlmr.training.corpus import Line
from xlmr.training.recipes import Vocabulary

ADDED = 2  # `<pad>` and `<mask>`, which the SentencePiece model does not have


def train(lines: Iterable[Line], recipe: Vocabulary, seed: int = 1) -> bytes:
    """A SentencePiece model (its protobuf) learnt from the lines. Raises BadRecipe where SentencePiece cannot make one of this size."""
    model = io.BytesIO()
    try:
        _train(model, lines, recipe, seed)
    except RuntimeError as error:  # it says what size it can make
        raise BadRecipe(f"[vocabulary] size is {recipe.size}: {str(error).rpartition(']')[2].strip() or error}") from None
    return model.getvalue()


def _train(model: io.BytesIO, lines: Iterable[Line], recipe: Vocabulary, seed: int) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sample(lines, recipe, seed)),
        model_writer=model,
        model_type="unigram",
        vocab_size=recipe.size - ADDED,
        character_coverage=recipe.coverage,
        normalization_rule_name="nmt_nfkc",
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=2,
        shuffle_input_sentence=False,
        minloglevel=1,
    )


def sample(lines: Iterable[Line], recipe: Vocabulary, seed: int = 1) -> list[str]:
    """Lines of every language, its share of the characters being its size to the power of `exponent` (XLM-R, section 3.1)."""
    texts: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        texts[line.language].append(line.text)
    sizes = {language: sum(map(len, of)) for language, of in texts.items()}
    weights = {language: size**recipe.exponent for language, size in sizes.items()}
    chosen: list[str] = []
    for language, of in sorted(texts.items()):
        wanted = recipe.characters * weights[language] / sum(weights.values())
        for text in random.Random(f"{seed} {language}").sample(of, len(of)):
            if wanted <= 0:
                break
            chosen.append(text)
            wanted -= len(text)
    return chosen
