"""Commands that fit what lies beside a model: `fit languages`."""

from __future__ import annotations

from pathlib import Path

import click

from xlmr.cli.options import SETTINGS, Model, labelled_in, model_options
from xlmr.cli.terminal import say


@click.group(context_settings=SETTINGS)
def fit() -> None:
    """Fit something to a model, which is then kept beside its weights. Needs the extra `train`.

    \b
    Examples:
      xlmr fit languages --model my-model --data texts.tsv --output my-model
    """


@fit.command()
@click.option("--data", "-d", required=True, multiple=True, metavar="DATA",
              help="LANG=FILE of texts in one language, or a table or .jsonl with `lang` and `text`. Again for more.")  # fmt: skip
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="The model's own folder, or a new one, to which it is copied.")  # fmt: skip
@click.option("--layer", type=click.IntRange(min=0), metavar="N", help="Whose states are looked at; without it, the best is measured.")
@click.option("--texts", type=click.IntRange(1, 100_000), default=2_500, show_default=True, metavar="N",
              help="Texts of each language, cut from those there are.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N")
@model_options
def languages(data: tuple[str, ...], output: Path, layer: int | None, texts: int, seed: int, model: Model) -> None:
    """Fit the classifier of languages that `xlmr language` asks, and print its file and what was measured on texts held out.

    \b
    Examples:
      xlmr fit languages --model FacebookAI/xlm-roberta-base --data texts.tsv --output my-model
      xlmr fit languages --model my-model --data de=german.txt --data nl=dutch.txt.gz --output my-model
    """
    from xlmr.training import fitting

    for line in fitting.languages(model, labelled_in(data), output, layer=layer, count=texts, seed=seed):
        say(line)
