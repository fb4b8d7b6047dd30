"""The front door: a model with one line for each task."""

from __future__ import annotations

from os import PathLike

from xlmr import encoder as encoders
from xlmr.encoder import Encoder
from xlmr.tasks import alignment, answering, classification, embeddings, identification, masks, scoring, similarity, tagging


class Model(Encoder):
    """An encoder that does what people come for. Each task is a function of its own, in `xlmr.tasks`."""

    __slots__ = ()

    fill_mask = masks.fill_mask
    score = scoring.score
    embed = embeddings.embed
    similarity = similarity.similarity
    align = alignment.align
    identify_language = identification.identify_language
    language_vectors = identification.language_vectors
    classify = classification.classify
    tag = tagging.tag
    tag_words = tagging.tag_words
    answer = answering.answer


def load(
    source: str | PathLike[str] | None = None, *, runtime: str = "onnx", threads: int | None = None, revision: str | None = None
) -> Model:
    """The model at `source`: a folder, a hub id such as `FacebookAI/xlm-roberta-large`, or nothing for the small one inside the package.

    `runtime` is `onnx` (light, the default) or `torch` (extra `train`); `threads` None leaves their number to it;
    `revision` is a branch, tag or commit of a hub id. Raises BadCheckpoint, OtherArchitecture or NotAvailable.
    """
    found = encoders.load(source, runtime=runtime, threads=threads, revision=revision)
    return Model(found.config, found.tokenizer, found.runtime, found.recipe, found.attachments, found.head)
