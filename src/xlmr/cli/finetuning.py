"""Commands that fine-tune: `finetune classify`, `finetune tag`, `finetune answer`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xlmr.cli.options import SETTINGS, Command, source_options, with_options
from xlmr.cli.terminal import say

RANK = 8
PROBLEMS = {"one": "single_label_classification", "several": "multi_label_classification", "number": "regression"}


@click.group(context_settings=SETTINGS)
def finetune() -> None:
    """Learn a task from labelled examples; the folder that comes of it serves in all the model's languages. Needs the extra `train`.

    \b
    Examples:
      xlmr finetune classify --train en=topics.tsv --dev en=dev.tsv --output topics
      xlmr finetune tag --crf --train names.conll --dev de=dev.conll --output names
      xlmr finetune answer --train squad.jsonl --output answers
      xlmr classify --model topics 'Das Spiel endete unentschieden.'
    """


DATA = (
    click.option("--train", "-t", required=True, multiple=True, metavar="DATA", help="FILE or LANG=FILE of examples. Again for more."),
    click.option("--dev", "-d", multiple=True, metavar="DATA", help="The same, to measure on while it learns. Again for more languages."),
    click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder, for the model."),
)
LEARNING = (
    click.option("--epochs", type=float, metavar="X", help="Passes over the examples.  [default: 3, or as many as make 500 steps]"),
    click.option("--batch", type=int, default=32, show_default=True, metavar="N", help="Examples a step."),
    click.option("--accumulate", type=int, default=1, show_default=True, metavar="N",
                 help="Parts that a step is worked in, for less memory."),
    click.option("--rate", type=float, metavar="X", help="Of learning.  [default: 4e-4 for small, 4.4e-5 for base, 2.5e-5 for large]"),
    click.option("--head-rate", type=float, metavar="X", help="The head's.  [default: the same; 1e-3 beside a frozen encoder]"),
    click.option("--by-layer", type=float, default=1.0, show_default=True, metavar="X",
                 help="A layer's rate as a share of that of the layer above."),
    click.option("--warmup", type=float, default=0.1, show_default=True, metavar="X", help="Share of the steps in which the rate rises."),
    click.option("--decay", type=float, default=0.01, show_default=True, metavar="X", help="Of weights (AdamW)."),
    click.option("--dropout", type=float, metavar="X", help="In the encoder and the head.  [default: the model's, 0.1 where it has none]"),
    click.option("--freeze", default="embeddings", show_default=True, metavar="all|embeddings|N",
                 help="Leave this of the encoder as it is, of layers the first N."),
    click.option("--lora", is_flag=True, help="Adapters learn in place of the encoder, and are added to it in the end (extra: lora)."),
    click.option("--lora-rank", type=click.IntRange(1), metavar="N", help=f"Theirs.  [default: {RANK}]"),
    click.option("--checkpointing", is_flag=True, help="Less memory, more time: what layers made is worked out again."),
    click.option("--precision", type=click.Choice(["no", "bf16"]), default="no", show_default=True, help="Of the arithmetic; no: float32."),
    click.option("--temperature", type=float, default=1.0, show_default=True, metavar="T",
                 help="Mix languages by their numbers of examples to the power of 1/T; 1 as they are, 5 nearly alike."),
    click.option("--longest", type=click.IntRange(8), metavar="N", help="Tokens of an example.  [default: what the model takes]"),
)  # fmt: skip
KEEPING = (
    click.option("--keep", type=click.Choice(["best", "last", "mean"]), default="best", show_default=True,
                 help="Which weights: the best on --dev, the last, or the mean of all that were measured."),
    click.option("--patience", type=int, default=0, metavar="N", help="End after so many measurements without a better score."),
    click.option("--measurements", type=int, default=10, show_default=True, metavar="N", help="On --dev, over the run."),
    click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, default=(1,), show_default=True, metavar="N",
                 help="Again for several runs, each in DIR/seed-N, with mean and spread."),
    click.option("--resume", is_flag=True, help="Go on, exactly, where an earlier run was stopped."),
)  # fmt: skip


def options(command: Command) -> Command:
    """Those of every task."""
    return with_options(source_options(command), (*DATA, *LEARNING, *KEEPING))


@finetune.command()
@options
@click.option("--labels", type=click.Choice([*PROBLEMS]), default="one", show_default=True,
              help="Of a text: one of them, several or none (multi-label), or a number (regression).")  # fmt: skip
@click.option("--vectors/--no-vectors", default=True, show_default=True,
              help="Learn from a text's calibrated vector too, where the model has a calibration of pieces alone.")  # fmt: skip
@click.option("--balanced", is_flag=True, help="Let every label count alike, however few examples it has.")
def classify(labels: str, vectors: bool, balanced: bool, **chosen: Any) -> None:
    """Learn to label texts, and print the folder. DATA is a table or .jsonl with `text` and `label`, for pairs of texts also `text_pair`,
    and perhaps `lang`; with --labels several the column is `labels`, with | between them.

    \b
    Examples:
      xlmr finetune classify --train en=train.tsv --dev en=dev.tsv --dev de=dev.de.tsv --output topics
      xlmr finetune classify --train reviews.jsonl --freeze all --output quick
      xlmr finetune classify --train pairs.tsv --model FacebookAI/xlm-roberta-base --seed 1 --seed 2 --seed 3 --output entailment
    """
    _run({"task": "classify", "problem": PROBLEMS[labels], "vectors": vectors, "balanced": balanced}, **chosen)


@finetune.command()
@options
@click.option("--crf", "chain", is_flag=True, help="Learn a linear-chain CRF over the tags of a sentence.")
@click.option("--words", type=click.Choice(["first", "mean"]), default="mean", show_default=True,
              help="A word's state: that of its first piece, or the mean of all.")  # fmt: skip
def tag(**chosen: Any) -> None:
    """Learn to tag words, and print the folder. DATA is CoNLL, a word and its tag on a line with a tab between them and a blank line after
    a sentence, or .jsonl with `words` and `tags`.

    \b
    Examples:
      xlmr finetune tag --train en=pos.conll --dev en=dev.conll --output parts-of-speech
      xlmr finetune tag --crf --train names.conll --dev de=names.de.conll --output names
    """
    _run({"task": "tag", "chain": chosen.pop("chain"), "words": chosen.pop("words")}, **chosen)


@finetune.command()
@options
@click.option("--stride", type=click.IntRange(0), default=128, show_default=True, metavar="N", help="Tokens by which windows overlap.")
@click.option("--span", type=click.IntRange(1), default=30, show_default=True, metavar="N", help="Tokens of an answer, at most.")
def answer(stride: int, span: int, **chosen: Any) -> None:
    """Learn to answer questions out of a context, and print the folder. DATA is .jsonl with `question`, `context` and `answers`, as SQuAD
    has them; a question without answers is one that its context does not answer.

    \b
    Examples:
      xlmr finetune answer --train en=squad.jsonl --dev de=xquad.de.jsonl --output answers
    """
    _run({"task": "answer", "stride": stride, "span": span}, **chosen)


def _run(of_task: Mapping[str, Any], *, train: tuple[str, ...], dev: tuple[str, ...], output: Path, model: str | None, revision: str | None,
         seeds: tuple[int, ...], lora: bool, lora_rank: int | None, resume: bool, **chosen: Any) -> None:  # fmt: skip
    if lora_rank and not lora:
        raise click.UsageError("--lora-rank is the rank of adapters, and there are none without --lora")
    from xlmr.cli import printing
    from xlmr.training import loop
    from xlmr.training.finetuning import runs, seeding
    from xlmr.training.finetuning.settings import Settings

    settings = Settings(**of_task, lora=(lora_rank or RANK) if lora else 0, seed=seeds[0], **chosen)
    source = {"source": model, "revision": revision}
    if len(seeds) == 1:
        said = printing.tuned(runs.run(source, train, dev, output, settings, resume=resume))
    else:
        said = printing.seeded(seeding.run(source, train, dev, output, settings, seeds, resume=resume))
    if loop.speaks():
        say(said)
