"""Commands that measure a model on labelled data: `evaluate language`, `evaluate retrieve`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from xlmr.cli.embedding import text_vector_options
from xlmr.cli.options import SETTINGS, Model, among_in, json_option, labelled_in, model_options, pairs_in
from xlmr.cli.terminal import say


@click.group(context_settings=SETTINGS)
def evaluate() -> None:
    """Measure a model: a score for each language, and their mean.

    \b
    Examples:
      xlmr evaluate language texts.tsv
      xlmr evaluate retrieve translations.tsv
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


@evaluate.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("--languages", metavar="L,L,…", help="Only the pairs in these languages.")
@text_vector_options
@json_option
@model_options
def retrieve(data: tuple[str, ...], languages: str | None, as_json: bool, model: Model, layers: tuple[int, ...], **options: Any) -> None:
    """How often a sentence's vector lies nearest to that of its translation, among those of all: accuracy of each language, both ways.

    DATA is a table or .jsonl with `lang`, `source` and `english`, or LANG=FILE of one with `source` and `english`.
    Vectors are those of `xlmr embed`.

    \b
    Examples:
      xlmr evaluate retrieve tatoeba.tsv.xz --languages de,fr
      xlmr evaluate retrieve --model intfloat/multilingual-e5-small de=german.csv --json
    """
    import xlmr
    from xlmr.cli import printing
    from xlmr.evaluation.retrieval import evaluate as measure

    counted = partial(printing.progress, elsewhere=True)
    found = measure(xlmr.load(**model), pairs_in(data), among_in(languages), counted=counted, layers=layers or None, **options)
    say(printing.dumped(printing.evaluated_json(found)) if as_json else printing.retrieved(found))
