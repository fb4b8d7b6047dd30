"""Commands that fit what lies beside a model: `fit calibration`, `fit languages`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xlmr.cli.options import SETTINGS, Model, labelled_in, model_options, pairs_in
from xlmr.cli.terminal import say
from xlmr.limits import CALIBRATED


@click.group(context_settings=SETTINGS)
def fit() -> None:
    """Fit something to a model, which is then kept beside its weights. Needs the extra `train`.

    \b
    Examples:
      xlmr fit calibration --model my-model --data translations.tsv --output my-model
      xlmr fit languages --model my-model --data texts.tsv --output my-model
    """


output_option = click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR",
                             help="The model's own folder, or a new one, to which it is copied.")  # fmt: skip
seed_option = click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N")


@fit.command()
@click.option("--data", "-d", required=True, multiple=True, metavar="DATA",
              help="A table or .jsonl with `lang`, `source`, `english`, or LANG=FILE with the last two. Again for more.")  # fmt: skip
@output_option
@click.option("--size", type=click.IntRange(8, CALIBRATED), default=96, show_default=True, metavar="N", help="Numbers of a vector.")
@click.option("--sequences", type=click.IntRange(0, 1_000_000), default=56_000, show_default=True, metavar="N",
              help="Sequences of two and three pieces that have a row in the table.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=8_000, show_default=True, metavar="N", help="Of learning the table.")
@seed_option
@model_options
def calibration(data: tuple[str, ...], output: Path, model: Model, **options: Any) -> None:
    """Fit the calibration of text vectors, with which texts that mean the same lie near each other, from translations; print its file and
    what share of held-out translations it finds. `xlmr embed` uses it from then on. Files of one name hold texts of one kind, and only
    those are told from each other: what tells kinds apart is no meaning.

    \b
    Examples:
      xlmr fit calibration --model FacebookAI/xlm-roberta-base --data translations.tsv --output my-model
      xlmr fit calibration --model my-model --data de=news.csv --data de=manuals.csv --data fr=news.csv --output my-model
    """
    from xlmr.training import fitting
    from xlmr.training.contrast import Settings

    pairs = ((_kind(source), *pair) for source in data for pair in pairs_in((source,)))
    for line in fitting.calibration(model, pairs, output, Settings(**options)):
        say(line)


def _kind(source: str) -> str:
    """Files of the same name, such as `de=a/news.csv` and `fr=b/news.csv`, hold texts of one kind."""
    return Path(source.partition("=")[2] or source).name


@fit.command()
@click.option("--data", "-d", required=True, multiple=True, metavar="DATA",
              help="LANG=FILE of texts in one language, or a table or .jsonl with `lang` and `text`. Again for more.")  # fmt: skip
@output_option
@click.option("--layer", type=click.IntRange(min=0), metavar="N", help="Whose states are looked at; without it, the best is measured.")
@click.option("--texts", type=click.IntRange(1, 100_000), default=2_500, show_default=True, metavar="N",
              help="Texts of each language, cut from those there are.")  # fmt: skip
@seed_option
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
