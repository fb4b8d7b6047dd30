"""Commands that measure a model on labelled data: `evaluate language`."""

from __future__ import annotations

import click

from xlmr.cli.options import SETTINGS, Model, among_in, json_option, labelled_in, model_options
from xlmr.cli.terminal import say


@click.group(context_settings=SETTINGS)
def evaluate() -> None:
    """Measure a model: a score for each language, and their mean.

    \b
    Examples:
      xlmr evaluate language texts.tsv
    """


@evaluate.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("--languages", metavar="L,L,…", help="Only the texts in these languages.")
@json_option
@model_options
def language(data: tuple[str, ...], languages: str | None, as_json: bool, model: Model) -> None:
    """How often the right language is found: F1 of each, and their mean. DATA is LANG=FILE, or a table or .jsonl with `lang` and `text`.

    \b
    Examples:
      xlmr evaluate language sentences.tsv
      xlmr evaluate language de=german.txt nl=dutch.txt --json
    """
    import xlmr
    from xlmr.cli import printing
    from xlmr.evaluation.labelled import language as measure

    found = measure(xlmr.load(**model), labelled_in(data), among_in(languages))
    say(printing.dumped(printing.evaluated_json(found)) if as_json else printing.evaluated(found))
